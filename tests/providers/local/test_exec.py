"""Commands in a running instance."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from swarmd.errors import DeadlineExceeded, ProviderError, ValidationError
from swarmd.messages.instance import Instance
from swarmd.messages.requests import ExecInstance
from swarmd.messages.units import Duration
from swarmd.ports import Session
from swarmd.providers.local import tree
from swarmd.providers.local.provider import LocalProvider
from tests.providers.local.kit import call, make_instance, running
from tests.support import wait_until


@pytest.fixture
def instance(provider: LocalProvider) -> Iterator[Instance]:
    """A running instance."""
    made = make_instance(env={"GREETING": "hello"})
    provider.create(made, call())
    provider.start(made, call())
    yield made
    provider.stop(made, call(), force=True)


def shell(provider: LocalProvider, instance: Instance, script: str, **fields: object) -> Session:
    """A shell in the instance."""
    request = ExecInstance(id=instance.id, command=("sh", "-c", script), **fields)  # type: ignore[arg-type]
    return provider.exec(instance, request)


def collect(session: Session) -> tuple[dict[str, bytes], int | None]:
    """All output by stream, and the exit code."""
    found: dict[str, bytes] = {}
    try:
        while (piece := session.read()) is not None:
            found[piece[0]] = found.get(piece[0], b"") + piece[1]
        return found, session.result()
    finally:
        session.close()


def test_output_error_and_status(provider: LocalProvider, instance: Instance) -> None:
    session = shell(provider, instance, "echo out; echo err >&2; exit 7")
    assert collect(session) == ({"stdout": b"out\n", "stderr": b"err\n"}, 7)


def test_a_signal_is_128_and_its_number(provider: LocalProvider, instance: Instance) -> None:
    assert collect(shell(provider, instance, "kill -9 $$"))[1] == 137


def test_a_program_that_is_not_there(provider: LocalProvider, instance: Instance) -> None:
    path = {"PATH": "/usr/bin:/bin"}
    request = ExecInstance(id=instance.id, command=("no-such-program",), env=path)
    found, code = collect(provider.exec(instance, request))
    assert code == 127
    assert b"no-such-program" in found["stderr"]


def test_much_output_is_all_there(provider: LocalProvider, instance: Instance) -> None:
    found, code = collect(shell(provider, instance, "head -c 3000000 /dev/zero; exit 1"))
    assert (len(found["stdout"]), code) == (3_000_000, 1)


def test_input_is_the_commands_alone(provider: LocalProvider, instance: Instance) -> None:
    session = shell(provider, instance, "cat", stdin=True)

    def write() -> None:
        session.write(b"go\n")
        session.write(b"x" * 300_000)  # more than both pipes hold: it waits for the reader
        session.close_input()

    writer = threading.Thread(target=write)
    writer.start()
    found, code = collect(session)
    writer.join(5)
    assert (found["stdout"], code) == (b"go\n" + b"x" * 300_000, 0)


def test_without_input_there_is_none(provider: LocalProvider, instance: Instance) -> None:
    session = shell(provider, instance, "cat; echo end")
    with pytest.raises(ProviderError, match="no more input"):
        session.write(b"x")
    assert collect(session)[0] == {"stdout": b"end\n"}


def test_writing_to_a_command_that_ended(provider: LocalProvider, instance: Instance) -> None:
    session = shell(provider, instance, "exit 0", stdin=True)
    assert session.read() is None
    with pytest.raises(ProviderError, match="no more input"):
        session.write(b"x" * 1_000_000)
    session.close_input()
    session.close()


def test_environment_and_folder(provider: LocalProvider, instance: Instance, data: Path) -> None:
    (data / instance.id / "workspace" / "sub").mkdir()
    found, _ = collect(
        shell(provider, instance, 'echo "$GREETING $MORE"; pwd', workdir="sub", env={"MORE": "x"})
    )
    assert found["stdout"].decode().split("\n")[:2] == [
        "hello x",
        str(data / instance.id / "workspace" / "sub"),
    ]


@pytest.mark.parametrize("folder", ["..", "/etc", "missing", "a/../../.."])
def test_a_folder_outside_is_refused(
    provider: LocalProvider, instance: Instance, folder: str
) -> None:
    with pytest.raises(ValidationError, match="workspace") as caught:
        shell(provider, instance, "true", workdir=folder)
    assert caught.value.field == "workdir"


def test_the_timeout_ends_everything(provider: LocalProvider, instance: Instance) -> None:
    script = "setsid sleep 1000 & (sleep 1000 &) ; trap '' TERM; echo ready; sleep 1000"
    session = shell(provider, instance, script, timeout=Duration(3))
    assert session.read() == ("stdout", b"ready\n")
    begun = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"\b3 s"):
        # Where its child is ended before it, the shell still says so.
        while (piece := session.read()) is not None:
            assert piece == ("stderr", b"Killed\n")
    assert time.monotonic() - begun < 10
    session.close()
    assert session.result() == 137
    assert len(running(instance.id)) == 1


def test_of_the_timeout_one_is_told_once_everything_has_ended(
    provider: LocalProvider, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command itself may be the first to end: what it started still runs then."""
    session = shell(provider, instance, "sleep 1000 & echo $$; wait", timeout=Duration(1))
    piece = session.read()
    assert piece is not None
    order, real = [], tree.end

    def end(*args: Any, **options: Any) -> int:
        os.kill(int(piece[1]), signal.SIGKILL)
        wait_until(lambda: session.result() is not None)
        count = real(*args, **options)
        order.append("ended")
        return count

    monkeypatch.setattr(tree, "end", end)
    with pytest.raises(DeadlineExceeded):
        while session.read() is not None:
            pass
    order.append("told")
    assert order == ["ended", "told"]
    session.close()
    assert len(running(instance.id)) == 1


def test_close_wakes_a_reader_and_ends_it(provider: LocalProvider, instance: Instance) -> None:
    session = shell(provider, instance, "sleep 1000 & wait")
    answers: list[object] = []
    reader = threading.Thread(target=lambda: answers.append(session.read()))
    reader.start()
    wait_until(lambda: len(running(instance.id)) == 3)
    session.close()
    session.close()
    reader.join(5)
    assert answers == [None]
    assert session.read() is None
    assert len(running(instance.id)) == 1


def test_what_a_command_leaves_behind_does_not_hold_it(
    provider: LocalProvider, instance: Instance
) -> None:
    found, code = collect(shell(provider, instance, "sleep 1000 & echo left"))
    assert (found["stdout"], code) == (b"left\n", 0)
    assert len(running(instance.id)) == 2


def test_a_closed_output_is_not_the_end(provider: LocalProvider, instance: Instance) -> None:
    session = shell(provider, instance, "exec >&- 2>&-; read line; exit 5", stdin=True)
    threading.Timer(0.1, lambda: session.write(b"now\n")).start()
    assert collect(session) == ({}, 5)


def test_it_ends_with_the_instance(provider: LocalProvider, instance: Instance) -> None:
    session = shell(provider, instance, "setsid sleep 1000")
    wait_until(lambda: len(running(instance.id)) >= 2)
    provider.stop(instance, call(), force=True)
    assert tree.scan().members(instance.id) == ()
    found, code = collect(session)
    assert code == 137
    assert found in ({}, {"stderr": b"Killed\n"})  # the shell's word, where its child went first
