"""Promises on sessions with what runs: commands and logs."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

import pytest

from swarmd.errors import DeadlineExceeded, SwarmError, ValidationError
from swarmd.messages.instance import Instance
from swarmd.messages.requests import ExecInstance, LogsInstance
from swarmd.messages.units import Duration
from swarmd.ports import Call, Provider
from tests.contract.cases import ProviderCase, execute
from tests.contract.kit import log_of
from tests.support import wait_until

# --- exec ---


def test_exec_tells_output_errors_and_code(provider: Provider, running: Instance) -> None:
    code, out, errors = execute(provider, running, "sh", "-c", "echo a; echo b >&2; exit 7")
    assert (code, out, errors) == (7, b"a\n", b"b\n")
    assert execute(provider, running, "printenv", "X", env={"X": "y z"})[1] == b"y z\n"
    assert execute(provider, running, "sh", "-c", "kill -9 $$")[0] == 137
    _, big, _ = execute(provider, running, "head", "-c", "3000000", "/dev/zero")
    assert len(big) == 3_000_000


def test_exec_takes_input(provider: Provider, running: Instance) -> None:
    options = ExecInstance(id=running.id, command=("sort",), stdin=True)
    session = provider.exec(running, options)
    try:
        session.write(b"b\n")
        session.write(b"a\n")
        session.close_input()
        told = b"".join(data for _, data in iter(session.read, None))
        assert told == b"a\nb\n"
        assert session.result() == 0
    finally:
        session.close()
    assert execute(provider, running, "cat")[:2] == (0, b""), "no input: its end at once"


def test_exec_ends_everything_at_its_timeout(
    provider: Provider, provider_case: ProviderCase, running: Instance
) -> None:
    before = len(provider_case.running(running))
    with pytest.raises(DeadlineExceeded):
        execute(
            provider, running, "sh", "-c", "setsid sleep 300 & sleep 300", timeout=Duration(0.5)
        )
    wait_until(lambda: len(provider_case.running(running)) <= before)


def test_closing_an_exec_wakes_its_reader_and_ends_it(
    provider: Provider, provider_case: ProviderCase, running: Instance
) -> None:
    before = len(provider_case.running(running))
    session = provider.exec(running, ExecInstance(id=running.id, command=("sleep", "300")))
    told: list[object] = []
    reader = threading.Thread(target=lambda: told.append(session.read()))
    reader.start()
    session.close()
    session.close()
    reader.join(10)
    assert told == [None]
    wait_until(lambda: len(provider_case.running(running)) <= before)


@pytest.mark.parametrize(
    "wrong", [{"command": ("/no/such/program",)}, {"command": ("ls",), "workdir": "../.."}]
)
def test_exec_of_what_is_not_there(
    provider: Provider, running: Instance, wrong: dict[str, Any]
) -> None:
    options = dict(wrong)
    command = options.pop("command")
    step: str | None = None
    code: int | None = None
    try:
        code, _, _ = execute(provider, running, *command, **options)
    except SwarmError as error:
        step = error.next_step
    assert step or code in (126, 127)


# --- logs ---


def stamped_or_refused(provider: Provider, instance: Instance, line: bytes) -> None:
    if provider.type == "local":
        with pytest.raises(ValidationError) as caught:
            log_of(provider, instance, timestamps=True)
        assert (caught.value.field, bool(caught.value.next_step)) == ("timestamps", True)
        return
    told = log_of(provider, instance, timestamps=True)
    stamp, _, rest = told.splitlines(keepends=True)[0].partition(b" ")
    assert rest == line
    assert datetime.fromisoformat(stamp.decode()).tzinfo is not None


def test_logs_tail_since_and_follow(
    provider: Provider, provider_case: ProviderCase, call: Call
) -> None:
    instance = provider_case.instance("web" if provider_case.real else "chatty-web")
    provider.create(instance, call)
    provider.start(instance, call)
    text = wait_until(lambda: log_of(provider, instance))
    lines = text.splitlines(keepends=True)
    assert log_of(provider, instance, tail=1).splitlines(keepends=True)[-1:]
    assert log_of(provider, instance, tail=0) == b""
    assert log_of(provider, instance, since=Duration(3600)).startswith(lines[0])
    stamped_or_refused(provider, instance, lines[0])
    if provider_case.real:
        return
    session = provider.logs(instance, LogsInstance(id=instance.id, follow=True, tail=0))
    try:
        provider.check(instance, call)
        piece = session.read()
        assert piece is not None
        assert b"request" in piece[1]
    finally:
        session.close()
    assert session.read() is None
    provider.stop(instance, call)
    assert log_of(provider, instance), "its log outlives it"
