"""What tests of every room share: waiting for facts, and asking for real parts."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from swarmd.errors import SwarmError

T = TypeVar("T")


def wait_until(
    predicate: Callable[[], T],
    *,
    timeout: float = 10.0,
    describe: Callable[[], object] | None = None,
) -> T:
    """Wait for a fact and return it; fail with what was seen instead.

    Args:
        predicate: Asked about a hundred times a second, less often where asking takes long: the
            waits of all tests together would else leave no time to what they wait for. Its first
            true answer is returned.
        timeout: Seconds.
        describe: What to tell if the fact does not come; else the last answer is told.
    """
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        asked = time.monotonic()
        answer = predicate()
        if answer:
            return answer
        now = time.monotonic()
        if now >= deadline:
            seen = describe() if describe is not None else answer
            pytest.fail(f"not true within {timeout:g} s; last seen: {seen!r}")
        pause.wait(_pause(now - asked))


def _pause(asking: float) -> float:
    """Seconds until one asks again, when asking took so many."""
    return min(max(0.01, 2 * asking), 0.25)


def fastest(call: Callable[[], object], times: int = 5) -> float:
    """Seconds of the fastest of several calls: the one that other tests disturbed least."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def require(part: str, found: object, reason: str) -> None:
    """Skip the test without this real part, or fail it if the machine was said to have it.

    Args:
        part: docker, redis, code-server, browser, tmux or root.
        found: Whether it is there.
        reason: Why the test cannot run without it.
    """
    if found:
        return
    if part in os.environ.get("SWARMD_TEST_REQUIRE", "").split():
        pytest.fail(f"{part} is required by SWARMD_TEST_REQUIRE: {reason}", pytrace=False)
    pytest.skip(f"{part}: {reason}")


def waited(left: Callable[[], set[T]], timeout: float) -> set[T]:
    """What is still there when nothing is left or the time (seconds) is over."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        asked = time.monotonic()
        found = left()
        now = time.monotonic()
        if not found or now >= deadline:
            return found
        pause.wait(_pause(now - asked))


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on right now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


CHECKOUT = Path(__file__).parent.parent


def untraced() -> dict[str, str]:
    """The environment for a process whose coverage is not measured, which halves its work."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


def server_directory() -> Path:
    """Where the tests' managed code-server lies: below the checkout, kept between runs."""
    return Path(os.environ.get("SWARMD_TEST_SERVER_DIR") or CHECKOUT / ".run" / "server")


def code_server_directory() -> Path:
    """The managed code-server's directory; it is installed there if it is not yet.

    Skips (or fails, if required) where neither the machine nor the network gives one.
    """
    from swarmd.setup import find_installed, install_code_server

    directory = server_directory()
    if find_installed(directory) is not None:
        return directory
    try:
        install_code_server(directory, on_progress=lambda progress: None)
    except SwarmError as error:
        require("code-server", found=False, reason=str(error))
    return directory


@dataclass(frozen=True, slots=True)
class Process:
    """A process as /proc shows it: the pid alone may be reused."""

    pid: int
    started: str = ""
    command: str = ""

    def kill(self) -> None:
        """End it at once, if it still is the one."""
        if is_alive(self):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def __str__(self) -> str:
        return f"{self.pid} ({self.command})"


def _read(path: str) -> bytes:
    """A small file of /proc; plainly, since what waits reads hundreds of them at a time."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return b"".join(iter(lambda: os.read(fd, 1 << 17), b""))
    finally:
        os.close(fd)


def read_process(pid: int) -> Process | None:
    """The process of this pid; None if there is none or it is a zombie."""
    try:
        stat = _read(f"/proc/{pid}/stat").decode(errors="replace")
        command = _read(f"/proc/{pid}/cmdline")
    except OSError:
        return None
    state, *rest = stat.rpartition(")")[2].split()
    if state in "ZX":
        return None
    shown = command.replace(b"\0", b" ").decode(errors="replace").strip()
    return Process(pid, started=rest[18], command=shown[:120])


def is_alive(process: Process) -> bool:
    """Whether this very process still runs."""
    now = read_process(process.pid)
    return now is not None and now.started == process.started


def all_pids() -> set[int]:
    """Every process that can be seen."""
    return {int(entry) for entry in os.listdir("/proc") if entry.isdigit()}  # noqa: PTH208


def parents() -> dict[int, int]:
    """The parent of every process."""
    found = {}
    for pid in all_pids():
        with contextlib.suppress(OSError):
            found[pid] = _parent(pid)
    return found


def _parent(pid: int) -> int:
    return int(_read(f"/proc/{pid}/stat").rpartition(b")")[2].split()[1])


def descends(pid: int, root: int) -> bool:
    """Whether a process is below another one; an orphan is not."""
    while pid > 1:
        if pid == root:
            return True
        try:
            pid = _parent(pid)
        except OSError:
            return False
    return False


def mentions(pid: int, folder: Path) -> bool:
    """Whether a process works in, was started with, or was told of, a folder."""
    needle = os.fsencode(folder)
    with contextlib.suppress(OSError):
        if needle in os.readlink(f"/proc/{pid}/cwd".encode()):  # noqa: PTH115
            return True
    for part in ("cmdline", "environ"):
        with contextlib.suppress(OSError):
            if needle in _read(f"/proc/{pid}/{part}"):
                return True
    return False


def processes_below(folder: Path, *, known: set[int] | None = None) -> set[Process]:
    """Our descendants, and every process that has to do with a folder, wherever its parent is.

    Args:
        folder: What they work in or were told of.
        known: Pids that are passed over, unlooked at.
    """
    ours = os.getpid()
    pids = all_pids() - (known or set()) - {ours}
    concerned = {pid for pid in pids if descends(pid, ours) or mentions(pid, folder)}
    return {process for pid in concerned if (process := read_process(pid)) is not None}


def fill_disk(folder: Path) -> Path:
    """Take every byte that is left where a folder lies; the file that has them."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    return ballast
