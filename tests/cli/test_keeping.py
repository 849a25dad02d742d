"""``swarmctl keep``, and how an outlook reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from swarmd.cli.commands.keeping import moment_of
from swarmd.cli.commands.layouts import next_step, outlook
from swarmd.messages.instance import Instance
from tests.cli.driver import ctl
from tests.cli.server import Served

ZONE = timezone(timedelta(hours=2))
NOON = datetime(2026, 1, 31, 12, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("18:00", datetime(2026, 1, 31, 18, tzinfo=ZONE)),
        (" 9:30 ", datetime(2026, 2, 1, 9, 30, tzinfo=ZONE)),
        ("12:00", datetime(2026, 2, 1, 12, tzinfo=ZONE)),
        ("2026-12-24T09:00:00Z", datetime(2026, 12, 24, 9, tzinfo=UTC)),
        ("2026-12-24 09:00+01:00", datetime(2026, 12, 24, 8, tzinfo=UTC)),
    ],
)
def test_moments(text: str, wanted: datetime) -> None:
    assert moment_of(text, NOON) == wanted


def test_a_moment_without_a_zone_is_the_readers() -> None:
    assert moment_of("2026-12-24 09:00", NOON) == datetime(2026, 12, 24, 9).astimezone()


@pytest.mark.parametrize("text", ["soon", "25:00", "2026-13-01 10:00", ""])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        moment_of(text, NOON)


@pytest.mark.parametrize(
    "words",
    [(), ("2h", "--off"), ("--until", "18:00", "--off"), ("2h", "--until", "18:00")],
)
def test_one_of_three(served: Served, web: Instance, words: tuple[str, ...]) -> None:
    ran = ctl("keep", "web", *words)
    assert ran.code == 2
    assert "How long?" in ran.err


def test_wrong_words(served: Served, web: Instance) -> None:
    assert 'expected "18:00"' in ctl("keep", "web", "--until", "soon").err
    assert "expected a duration" in ctl("keep", "web", "long").err


def test_it_is_kept_and_let_go(served: Served, web: Instance) -> None:
    ran = ctl("keep", "web", "2h")
    assert ran.code == 0
    assert "kept until" in ran.out
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=9)
    found = ctl("-o", "json", "keep", "web", "--until", until.isoformat()).data
    assert datetime.fromisoformat(found["keep_until"]) == until
    assert "kept no longer" in ctl("keep", "web", "--off").out
    assert ctl("keep", "nobody", "2h").code == 3


def in_(**length: float) -> str:
    return (datetime.now(UTC) + timedelta(**length)).isoformat()


def test_the_next_step_in_a_table() -> None:
    def told(**row: Any) -> str:
        return next_step(row)

    assert told() == "-"
    assert told(idle=None, keep_until=None) == "-"
    assert told(idle={"next_step": "stop", "next_at": in_(minutes=12)}) == "stop in 12m"
    assert told(idle={"next_step": None}, keep_until=in_(hours=2)) == "kept for 2h"
    assert told(keep_until=in_(hours=-2)) == "-"


def test_the_outlook_below_a_story() -> None:
    used = {"last_used": in_(minutes=-5), "used_by": "a browser", "why": "nobody used it\n"}
    assert list(outlook({"items": []})) == []
    lines = list(outlook({"idle": {**used, "next_step": "stop", "next_at": in_(hours=1)}}))
    assert lines[0].endswith("(a browser)")
    assert lines[1].startswith("next: stop at ")
    assert lines[1].endswith("(in 1h): nobody used it\\n")
    lines = list(outlook({"idle": used, "keep_until": in_(hours=3)}))
    assert lines[1].endswith("(for 3h)")
    assert lines[2].startswith("next: nothing: nobody used it")
