"""Running a helper program as the account: bounded output, cancellable, nothing of it left.

A helper may start others that leave its process group, so each carries a mark in its
environment. By the mark they are all found, also those of a daemon that was killed meanwhile.
What it runs (a repository's hooks, an extension's scripts) may be a stranger's, so it runs in the
instance's control groups, within its limits, and nothing in them outlives it.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from swarmd.errors import ProviderError
from swarmd.ports import Call
from swarmd.providers.local import cgroups, tree
from swarmd.providers.local.identity import is_alive, wait_ended
from swarmd.providers.local.launcher import Child, Launch, spawn
from swarmd.providers.shared.account import Account
from swarmd.providers.shared.faults import os_faults

MARK = "SWARMD_HELPER"
_KEPT_LINES, _KEPT_CHARS = 20, 500
_LOOK_EVERY = 0.1  # seconds between looks at the call's cancel token
_GRACE = 2.0  # seconds from SIGTERM to SIGKILL

MakeGroups = Callable[[], tuple[Path, ...]]
_make_groups: ContextVar[MakeGroups] = ContextVar("_make_groups", default=tuple)


@contextlib.contextmanager
def confined(make: MakeGroups) -> Iterator[None]:
    """Helpers that this thread runs meanwhile are put into control groups.

    Args:
        make: Makes them, with their limits; asked only when a helper is run. Nothing else may
            run in them: each helper's end is the end of all that they hold.
    """
    token = _make_groups.set(make)
    try:
        yield
    finally:
        _make_groups.reset(token)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a helper ended, and the last that it said."""

    code: int
    lines: tuple[str, ...]

    @property
    def cause(self) -> str:
        """Its last lines, for ``details["cause"]``."""
        return "\n".join(self.lines) or f"it ended with {self.code} and said nothing"


def run(
    argv: Sequence[str],
    *,
    account: Account,
    env: Mapping[str, str],
    cwd: Path,
    mark: str,
    call: Call,
    on_line: Callable[[str], None] = lambda line: None,
) -> Ended:
    """Run a program to its end and keep the last lines of what it says.

    Args:
        argv: Program and arguments.
        account: Who runs it.
        env: Its whole environment, but for the mark.
        cwd: Where it starts.
        mark: The id of the instance that it helps. What an earlier helper of the same
            instance left running is ended first.
        call: Ends it at the deadline or when cancelled.
        on_line: Told every line.

    Raises:
        ProviderError: The program is not there.
        ResourceLimitError: No process can be started.
        OperationCancelled, DeadlineExceeded: The call ended; nothing of the program runs.
    """
    call.check()
    end_marked(mark)
    lines = _Lines(on_line)
    child, output, groups = _begin(argv, account, {**env, MARK: mark}, cwd)
    try:
        _listen(child, output, call, lines)
    finally:
        code = _end(child, output, mark, groups)
    return Ended(code, tuple(lines.last))


def _begin(
    argv: Sequence[str], account: Account, env: Mapping[str, str], cwd: Path
) -> tuple[Child, IO[bytes], tuple[Path, ...]]:
    """Make its control groups and start it in them; they go again if it cannot be started."""
    with os_faults("making the helper's control groups"):
        groups = _make_groups.get()()
    try:
        return *_start(argv, account, env, cwd, groups), groups
    except BaseException:
        cgroups.remove(groups)
        raise


def _start(
    argv: Sequence[str],
    account: Account,
    env: Mapping[str, str],
    cwd: Path,
    groups: tuple[Path, ...],
) -> tuple[Child, IO[bytes]]:
    """Start it the way a server is started: in its groups before it executes anything."""
    if shutil.which(argv[0], path=env.get("PATH", os.defpath)) is None:
        raise ProviderError(
            f"{argv[0]} is not there to be run",
            next_step=f"Install {Path(argv[0]).name}, or put it on the daemon's PATH.",
        )
    with os_faults(f"starting {argv[0]}"):
        reading, writing = os.pipe2(os.O_CLOEXEC)
        output = open(reading, "rb", buffering=0)  # noqa: PTH123, SIM115 - a descriptor; _end closes
        try:
            launch = Launch(argv, cwd, env, account, (writing, writing), groups=groups)
            child = spawn(launch)
        except BaseException:
            output.close()
            raise
        finally:
            os.close(writing)
    try:
        child.go()
    except BaseException:
        output.close()
        raise
    return child, output


