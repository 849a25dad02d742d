"""Which process a pid stands for: pids are used again, so a pid alone names nothing.

A process is (boot id, pid, start time in kernel ticks). Signals go through a pidfd whose
process was compared with that identity after the descriptor was opened: a reused pid is never
touched. A zombie is dead: it only waits for its parent (see proc(5), pidfd_open(2)).
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import select
import signal
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

_DEAD_STATES = ("Z", "X", "x")
_NO_PROCESS = (errno.ESRCH, errno.EINVAL, errno.ENOENT)  # the last two: a thread of another one


class Identity(Struct, frozen=True, kw_only=True):
    """One process of this host, now and for ever."""

    boot: str
    pid: int
    started: int


class Stat(Struct, frozen=True, kw_only=True):
    """What ``/proc/<pid>/stat`` tells, as far as it is needed here."""

    pid: int
    state: str
    parent: int
    session: int
    threads: int
    started: int
    cpu_ticks: int

    @property
    def dead(self) -> bool:
        """Whether it has ended and only waits for its parent.

        Its first thread may be a zombie while others still run: then it has not.
        """
        return self.state in _DEAD_STATES and self.threads <= 1


@functools.cache
def boot_id() -> str:
    """The id of this boot of the kernel."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def parse_stat(pid: int, raw: bytes) -> Stat:
    """Read a ``stat`` line. The name, in parentheses, may itself contain anything.

    Raises:
        ValueError: It is no such line.
    """
    _, found, rest = raw.rpartition(b")")
    fields = rest.split()
    if not found or len(fields) < 20:
        raise ValueError(f"not a stat line: {raw[:80]!r}")
    return Stat(
        pid=pid,
        state=fields[0].decode(),
        parent=int(fields[1]),
        session=int(fields[3]),
        threads=int(fields[17]),
        started=int(fields[19]),
        cpu_ticks=int(fields[11]) + int(fields[12]),
    )


def read_stat(pid: int) -> Stat | None:
    """What the kernel says of this pid now; None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - one call per process
            return parse_stat(pid, file.read())
    except (FileNotFoundError, ProcessLookupError):
        return None


def identify(pid: int) -> Identity | None:
    """The identity of the process that has this pid now; None if there is none or it is dead."""
    stat = read_stat(pid)
    if stat is None or stat.dead:
        return None
    return Identity(boot=boot_id(), pid=pid, started=stat.started)


def is_alive(identity: Identity) -> bool:
    """Whether this very process still runs."""
    return identity.boot == boot_id() and identify(identity.pid) == identity


def open_pidfd(identity: Identity) -> int | None:
    """A descriptor of this very process, readable once it has ended; None if it has."""
    if identity.boot != boot_id():
        return None
    try:
        descriptor = os.pidfd_open(identity.pid)
    except OSError as error:
        if error.errno in _NO_PROCESS:
            return None
        raise
    try:
        alive = is_alive(identity)
    except BaseException:  # no descriptor is left to look with
        os.close(descriptor)
        raise
    if alive:
        return descriptor
    os.close(descriptor)
    return None


def send_signal(identity: Identity, number: signal.Signals) -> bool:
    """Send a signal to this very process. False if it has ended.

    Raises:
        PermissionError: It belongs to someone else.
    """
    descriptor = open_pidfd(identity)
    if descriptor is None:
        return False
    try:
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def wait_ended(identities: Iterable[Identity], seconds: float) -> None:
    """Return when all of these have ended, or after so many seconds."""
    import time

    deadline = time.monotonic() + seconds
    with contextlib.ExitStack() as stack:
        waiting: set[int] = set()
        poller = select.poll()
        for identity in identities:
            descriptor = open_pidfd(identity)
            if descriptor is not None:
                stack.callback(os.close, descriptor)
                poller.register(descriptor, select.POLLIN)
                waiting.add(descriptor)
        while waiting:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return
            for descriptor, _ in poller.poll(remaining * 1000):
                poller.unregister(descriptor)
                waiting.discard(descriptor)
