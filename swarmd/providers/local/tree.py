"""Every process of an instance, wherever it hides.

A terminal's shell leads a session of its own and what it starts in the background may be
anyone's child: neither parents nor process groups find them all. So three ways are joined: the
cgroup, the marker in the environment, and descent from any process found by the other two. What
has its environment emptied, cut its descent and has no cgroup cannot be found; capabilities say so
where there are no cgroups.

Anyone can put a marker into an environment, so it counts only at a process of the instance's own
user or of ours. And this daemon may itself have been started in a terminal of an instance: it
never counts as a part of one, nor does what it started.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from swarmd.errors import ProviderError
from swarmd.providers.local import cgroups
from swarmd.providers.local.identity import (
    Identity,
    Stat,
    boot_id,
    identify,
    is_alive,
    parse_stat,
    send_signal,
    wait_ended,
)

MARKER = "SWARMD_INSTANCE"
"""The variable that every process of an instance inherits: the instance's id."""

NODE_MARKER = "SWARMD_NODE"
EPOCH_MARKER = "SWARMD_EPOCH"
EXEC_MARKER = "SWARMD_EXEC"

_MARKS = (MARKER, NODE_MARKER, EPOCH_MARKER, EXEC_MARKER)
_NEEDLE = MARKER.encode() + b"="
_ULID = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")
_UID = re.compile(rb"^Uid:\t(\d+)", re.MULTILINE)
_KILL_SECONDS = 10.0  # what SIGKILL may take: a process in uninterruptible sleep ends after it
_RESCAN_SECONDS = 0.5
_EMPTY_SCANS = 3  # without a cgroup: what forks and exits at once can slip through one scan


@dataclass(frozen=True, slots=True)
class Seen:
    """One process as a scan saw it. ``uid`` is its real one, asked only if it bears marks."""

    stat: Stat
    marks: dict[str, str] = field(default_factory=dict)
    uid: int | None = None

    @property
    def identity(self) -> Identity:
        """Which process it is."""
        return Identity(boot=boot_id(), pid=self.stat.pid, started=self.stat.started)


