"""Finding out which control groups work here, by trying them."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from swarmd.errors import ResourceLimitError
from swarmd.providers.local.cgroups import (
    ACCOUNTING,
    LIMITS,
    Hierarchies,
    Limits,
    remove,
    safe_name,
)
from swarmd.providers.local.hierarchies import VersionOne, VersionTwo, hand_down

_OURS = re.compile(r"(?P<above>.*?)/swarmd/[^/]+/[0-9a-hjkmnp-tv-z]{26}(/.*)?")
_TRIAL = Limits(cpu=1.0, memory=64 << 20, pids=100)


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted hierarchy: where, which version, which controllers (version 1)."""

    path: Path
    version: int
    controllers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Found:
    """What the probe found: the groups to use, if any, and why others cannot be."""

    hierarchies: Hierarchies | None
    notes: tuple[str, ...] = ()

    @property
    def enforced(self) -> tuple[str, ...]:
        """Which limits hold here."""
        return self.hierarchies.enforced() if self.hierarchies else ()


def probe(node: str, mountinfo: str | None = None, memberships: str | None = None) -> Found:
    """Try the control groups of this host; the version that enforces more is taken.

    Args:
        node: This daemon's id: its groups lie in a folder of that name.
        mountinfo: ``/proc/self/mountinfo``, read if not given.
        memberships: ``/proc/self/cgroup``, read if not given.
    """
    mounts = read_mounts(mountinfo if mountinfo is not None else _read("/proc/self/mountinfo"))
    own = read_memberships(memberships if memberships is not None else _read("/proc/self/cgroup"))
    folder = f"swarmd/{safe_name(node)}"
    one, notes_one = _try_one(mounts, own, folder)
    two, notes_two = _try_two(mounts, own, folder)
    candidates: list[Hierarchies] = [two, one] if two and one else [h for h in (two, one) if h]
    best = max(candidates, key=lambda found: len(found.enforced()), default=None)
    if best is not None and best.enforced() == LIMITS:
        return Found(best)
    notes = notes_one + notes_two or ("no control groups are mounted here",)
    return Found(best, tuple(dict.fromkeys(notes)))


def read_mounts(mountinfo: str) -> tuple[Mount, ...]:
    """The mounted hierarchies of a ``mountinfo`` (proc_pid_mountinfo(5))."""
    found = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, tail = before.split(), after.split()
        if len(fields) < 5 or len(tail) < 3 or tail[0] not in ("cgroup", "cgroup2"):
            continue
        path = Path(fields[4].encode().decode("unicode_escape"))
        if tail[0] == "cgroup2":
            found.append(Mount(path, 2))
        else:
            found.append(Mount(path, 1, frozenset(tail[2].split(",")) & {*LIMITS, ACCOUNTING}))
    return tuple(found)


def read_memberships(text: str) -> dict[str, str]:
    """Our group in each hierarchy, by controller; ``""`` is version 2."""
    found = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            found[controller] = path
    return found


def _read(file: str) -> str:
    try:
        return Path(file).read_text()
    except OSError:
        return ""


def _try_one(
    mounts: tuple[Mount, ...], own: dict[str, str], folder: str
) -> tuple[Hierarchies | None, tuple[str, ...]]:
    bases: dict[str, Path] = {}
    notes = []
    for mount in mounts:
        for controller in sorted(mount.controllers):
            for parent in _parents(mount.path, own.get(controller, "/")):
                base = parent / folder
                problem = _trial(VersionOne({controller: base}))
                if problem is None:
                    bases[controller] = base
                    break
            else:
                what = "counted" if controller == ACCOUNTING else "limited"
                notes.append(f"{controller} cannot be {what}: {problem}")
    limits = bases.keys() - {ACCOUNTING}
    return (VersionOne(bases) if limits else None), tuple(notes)


def _try_two(
    mounts: tuple[Mount, ...], own: dict[str, str], folder: str
) -> tuple[Hierarchies | None, tuple[str, ...]]:
    best: VersionTwo | None = None
    notes = []
    for mount in mounts:
        if mount.version != 2:
            continue
        for parent in _parents(mount.path, own.get("", "/")):
            base = parent / folder
            try:
                controllers = _delegate(parent, base)
            except OSError as error:
                notes.append(f"no control group can be made in {parent}: {error.strerror}")
                continue
            candidate = VersionTwo(base, controllers)
            problem = _trial(candidate)
            if problem is not None:
                notes.append(f"limits cannot be set in {base}: {problem}")
            elif best is None or len(candidate.enforced()) > len(best.enforced()):
                best = candidate
    return best, tuple(notes)


def _parents(mount: Path, own: str) -> Iterator[Path]:
    """Where our folder may lie: in our own group first, then at the root.

    In an instance's group, where a daemon is that was started in its terminal, it may not: the
    end of that instance would be the end of all.
    """
    inside = _OURS.fullmatch(own)
    mine = mount / (inside["above"] if inside else own).lstrip("/")
    if mine != mount and mine.is_dir():
        yield mine
    yield mount


def _delegate(parent: Path, base: Path) -> tuple[str, ...]:
    """Hand the controllers down to the instances' groups, as far as the parent has them."""
    base.mkdir(parents=True, exist_ok=True)
    available = (parent / "cgroup.controllers").read_text().split()
    passed = [name for name in LIMITS if name in available]
    for folder in (parent, base.parent, base):
        for name in list(passed):
            if not hand_down(folder, name):
                passed.remove(name)
    return tuple(passed)


def _trial(hierarchies: Hierarchies) -> str | None:
    """Make a group, limit it, remove it; the reason if that does not work."""
    paths: tuple[Path, ...] = ()
    try:
        paths = hierarchies.make(f"probe-{os.getpid()}-{threading.get_ident()}")
        lacking = hierarchies.lacking(paths)
        if lacking:
            return f"the kernel offers no limit of {', '.join(lacking)}"
        hierarchies.limit(paths, _TRIAL)
    except OSError as error:
        return error.strerror or str(error)
    except ResourceLimitError as error:
        return str(error.details.get("cause", error))
    finally:
        remove(paths)
        hierarchies.tidy()
    return None
