"""What the daemon's log shows of a request: the mark that its error told the client."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest

from swarmd import logs
from swarmd.api.errors import failure_of
from swarmd.messages.config import LoggingConfig


@pytest.fixture(autouse=True)
def root_as_before() -> Iterator[None]:
    root, pykka = logging.getLogger(), logging.getLogger("pykka")
    handlers, level, pykka_level = root.handlers[:], root.level, pykka.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    pykka.setLevel(pykka_level)


def lines_of(
    capsys: pytest.CaptureFixture[str], form: Literal["json", "text"], correlation: str
) -> list[str]:
    logs.configure(LoggingConfig(format=form))
    try:
        raise ZeroDivisionError("the cause")
    except ZeroDivisionError as error:
        failure = failure_of(error, correlation)
    assert correlation in str(failure.details["next_step"])
    logging.getLogger("swarmd").info("nothing special")
    return capsys.readouterr().err.splitlines()


def test_json_has_it_where_there_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (json.loads(line) for line in lines_of(capsys, "json", "find-me"))
    assert first["correlation"] == "find-me"
    assert "the cause" in first["traceback"]
    assert "correlation" not in second


def test_text_has_it_at_the_end_of_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(capsys, "text", "find-me")
    assert lines[0].endswith("a request failed unexpectedly [find-me]")
    assert lines[-1].endswith("nothing special")


def test_a_client_cannot_write_lines_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(capsys, "text", "x]\n2026-01-01 forged")
    assert not any(line.startswith("2026-01-01 forged") for line in lines)