def _listen(child: Child, output: IO[bytes], call: Call, lines: _Lines) -> None:
    """Read its output until it ended. Others may keep the pipe open: they are not waited for."""
    exit_watch = os.pidfd_open(child.identity.pid)
    try:
        os.set_blocking(output.fileno(), False)
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            selector.register(exit_watch, selectors.EVENT_READ)
            while True:
                call.check()
                ready = {key.fd for key, _ in selector.select(min(_LOOK_EVERY, call.remaining))}
                over = exit_watch in ready
                if output.fileno() in ready or over:
                    still_open = lines.feed(_available(output.fileno()))
                    if not still_open and not over:
                        selector.unregister(output)
                if over:
                    lines.finish()
                    return
    finally:
        os.close(exit_watch)


def _available(descriptor: int) -> Iterator[bytes]:
    for _ in range(64):  # at most 4 MiB, then look at the cancel token again
        try:
            chunk = os.read(descriptor, 65536)
        except BlockingIOError:
            return
        yield chunk
        if not chunk:
            return


class _Lines:
    """Bytes into lines; a progress display's carriage return ends a line too."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self.last: deque[str] = deque(maxlen=_KEPT_LINES)
        self._told = told
        self._rest = b""

    def feed(self, chunks: Iterator[bytes]) -> bool:
        """Take what came; False once the pipe is closed."""
        for chunk in chunks:
            if not chunk:
                return False
            *whole, rest = re.split(rb"[\r\n]", self._rest + chunk)
            self._rest = rest[-_KEPT_CHARS:]
            for line in whole:
                self._tell(line)
        return True

    def finish(self) -> None:
        self._tell(self._rest)

    def _tell(self, line: bytes) -> None:
        text = line.decode(errors="replace").strip()
        if text:
            self.last.append(text[:_KEPT_CHARS])
            self._told(text)


def _end(child: Child, output: IO[bytes], mark: str, groups: tuple[Path, ...]) -> int:
    """End what is left of it: its process group, what bears its mark, its control groups.

    Until it is waited for, its number and its group's are nobody else's.
    """
    if is_alive(child.identity):
        _signal_group(child.identity.pid, signal.SIGTERM)
        wait_ended([child.identity], _GRACE)
    _signal_group(child.identity.pid, signal.SIGKILL)
    code = child.wait(_GRACE)
    output.close()
    end_marked(mark)
    tree.end(tuple, grace=0.0, check=lambda: None, groups=groups)
    cgroups.remove(groups)
    return -signal.SIGKILL if code is None else code


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def end_marked(mark: str) -> None:
    """Kill every process with this mark in its environment, until there is none."""
    needle = f"{MARK}={mark}".encode()
    for _ in range(20):  # one that is forking while it is looked for is found at the next look
        found = [pid for pid in _pids() if _bears(pid, needle)]
        if not found:
            return
        for pid in found:
            _kill(pid, needle)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _bears(pid: int, needle: bytes) -> bool:
    try:
        return needle in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # ended, or another user's
        return False


def _kill(pid: int, needle: bytes) -> None:
    """Kill by descriptor: between looking and killing the number may change its owner."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if _bears(pid, needle):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            with selectors.DefaultSelector() as selector:
                selector.register(handle, selectors.EVENT_READ)
                selector.select(1.0)
    except OSError:
        return
    finally:
        os.close(handle)
