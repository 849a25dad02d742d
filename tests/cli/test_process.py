"""``swarmctl`` as a process: pipes, terminals, signals."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from swarmd.messages.activity import Idle
from swarmd.messages.enums import EventType
from swarmd.messages.instance import replace
from tests.api.fake_query import EPOCH
from tests.cli.driver import COMMAND, clean_env, process
from tests.cli.server import Served
from tests.support import wait_until


@pytest.fixture
def env(served: Served, tmp_path: Path) -> dict[str, str]:
    return clean_env(tmp_path, SWARMD_SOCKET=str(served.path), TERM="xterm", USER="ana")


@contextmanager
def started(env: dict[str, str], *words: str, **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([*COMMAND, *words], env=env, **streams)
    try:
        yield child
    finally:
        child.kill()
        child.wait(10)
        for stream in (child.stdin, child.stdout, child.stderr):
            if stream is not None:
                stream.close()


class Terminal:
    """What a person sees: a pty, and everything that was written to it."""

    def __init__(self, env: dict[str, str], *words: str, rows: int = 0) -> None:
        self.seen = ""
        self.pid, self.leader = pty.fork()
        if self.pid == 0 and rows:
            termios.tcsetwinsize(0, (rows, 80))
        if self.pid == 0:
            try:
                os.execve(COMMAND[0], [*COMMAND, *words], env)
            finally:
                os._exit(99)

    def read(self) -> bool:
        """Whether there may be more."""
        try:
            data = os.read(self.leader, 65536)
        except OSError:
            return False
        self.seen += data.decode("utf-8", "replace")
        return bool(data)

    def until(self, text: str) -> None:
        while text not in self.seen:
            assert self.read(), f"ended without {text!r}: {self.seen!r}"

    def type(self, text: str) -> None:
        os.write(self.leader, text.encode())

    def finish(self) -> int:
        """Read to the end; the exit code."""
        while self.read():
            pass
        return self.end()

    def end(self) -> int:
        os.close(self.leader)
        pid, self.pid = self.pid, 0
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


OpenTerminal = Callable[..., Terminal]


@pytest.fixture
def open_terminal() -> Iterator[OpenTerminal]:
    opened: list[Terminal] = []

    def make(env: dict[str, str], *words: str, rows: int = 0) -> Terminal:
        opened.append(Terminal(env, *words, rows=rows))
        return opened[-1]

    yield make
    for terminal in opened:
        if terminal.pid:
            os.kill(terminal.pid, signal.SIGKILL)
            terminal.end()


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["ls"], 0, "No instances yet"),
        (["get", "nobody"], 3, "→"),
        (["lss"], 2, "Did you mean ls"),
        (["--socket", "/no/such.sock", "ls"], 5, "no daemon answers"),
    ],
)
def test_exit_codes_and_streams(
    env: dict[str, str], words: list[str], code: int, told: str
) -> None:
    ran = process(*words, env=env)
    assert (ran.code, ran.out) == (code, "")
    assert told in ran.err
    assert "Traceback" not in ran.err
    assert "\x1b" not in ran.err


def test_into_a_pipe_there_are_no_colours_and_no_cuts(served: Served, env: dict[str, str]) -> None:
    name = "a-long-name-" * 12
    served.on_loop(served.daemon.add, name)
    ran = process("ls", env=env)
    assert name in ran.out
    assert "\x1b" not in ran.out


def test_a_reader_that_goes_away_is_no_error(served: Served, env: dict[str, str]) -> None:
    for number in range(3000):
        served.on_loop(served.daemon.add, f"n{number:05}")
    with started(env, "ls", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline().startswith(b"NAME")
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(20) == 141


def test_an_interrupt_says_that_the_operation_goes_on(
    served: Served, env: dict[str, str], open_terminal: OpenTerminal
) -> None:
    served.on_loop(served.daemon.hold)
    terminal = open_terminal(env, "create", "web")
    terminal.until("web: create")  # it has been told of the operation
    os.kill(terminal.pid, signal.SIGINT)
    assert terminal.finish() == 130
    (operation,) = served.daemon.ops
    said = f"interrupted\r\n→ It goes on. Follow it: swarmctl ops wait {operation}\r\n"
    assert terminal.seen.endswith(said)
    served.on_loop(served.daemon.let_go)


def test_an_interrupt_of_many(served: Served, env: dict[str, str]) -> None:
    served.on_loop(served.daemon.hold)
    words = ("create", "n", "--count", "12")
    with started(env, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        wait_until(lambda: len(served.daemon.ops) == 8, describe=lambda: len(served.daemon.ops))
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=20)
    assert child.returncode == 130
    assert err.startswith(b"interrupted\n")
    assert b"Traceback" not in err
    served.on_loop(served.daemon.let_go)


def test_following_logs_ends_with_an_interrupt(served: Served, env: dict[str, str]) -> None:
    served.on_loop(served.daemon.add, "web")
    with started(
        env, "logs", "ana/web", "-f", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"one\n"
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=20)[1] == b"interrupted\n"
    assert child.returncode == 130
    assert served.daemon.sessions[0].closed.wait(10)


def test_events_as_they_come(served: Served, env: dict[str, str]) -> None:
    with started(
        env, "events", "-f", "-o", "json", stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        wait_until(lambda: served.daemon.subscribers == 1)
        served.on_loop(served.daemon.publish, EventType.PROVIDER_ADDED, "x")
        assert child.stdout is not None
        assert b'"provider_added"' in child.stdout.readline()


def test_events_as_lines_after_those_missed(served: Served, env: dict[str, str]) -> None:
    served.on_loop(served.daemon.publish, EventType.PROVIDER_ADDED, "early")
    words = ("events", "-f", "--since", "0")
    with started(env, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert b"provider_added  early" in child.stdout.readline()


def test_ls_watch_as_json(served: Served, env: dict[str, str]) -> None:
    with started(env, "ls", "-w", "-o", "json", stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert json.loads(child.stdout.readline())["data"]["items"] == []
        wait_until(lambda: served.daemon.subscribers == 1)
        web = served.on_loop(served.daemon.add, "web")
        for _ in range(5):
            served.on_loop(served.daemon.publish, EventType.INSTANCE_CREATED, web.id)
        assert json.loads(child.stdout.readline())["data"]["items"][0]["id"] == web.id


def test_any_name_in_any_locale(served: Served, env: dict[str, str]) -> None:
    served.on_loop(served.daemon.add, "日本")
    ran = process("ls", "-o", "name", env=env | {"PYTHONIOENCODING": "latin-1"})
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "ana/\\u65e5\\u672c\n"


def test_ls_watch_shows_what_changes(served: Served, env: dict[str, str]) -> None:
    with started(env, "ls", "--watch", stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        web = served.on_loop(served.daemon.add, "web")
        wait_until(lambda: served.daemon.subscribers == 1)
        served.on_loop(served.daemon.publish, EventType.INSTANCE_CREATED, web.id)
        assert child.stdout.readline().startswith(b"NAME")
        assert child.stdout.readline().startswith(b"ana/web")
        # That somebody has used it is no news; another instance is.
        idle = Idle(last_used=EPOCH, used_by="a browser")
        served.on_loop(served.daemon.by_id.update, {web.id: replace(web, idle=idle)})
        served.on_loop(served.daemon.publish, EventType.INSTANCE_HEALTH_CHANGED, web.id)
        zoo = served.on_loop(served.daemon.add, "zoo")
        served.on_loop(served.daemon.publish, EventType.INSTANCE_CREATED, zoo.id)
        assert child.stdout.readline().startswith(b"ana/zoo")


def test_a_command_gets_standard_input_and_gives_its_exit_code(
    served: Served, env: dict[str, str]
) -> None:
    served.on_loop(served.daemon.add, "web")
    ran = process("exec", "-i", "ana/web", "--", "cat", env=env, stdin=b"x" * 1_000_000)
    assert (ran.code, len(ran.out)) == (0, 1_000_000)


# --- at a terminal ---------------------------------------------------------------------------


def test_a_terminal_sees_colours_and_lines_that_fit(
    served: Served, env: dict[str, str], open_terminal: OpenTerminal
) -> None:
    served.on_loop(served.daemon.add, "a-long-name-" * 12)
    terminal = open_terminal(env | {"COLUMNS": "60"}, "ls")
    assert terminal.finish() == 0
    assert "\x1b[32mrunning\x1b[0m" in terminal.seen
    plain = open_terminal(env | {"NO_COLOR": "1", "COLUMNS": "60"}, "ls")
    assert plain.finish() == 0
    assert "\x1b" not in plain.seen
    assert max(map(len, plain.seen.splitlines())) <= 60


def test_the_progress_line_comes_and_goes(
    served: Served, env: dict[str, str], open_terminal: OpenTerminal
) -> None:
    served.on_loop(served.daemon.hold)
    terminal = open_terminal(env, "create", "web")
    terminal.until("web: create")
    (operation,) = served.daemon.ops
    wait_until(lambda: served.daemon.subscribers == 1)
    _publish_progress(served, operation)
    terminal.until("web: installing extensions  25%")
    served.on_loop(served.daemon.let_go)
    assert terminal.finish() == 0
    assert "\r\x1b[K" in terminal.seen
    assert terminal.seen.rstrip().endswith("swarmctl open web --password")


def _publish_progress(served: Served, operation: str) -> None:
    def publish() -> None:
        daemon = served.daemon
        event = daemon.publish(
            EventType.OPERATION_PROGRESS, "x", message="installing extensions", fraction=0.25
        )
        ours = msgspec.structs.replace(event, operation=operation, seq=event.seq + 1)
        daemon.journal.append(ours)
        for subscriber in daemon._subscribers:
            subscriber.put_nowait(ours)

    served.on_loop(publish)


@pytest.mark.parametrize(("answer", "code", "left"), [("n\n", 1, 1), ("y\n", 0, 0)])
def test_rm_force_asks_a_person(
    served: Served,
    env: dict[str, str],
    open_terminal: OpenTerminal,
    answer: str,
    code: int,
    left: int,
) -> None:
    served.on_loop(served.daemon.add, "web")
    terminal = open_terminal(env, "rm", "--force", "ana/web")
    terminal.until("There is no undo [y/N]: ")
    terminal.type(answer)
    assert terminal.finish() == code
    alive = [i for i in served.daemon.by_id.values() if i.status != "deleted"]
    assert len(alive) == left


def test_yes_is_not_asked(served: Served, env: dict[str, str], open_terminal: OpenTerminal) -> None:
    served.on_loop(served.daemon.add, "web")
    terminal = open_terminal(env, "rm", "--force", "--yes", "ana/web")
    assert terminal.finish() == 0
    assert "[y/N]" not in terminal.seen


def test_an_archive_does_not_go_to_a_terminal(
    served: Served, env: dict[str, str], open_terminal: OpenTerminal
) -> None:
    served.on_loop(served.daemon.add, "web")
    terminal = open_terminal(env, "export", "ana/web", "-o", "-")
    assert terminal.finish() == 2
    assert "does not go to a terminal" in terminal.seen


def test_an_export_goes_where_standard_output_goes(
    served: Served, env: dict[str, str], open_terminal: OpenTerminal, tmp_path: Path
) -> None:
    served.on_loop(served.daemon.add, "web")
    assert process("export", "ana/web", env=env).out == "\0" * 1024
    target = tmp_path / "web.tar"
    with target.open("wb") as out, started(env, "export", "ana/web", stdout=out) as child:
        assert child.wait(30) == 0
    assert target.read_bytes() == bytes(1024)


def test_ls_watch_redraws_a_terminal(
    served: Served, env: dict[str, str], open_terminal: OpenTerminal
) -> None:
    terminal = open_terminal(env, "ls", "-w")
    terminal.until("\x1b[HNAME")
    wait_until(lambda: served.daemon.subscribers == 1)
    web = served.on_loop(served.daemon.add, "web")
    served.on_loop(served.daemon.publish, EventType.INSTANCE_CREATED, web.id)
    terminal.until("ana/web")
    terminal.type("\x03")
    assert terminal.finish() == 130


def test_what_does_not_fit_a_terminal_is_counted(
    served: Served, env: dict[str, str], open_terminal: OpenTerminal
) -> None:
    for number in range(40):
        served.on_loop(served.daemon.add, f"n{number:02}")
    terminal = open_terminal(env, "ls", "-w", rows=10)
    terminal.until("… 33 more")
    terminal.type("\x03")
    assert terminal.finish() == 130
    assert "n06" in terminal.seen
    assert "n07" not in terminal.seen


def test_a_closed_stderr_changes_no_exit_code(env: dict[str, str]) -> None:
    shell = ["sh", "-c", '"$@" 2>&-', "sh", *COMMAND, "version", "-o", "json"]
    done = subprocess.run(shell, env=env, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0
    assert json.loads(done.stdout)["success"] is True
