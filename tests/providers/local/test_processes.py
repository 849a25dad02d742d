"""Identity, tree, launcher and sockets in isolation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from swarmd.errors import OperationCancelled, ProviderError
from swarmd.providers.local import identity, launcher, tree
from swarmd.providers.local.identity import Identity, parse_stat
from swarmd.providers.local.ports import holder
from swarmd.providers.shared.account import own
from swarmd.providers.shared.answer import Answer, Asker, Ended, Endpoint, within
from swarmd.providers.shared.durable import write_durably
from swarmd.providers.shared.portbook import is_free
from tests.support import free_port, wait_until

# --- identity --------------------------------------------------------------------------------


@given(
    st.binary(max_size=15).filter(lambda name: b"\0" not in name),
    st.integers(1, 1 << 22),
    st.integers(0, 1 << 60),
)
def test_a_stat_line_is_read_whatever_the_name(name: bytes, parent: int, started: int) -> None:
    rest = f"S {parent} 7 8 0 -1 0 0 0 0 0 11 12 0 0 20 0 1 0 {started} 99".encode()
    stat = parse_stat(5, b"5 (" + name + b") " + rest)
    assert (stat.parent, stat.session, stat.started, stat.cpu_ticks) == (parent, 8, started, 23)
    assert not stat.dead


def test_a_zombie_whose_threads_run_is_not_dead() -> None:
    for threads, dead in ((1, True), (2, False)):
        rest = f"Z 1 7 8 0 -1 0 0 0 0 0 11 12 0 0 20 0 {threads} 0 5 99".encode()
        assert parse_stat(5, b"5 (x) " + rest).dead is dead


def test_what_is_no_stat_line_is_refused() -> None:
    for raw in (b"", b"5 (x) S 1", b"5 x S 1 2 3"):
        with pytest.raises(ValueError, match="not a stat line"):
            parse_stat(5, raw)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that sleeps."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def test_a_living_process_and_a_zombie(sleeper: subprocess.Popen[bytes]) -> None:
    found = identity.identify(sleeper.pid)
    assert found is not None
    assert identity.is_alive(found)
    assert identity.send_signal(found, signal.SIGKILL)
    identity.wait_ended([found], 5)
    assert not identity.is_alive(found)
    assert identity.open_pidfd(found) is None
    assert Path(f"/proc/{sleeper.pid}").exists()


def test_a_reused_pid_gets_no_signal(sleeper: subprocess.Popen[bytes]) -> None:
    found = identity.identify(sleeper.pid)
    assert found is not None
    for other in (replace(found, started=1), replace(found, boot="another")):
        assert not identity.is_alive(other)
        assert not identity.send_signal(other, signal.SIGKILL)
    assert sleeper.poll() is None


def test_a_pid_of_nobody(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    sleeper.wait()
    gone = Identity(boot=identity.boot_id(), pid=sleeper.pid, started=1)
    assert identity.identify(sleeper.pid) is None
    assert not identity.send_signal(gone, signal.SIGTERM)


def test_waiting_ends_in_time(sleeper: subprocess.Popen[bytes]) -> None:
    found = identity.identify(sleeper.pid)
    assert found is not None
    identity.wait_ended([found], 0.05)
    assert identity.is_alive(found)


# --- tree ------------------------------------------------------------------------------------


def seen(pid: int, parent: int = 1, session: int = 0, **marks: str) -> tree.Seen:
    """A process of a made-up table."""
    stat = identity.Stat(
        pid=pid,
        state="S",
        parent=parent,
        session=session,
        threads=1,
        started=pid * 10,
        cpu_ticks=0,
    )
    return tree.Seen(stat, marks)


def test_three_ways_to_find_a_process() -> None:
    table = tree.Table(
        [
            seen(10),
            seen(11, parent=10),
            seen(12, SWARMD_INSTANCE="a"),
            seen(13, parent=12),
            seen(14),
            seen(15, SWARMD_INSTANCE="b"),
        ]
    )
    root = Identity(boot=identity.boot_id(), pid=10, started=100)
    found = table.members("a", root, [14, 99])
    assert [member.stat.pid for member in found] == [10, 11, 12, 13, 14]
    reused = replace(root, started=101)
    assert [member.stat.pid for member in table.members("a", reused)] == [12, 13]
    assert table.bears("b")
    assert not table.bears("c")


@given(st.dictionaries(st.integers(2, 40), st.integers(1, 40), max_size=30), st.integers(2, 40))
def test_descent_is_closed_and_finite(parents: dict[int, int], root: int) -> None:
    table = tree.Table(seen(pid, parent=parent) for pid, parent in parents.items())
    found = {member.stat.pid for member in table.members("x", pids=[root])}
    assert (root in found) == (root in parents)
    for pid, parent in parents.items():
        if parent in found:
            assert pid in found


def test_marks_are_read_only_with_the_instances() -> None:
    assert tree.read_marks(b"SWARMD_EPOCH=1\0PATH=x") == {}
    raw = b"SWARMD_INSTANCE=a\0SWARMD_EPOCH=1\0PATH=x\0"
    assert tree.read_marks(raw) == {"SWARMD_INSTANCE": "a", "SWARMD_EPOCH": "1"}


def test_a_wait_that_is_cancelled_ends_nothing(sleeper: subprocess.Popen[bytes]) -> None:
    def check() -> None:
        raise OperationCancelled("now")

    with pytest.raises(OperationCancelled):
        tree.end(lambda: members_of(sleeper), grace=5, check=check)
    assert sleeper.poll() is None


def members_of(process: subprocess.Popen[bytes]) -> tuple[tree.Seen, ...]:
    """A process and its descendants."""
    return tree.scan().members("nobody", pids=[process.pid])


def test_what_cannot_be_ended_is_told(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "_KILL_SECONDS", 0.0)
    immortal = seen(os.getppid())
    with pytest.raises(ProviderError, match=f"do not end, even when killed: {os.getppid()}"):
        tree.end(lambda: (immortal,), grace=0, check=lambda: None)
    assert sleeper.poll() is None


def test_another_users_process_is_told(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
    with pytest.raises(ProviderError, match=f"process {sleeper.pid} belongs to another user"):
        tree.end(lambda: members_of(sleeper), grace=0, check=lambda: None)


# --- the shell that waits --------------------------------------------------------------------


def waiting(*command: str, folder: Path = Path("/")) -> launcher.Child:
    """A child that waits to be told to go."""
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        environment = {"PATH": os.environ["PATH"]}
        launch = launcher.Launch(command, folder, environment, own(), (null, null))
        return launcher.spawn(launch)
    finally:
        os.close(null)


def test_it_keeps_its_identity_when_it_goes() -> None:
    child = waiting("sleep", "1000")
    before = child.identity
    child.go()
    command = Path(f"/proc/{before.pid}/cmdline")
    wait_until(lambda: command.read_bytes().startswith(b"sleep"))
    assert identity.is_alive(before)
    assert os.getsid(before.pid) == before.pid
    assert child.wait(0.01) is None
    identity.send_signal(before, signal.SIGKILL)
    assert child.wait(5) == -9


def test_it_leaves_when_nobody_tells_it() -> None:
    child = waiting("sleep", "1000")
    child.input.close()
    assert child.wait(5) == launcher.ABANDONED


def test_it_is_told_in_vain_when_it_has_ended() -> None:
    child = waiting("sleep", "1000")
    identity.send_signal(child.identity, signal.SIGKILL)
    identity.wait_ended([child.identity], 5)
    with pytest.raises(ProviderError, match="before it began"):
        child.go()
    assert child.poll() == -9


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    child = waiting("sleep", "1000", folder=tmp_path / "missing")
    child.go()
    assert child.wait(5) == 126


def test_a_group_that_is_not_there(tmp_path: Path) -> None:
    launch = launcher.Launch(
        ["true"],
        Path("/"),
        {},
        own(),
        (subprocess.DEVNULL, subprocess.DEVNULL),
        groups=(tmp_path / "missing",),
    )
    with pytest.raises(ProviderError, match="control groups"):
        launcher.spawn(launch)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (None, "ended; with what status, only the daemon that started it would know"),
        (3, "exit status 3"),
        (-9, "ended by SIGKILL"),
        (-99, "ended by signal 99"),
    ],
)
def test_how_it_ended_in_words(status: int | None, words: str) -> None:
    assert launcher.exit_words(status) == words


# --- ports -----------------------------------------------------------------------------------


def test_who_has_a_port() -> None:
    port = free_port()
    assert holder(port) is None
    assert is_free("127.0.0.1", port)
    script = f"import socket; s = socket.create_server(('127.0.0.1', {port})); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as process:
        found = wait_until(lambda: holder(port))
        assert found is not None
        assert found[0] == process.pid
        assert not is_free("127.0.0.1", port)


# --- files and answers -----------------------------------------------------------------------


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "record"
    write_durably(file, b"one")
    write_durably(file, b"two", sync=False)
    assert file.read_bytes() == b"two"
    with pytest.raises(TypeError):
        write_durably(file, "text")  # type: ignore[arg-type]
    assert file.read_bytes() == b"two"


def test_nobody_answers() -> None:
    endpoint = Endpoint("127.0.0.1", free_port())
    with pytest.raises(ConnectionRefusedError):
        Asker(endpoint, within(1)).once()
    with pytest.raises(TimeoutError):
        Asker(endpoint, within(0.1)).until_ok()


def test_an_answer_that_is_no_http() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"hello\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ConnectionError, match="not HTTP"):
            Asker(Endpoint("0.0.0.0", listener.getsockname()[1]), within(5)).once()
        thread.join()


def test_the_end_of_the_process_ends_the_asking(sleeper: subprocess.Popen[bytes]) -> None:
    import socket

    watch = os.pidfd_open(sleeper.pid)
    threading.Timer(0.1, sleeper.kill).start()
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as silent,
            pytest.raises(Ended),
        ):
            Asker(Endpoint("127.0.0.1", silent.getsockname()[1]), within(10), watch).until_ok()
        with pytest.raises(Ended):
            Asker(Endpoint("127.0.0.1", free_port()), within(10), watch).until_ok()
    finally:
        os.close(watch)


def test_alive_is_what_answers_200() -> None:
    assert Answer(200, "").ok
    assert not Answer(503, "").ok
