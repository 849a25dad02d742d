"""Limits that the kernel enforces: control groups of either version.

The probe tries: it makes a group, sets each limit, and removes it. What works is what
capabilities tell. Every instance has one group per hierarchy in use, ``swarmd/<node>/<id>``
below our own group, so that whatever limits the daemon limits its instances too, or below the
hierarchy's root where ours lets nothing be made. The paths are recorded with the process: a
daemon that comes back in another group still finds them.

Sources: Documentation/admin-guide/cgroup-v1 and cgroup-v2 of the kernel.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from msgspec import Struct

LIMITS = ("cpu", "memory", "pids")
ACCOUNTING = "cpuacct"
"""Version 1: the controller that counts CPU time, also that of processes which have ended."""

_BATCH = 128  # descriptors open at a time while a group is killed


class Limits(Struct, frozen=True, kw_only=True):
    """What one instance may use: cores, bytes, processes and threads. None: no limit."""

    cpu: float | None = None
    memory: int | None = None
    pids: int | None = None

    def wanted(self) -> Iterator[tuple[str, float]]:
        """The limits that are set, by name."""
        for name in LIMITS:
            value = getattr(self, name)
            if value is not None:
                yield name, value


@dataclass(frozen=True, slots=True)
class Usage:
    """What a group uses right now; None where its hierarchy does not tell."""

    cpu_seconds: float | None = None
    memory_bytes: int | None = None
    pids: int | None = None


class Hierarchies(Protocol):
    """The groups of this host, of one version."""

    def enforced(self) -> tuple[str, ...]:
        """Which of cpu, memory and pids can be limited here."""

    def paths(self, name: str) -> tuple[Path, ...]:
        """Where the groups of an instance are, one per hierarchy, whether they exist or not."""

    def make(self, name: str) -> tuple[Path, ...]:
        """Make them. Raises ``OSError``."""

    def tidy(self) -> None:
        """Remove the folders around the groups if no instance is left in them."""

    def lacking(self, paths: Sequence[Path]) -> tuple[str, ...]:
        """Which of them the kernel offers no limit for after all."""

    def limit(self, paths: Sequence[Path], limits: Limits) -> None:
        """Set these limits, and lift those that are None."""

    def usage(self, paths: Sequence[Path]) -> Usage:
        """What the groups use."""

    def killed_for_memory(self, paths: Sequence[Path]) -> bool:
        """Whether the kernel ended something in them because memory ran out."""


def enter(paths: Sequence[Path], pid: int) -> None:
    """Put a process into the groups. Raises ``OSError``."""
    for path in paths:
        (path / "cgroup.procs").write_text(str(pid))


def processes(paths: Sequence[Path]) -> set[int]:
    """The pids in the groups and in the groups below them."""
    found: set[int] = set()
    for path in paths:
        for folder in _below(path):
            with contextlib.suppress(OSError):
                found.update(map(int, (folder / "cgroup.procs").read_text().split()))
    return found


def without_us(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Those groups that this process is not in: a daemon may run in an instance's terminal."""
    return tuple(path for path in paths if os.getpid() not in processes([path]))


def stop_forks(paths: Sequence[Path]) -> None:
    """Let nothing new begin in the groups, where the kernel counts their processes.

    Who kills one by one is otherwise overtaken by what forks and exits. ``limit`` undoes it.
    """
    for path in paths:
        with contextlib.suppress(OSError):
            if (path / "pids.max").exists():
                (path / "pids.max").write_text("0")


def kill_all(paths: Sequence[Path]) -> None:
    """Kill everything in the groups: at once (version 2), or one by one."""
    for path in paths:
        try:
            switch = os.open(path / "cgroup.kill", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:  # version 1, or a kernel before 5.14
            _kill_each(path)
            continue
        try:
            os.write(switch, b"1")
        finally:
            os.close(switch)


def _kill_each(path: Path) -> None:
    """By descriptor: what is in the group after its descriptor was opened is the process meant.

    A bare number could be another process's by the time of the signal.
    """
    waiting = [pid for pid in processes([path]) if pid > 0]  # 0: of another pid namespace
    while waiting:
        batch, waiting = waiting[:_BATCH], waiting[_BATCH:]
        with contextlib.ExitStack() as stack:
            descriptors = {}
            for pid in batch:
                with contextlib.suppress(ProcessLookupError):
                    descriptors[pid] = os.pidfd_open(pid)
                    stack.callback(os.close, descriptors[pid])
            for pid in processes([path]) & descriptors.keys():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    signal.pidfd_send_signal(descriptors[pid], signal.SIGKILL)


def remove(paths: Sequence[Path]) -> None:
    """Remove empty groups; those that are gone or still hold something are passed over."""
    for path in paths:
        for folder in reversed(list(_below(path))):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _below(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        return
    yield path
    with contextlib.suppress(OSError):
        for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False):
                yield from _below(Path(entry.path))


def safe_name(text: str) -> str:
    """A folder's name that no text can leave."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)
