"""Control groups of version 1 and of version 2: their files (``cgroups`` has what they share).

Sources: Documentation/admin-guide/cgroup-v1 and cgroup-v2 of the kernel.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from swarmd.errors import ResourceLimitError
from swarmd.providers.local.cgroups import LIMITS, Limits, Usage, safe_name

_PERIOD = 100_000  # microseconds: the kernel's default period of the CPU quota
_LEAST_QUOTA = 1_000
_TRIES = 20
_FILES_ONE = {"cpu": "cpu.cfs_quota_us", "memory": "memory.limit_in_bytes", "pids": "pids.max"}
_FILES_TWO = {"cpu": "cpu.max", "memory": "memory.max", "pids": "pids.max"}


def hand_down(folder: Path, controller: str) -> bool:
    """Enable one controller for the groups below; a group with processes may refuse that."""
    file = folder / "cgroup.subtree_control"
    with contextlib.suppress(OSError):
        if controller in file.read_text().split():
            return True
        file.write_text(f"+{controller}")
        return True
    return False


def _make(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    for path in paths:
        for _ in range(_TRIES):  # another instance's end may tidy the folders around it away
            try:
                path.mkdir(parents=True, exist_ok=True)
                break
            except FileNotFoundError:
                continue
        else:
            path.mkdir(parents=True, exist_ok=True)
    return paths


def _tidy(bases: Iterable[Path]) -> None:
    """``swarmd/<node>``, then ``swarmd``: a folder that holds a group refuses to go."""
    for base in bases:
        with contextlib.suppress(OSError):
            base.rmdir()
            base.parent.rmdir()


@contextlib.contextmanager
def _reported(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        no_room = error.errno in (errno.ENOSPC, errno.ENOMEM, errno.EAGAIN)
        raise ResourceLimitError(
            f"the limit of {what} cannot be set: {error.strerror}",
            field=f"config.resources.{what}",
            next_step="Free resources of the host." if no_room else "Ask for another value.",
            details={"cause": str(error)},
        ) from error


def _lacking(
    names: Iterable[str], files: Mapping[str, str], paths: Sequence[Path]
) -> tuple[str, ...]:
    return tuple(name for name in names if not any((path / files[name]).exists() for path in paths))


def _quota(cores: float) -> int:
    return max(_LEAST_QUOTA, int(cores * _PERIOD))


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _keyed(file: Path, key: str) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        for line in file.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == key:
                return int(value)
    return None


# --- version 1: a hierarchy per controller ---------------------------------------------------


class VersionOne:
    """Controllers with a hierarchy each.

    Args:
        bases: For each of cpu, memory, pids and cpuacct that works, the folder that our groups
            lie in.
    """

    def __init__(self, bases: dict[str, Path]) -> None:
        self._bases = bases

    def enforced(self) -> tuple[str, ...]:
        """Which of cpu, memory and pids can be limited here."""
        return tuple(name for name in LIMITS if name in self._bases)

    def paths(self, name: str) -> tuple[Path, ...]:
        """Where the groups of an instance are; controllers may share a hierarchy."""
        return tuple(dict.fromkeys(base / safe_name(name) for base in self._bases.values()))

    def make(self, name: str) -> tuple[Path, ...]:
        """Make the groups of an instance."""
        return _make(self.paths(name))

    def tidy(self) -> None:
        """Remove the folders around the groups if no instance is left in them."""
        _tidy(self._bases.values())

    def limit(self, paths: Sequence[Path], limits: Limits) -> None:
        """Set these limits, and lift those that are None."""
        for path in paths:
            _limit_one(path, limits)

    def lacking(self, paths: Sequence[Path]) -> tuple[str, ...]:
        """Which of them the kernel offers no limit for (built without CPU bandwidth, say)."""
        return _lacking(self.enforced(), _FILES_ONE, paths)

    def usage(self, paths: Sequence[Path]) -> Usage:
        """What the groups use; no CPU time where cpuacct is not mounted."""
        spent = _first(_number(path / "cpuacct.usage") for path in paths)
        return Usage(
            cpu_seconds=None if spent is None else spent / 1e9,
            memory_bytes=_first(_memory_one(path) for path in paths),
            pids=_first(_number(path / "pids.current") for path in paths),
        )

    def killed_for_memory(self, paths: Sequence[Path]) -> bool:
        """Whether the kernel ended something in them because memory ran out."""
        return any((_keyed(path / "memory.oom_control", "oom_kill") or 0) > 0 for path in paths)


def _limit_one(path: Path, limits: Limits) -> None:
    if (path / "pids.max").exists():
        with _reported("pids"):
            (path / "pids.max").write_text(str(limits.pids or "max"))
    if (path / "cpu.cfs_quota_us").exists():
        with _reported("cpu"):
            quota = -1 if limits.cpu is None else _quota(limits.cpu)
            (path / "cpu.cfs_period_us").write_text(str(_PERIOD))
            (path / "cpu.cfs_quota_us").write_text(str(quota))
    if (path / "memory.limit_in_bytes").exists():
        with _reported("memory"):
            _limit_memory_one(path, limits.memory)


def _limit_memory_one(path: Path, limit: int | None) -> None:
    """Memory never above memory and swap together: which is set first depends on the way."""
    memory, both = path / "memory.limit_in_bytes", path / "memory.memsw.limit_in_bytes"
    value = str(-1 if limit is None else limit)
    if not both.exists():
        memory.write_text(value)
        return
    now = _number(both) or 0
    rising = limit is None or limit > now
    for file in (both, memory) if rising else (memory, both):
        file.write_text(value)


def _memory_one(path: Path) -> int | None:
    """Memory in use without the file cache, which the kernel takes back when it needs to."""
    used = _number(path / "memory.usage_in_bytes")
    if used is None:
        return None
    return max(0, used - (_keyed(path / "memory.stat", "total_inactive_file") or 0))


# --- version 2: one hierarchy ----------------------------------------------------------------


class VersionTwo:
    """The unified hierarchy.

    Args:
        base: The folder that our groups lie in.
        controllers: Which of cpu, memory and pids are handed down to them.
    """

    def __init__(self, base: Path, controllers: Sequence[str]) -> None:
        self._base = base
        self._controllers = tuple(controllers)

    def enforced(self) -> tuple[str, ...]:
        """Which of cpu, memory and pids can be limited here."""
        return tuple(name for name in LIMITS if name in self._controllers)

    def paths(self, name: str) -> tuple[Path, ...]:
        """Where the group of an instance is."""
        return (self._base / safe_name(name),)

    def make(self, name: str) -> tuple[Path, ...]:
        """Make the group of an instance, and hand the controllers down to it."""
        self._base.mkdir(parents=True, exist_ok=True)
        for folder in (self._base.parent, self._base):
            for controller in self._controllers:
                hand_down(folder, controller)
        return _make(self.paths(name))

    def tidy(self) -> None:
        """Remove the folders around the groups if no instance is left in them."""
        _tidy([self._base])

    def limit(self, paths: Sequence[Path], limits: Limits) -> None:
        """Set these limits, and lift those that are None."""
        for path in paths:
            for name in self.enforced():
                with _reported(name):
                    _limit_two(path, name, limits)

    def lacking(self, paths: Sequence[Path]) -> tuple[str, ...]:
        """Which of them the kernel offers no limit for."""
        return _lacking(self.enforced(), _FILES_TWO, paths)

    def usage(self, paths: Sequence[Path]) -> Usage:
        """What the group uses."""
        spent = _first(_keyed(path / "cpu.stat", "usage_usec") for path in paths)
        return Usage(
            cpu_seconds=None if spent is None else spent / 1e6,
            memory_bytes=_first(_memory_two(path) for path in paths),
            pids=_first(_number(path / "pids.current") for path in paths),
        )

    def killed_for_memory(self, paths: Sequence[Path]) -> bool:
        """Whether the kernel ended something in them because memory ran out."""
        return any((_keyed(path / "memory.events", "oom_kill") or 0) > 0 for path in paths)


def _limit_two(path: Path, name: str, limits: Limits) -> None:
    if name == "pids":
        (path / "pids.max").write_text(str(limits.pids or "max"))
    elif name == "cpu":
        quota = "max" if limits.cpu is None else str(_quota(limits.cpu))
        (path / "cpu.max").write_text(f"{quota} {_PERIOD}")
    else:
        (path / "memory.max").write_text("max" if limits.memory is None else str(limits.memory))
        if (path / "memory.swap.max").exists():  # swap would let it grow beyond its memory
            (path / "memory.swap.max").write_text("max" if limits.memory is None else "0")


def _memory_two(path: Path) -> int | None:
    used = _number(path / "memory.current")
    if used is None:
        return None
    return max(0, used - (_keyed(path / "memory.stat", "inactive_file") or 0))


def _first(values: Iterator[int | None]) -> int | None:
    return next((value for value in values if value is not None), None)