class Table:
    """All processes of this host at one moment: one pass over /proc serves all instances."""

    def __init__(self, processes: Iterable[Seen]) -> None:
        self._by_pid = {seen.stat.pid: seen for seen in processes}
        self._children: dict[int, list[int]] = {}
        self._marked: dict[str, list[Seen]] = {}
        for pid, seen in self._by_pid.items():
            self._children.setdefault(seen.stat.parent, []).append(pid)
            marker = seen.marks.get(MARKER)
            if marker and pid != os.getpid():
                self._marked.setdefault(marker, []).append(seen)

    def strays(self, mark: str) -> tuple[str, ...]:
        """The ids that processes of this node and provider bear; what is no id is passed over."""
        return tuple(
            name
            for name, bearers in self._marked.items()
            if _ULID.fullmatch(name)
            and any(seen.marks.get(NODE_MARKER) == mark for seen in bearers)
        )

    def bears(self, instance_id: str, uid: int | None = None) -> bool:
        """Whether a process, of this user or ours, bears an instance's marker."""
        return any(_counts(seen, uid) for seen in self._marked.get(instance_id, ()))

    def members(
        self,
        instance_id: str,
        root: Identity | None = None,
        pids: Iterable[int] = (),
        uid: int | None = None,
    ) -> tuple[Seen, ...]:
        """The processes of an instance.

        Args:
            instance_id: Whose marker is looked for.
            root: Its main process as it was recorded; a reused pid is passed over.
            pids: What its cgroups hold.
            uid: Whose processes' markers count, besides ours; None: everyone's.
        """
        marked = self._marked.get(instance_id, ())
        found = {seen.stat.pid for seen in marked if _counts(seen, uid)}
        found.update(pid for pid in pids if pid in self._by_pid)
        if os.getpid() in found:
            found = self._without_ours(found, instance_id)
        if root is not None and root.boot == boot_id() and root.pid in self._by_pid:
            seen = self._by_pid[root.pid]
            found |= {root.pid} if seen.identity == root else set()
        return self._family(found)

    def having(
        self, mark: tuple[str, str], root: Identity, instance_id: str, uid: int
    ) -> tuple[Seen, ...]:
        """What a command started: what bears its mark, its session, and their descendants.

        Args:
            mark: The name and value of the command's own mark.
            root: The command. Once it has ended its number may be another session's: then only
                what bears the instance's marker, under its user, counts.
            instance_id: Whose command it is.
            uid: Whom it runs as.
        """
        name, value = mark
        found = {pid for pid, seen in self._by_pid.items() if seen.marks.get(name) == value}
        leader = self._by_pid.get(root.pid)
        lives = leader is not None and leader.identity == root
        for pid, seen in self._by_pid.items():
            if seen.stat.session == root.pid:
                same = seen.marks.get(MARKER) == instance_id and _counts(seen, uid)
                found |= {pid} if lives or same else set()
        return self._family(found)

    def _without_ours(self, found: set[int], instance_id: str) -> set[int]:
        """We lie in the instance's own cgroup, and with us our helpers and other instances."""
        ours, pending = {os.getpid()}, [os.getpid()]
        while pending:
            new = set(self._children.get(pending.pop(), ())) - ours
            ours |= new
            pending.extend(new)
        return {
            pid
            for pid in found
            if pid not in ours or self._by_pid[pid].marks.get(MARKER) == instance_id
        } - {os.getpid()}

    def _family(self, found: set[int]) -> tuple[Seen, ...]:
        """With all descendants, except us and ours.

        A descendant that bears another instance's marker counts nevertheless: otherwise every
        process could leave its instance by claiming to be another's.
        """
        found = found - {os.getpid()}
        pending = list(found)
        while pending:
            new = set(self._children.get(pending.pop(), ())) - found - {os.getpid()}
            found |= new
            pending.extend(new)
        return tuple(self._by_pid[pid] for pid in sorted(found))


def _counts(seen: Seen, uid: int | None) -> bool:
    return uid is None or seen.uid in (uid, os.geteuid())


def scan() -> Table:
    """Look at every process of this host once. Dead ones are left out."""
    return Table(_scan())


def _scan() -> Iterator[Seen]:
    with os.scandir("/proc") as entries:
        names = [entry.name for entry in entries if entry.name.isdigit()]
    for name in names:
        pid = int(name)
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - thousands of these
                stat = parse_stat(pid, file.read())
        except (OSError, ValueError):  # it ended meanwhile
            continue
        if not stat.dead:
            marks = _marks(pid)
            yield Seen(stat, marks, _real_uid(pid) if marks else None)


def _marks(pid: int) -> dict[str, str]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - thousands of these
            raw = file.read()
    except OSError:  # another user's, or it ended meanwhile
        return {}
    if _NEEDLE not in raw:
        return {}
    return read_marks(raw)


def _real_uid(pid: int) -> int | None:
    """Who started it. The owner of its /proc files would be root's for whoever asks for that."""
    try:
        found = _UID.search(Path(f"/proc/{pid}/status").read_bytes())
    except OSError:  # it ended meanwhile
        return None
    return int(found[1]) if found else None


def read_marks(environ: bytes) -> dict[str, str]:
    """Our variables in a ``/proc/<pid>/environ``; none without the instance's."""
    marks = {}
    for entry in environ.split(b"\0"):
        name, _, value = entry.partition(b"=")
        if name.startswith(b"SWARMD_") and name.decode(errors="replace") in _MARKS:
            marks[name.decode()] = value.decode(errors="replace")
    return marks if MARKER in marks else {}


