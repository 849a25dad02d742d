"""A program in a terminal of its own: what it paints, when, and what that costs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LIMIT_SECONDS = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Terminal:
    """One program in a pseudo terminal."""

    pid: int
    master: int
    seen: bytes = b""

    def send(self, keys: bytes) -> None:
        """Type."""
        os.write(self.master, keys)

    def read(self, seconds: float) -> bytes:
        """What is painted until there is something, at most for so long."""
        ready, _, _ = select.select([self.master], [], [], max(0.0, seconds))
        new = os.read(self.master, 1 << 16) if ready else b""
        self.seen = (self.seen + new)[-(1 << 20) :]
        return new

    def until(self, *words: bytes) -> float:
        """When (monotonic seconds) all of these words had been painted since the last call."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while any(word not in self.seen for word in words):
            self.read(0.5)
            assert time.monotonic() < deadline, (words, self.seen[-2000:])
        self.seen = b""
        return time.monotonic()

    def settle(self, quiet: float) -> None:
        """Read on until nothing was painted for so long."""
        while self.read(quiet):
            pass
        self.seen = b""

    def drain(self, seconds: float) -> None:
        """Read all that is painted in this time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)
        self.seen = b""

    def paint_after(self, keys: bytes) -> float:
        """Seconds from typing to the first paint after it; what was painted before is read."""
        while self.read(0):
            pass
        begun = time.monotonic()
        self.send(keys)
        assert self.read(LIMIT_SECONDS), "nothing was painted"
        return time.monotonic() - begun

    def cpu_seconds(self) -> float:
        """Its processor time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_mib(self) -> float:
        """Its resident memory."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


@contextlib.contextmanager
def running(
    command: Sequence[str], env: Mapping[str, str], columns: int = 140, rows: int = 40
) -> Iterator[Terminal]:
    """Start a program in a terminal of this size; it is ended at the end."""
    pid, master = pty.fork()
    if pid == 0:
        os.execvpe(command[0], list(command), dict(env))
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    try:
        yield Terminal(pid, master)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(master)