def end(
    find: Callable[[], tuple[Seen, ...]],
    *,
    grace: float,
    check: Callable[[], None],
    groups: Sequence[Path] = (),
) -> int:
    """End processes: SIGTERM, a time of grace, SIGKILL until a look finds nothing.

    Args:
        find: Looks for what is to end; asked again after each step.
        grace: Seconds from SIGTERM to SIGKILL; 0 kills at once.
        check: Called while waiting; what it raises ends the wait, not the processes.
        groups: Control groups that must be empty at the end, whatever ``find`` sees: a process
            that forks and exits without end is in no scan, but always in its group.

    Returns:
        How many processes had to be killed by a signal of their own, the groups' kill aside.

    Raises:
        ProviderError: Some cannot be ended; all others are.
    """
    found = _tell(find, grace, check) if grace > 0 else False
    return _Killing(find, cgroups.without_us(groups)).run(wary=found)


def _tell(find: Callable[[], tuple[Seen, ...]], grace: float, check: Callable[[], None]) -> bool:
    """SIGTERM to each once, and wait. Returns whether there was any."""
    import time

    deadline = time.monotonic() + grace
    told: set[Identity] = set()
    denied: set[Identity] = set()
    while time.monotonic() < deadline:
        members = {seen.identity for seen in find()}
        if not members - denied:
            break
        check()
        fresh = members - told
        denied |= set(_signal(fresh, signal.SIGTERM))
        told |= fresh
        remaining = min(_RESCAN_SECONDS, deadline - time.monotonic())
        wait_ended(members - denied, max(0.0, remaining))
    return bool(told)


class _Killing:
    """SIGKILL until nothing is found, with what it has seen meanwhile."""

    def __init__(self, find: Callable[[], tuple[Seen, ...]], groups: Sequence[Path]) -> None:
        self._find = find
        self._groups = groups
        self._killed: set[Identity] = set()
        self._denied: dict[Identity, PermissionError] = {}

    def run(self, *, wary: bool) -> int:
        """Kill, look, and kill again.

        Args:
            wary: Whether there was something before, so that one empty scan proves little.
        """
        import time

        deadline = time.monotonic() + _KILL_SECONDS
        cgroups.stop_forks(self._groups)
        empty = 0
        while True:
            cgroups.kill_all(self._groups)
            alive = self._kill_found()
            if not alive:
                empty += 1
                wary = (wary or bool(self._killed)) and not self._groups
                if empty >= (_EMPTY_SCANS if wary else 1):
                    self._tell_denied()
                    return len(self._killed)
                continue
            empty = 0
            if time.monotonic() >= deadline:
                self._tell_denied()
                raise _immortal(alive)
            wait_ended(alive, _RESCAN_SECONDS)

    def _kill_found(self) -> set[Identity]:
        """Kill what a look finds; what has not ended yet, without what we may not end."""
        found = {seen.identity for seen in self._find()} - self._denied.keys()
        self._denied |= _signal(found, signal.SIGKILL)
        self._killed |= found - self._denied.keys()
        pids = cgroups.processes(self._groups)
        held = {identity for identity in map(identify, pids) if identity is not None}
        return (found | held) - self._denied.keys()

    def _tell_denied(self) -> None:
        for identity, error in self._denied.items():
            if is_alive(identity):
                raise ProviderError(
                    f"process {identity.pid} belongs to another user and cannot be ended",
                    next_step="Run the daemon as the user that started it, or as root.",
                    details={"cause": str(error)},
                ) from error


def _immortal(identities: Iterable[Identity]) -> ProviderError:
    pids = ", ".join(str(pid) for pid in sorted(identity.pid for identity in identities))
    return ProviderError(
        f"these processes do not end, even when killed: {pids}",
        next_step="Look at what they wait for (/proc/PID/stack), then stop it again.",
    )


def _signal(
    identities: Iterable[Identity], number: signal.Signals
) -> dict[Identity, PermissionError]:
    """Signal them all. Returns those that we may not signal, and the kernel's words."""
    denied = {}
    for identity in identities:
        try:
            send_signal(identity, number)
        except PermissionError as error:
            denied[identity] = error
    return denied
