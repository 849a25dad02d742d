"""Every process of an instance, wherever it hides.

A terminal's shell leads a session of its own and what it starts in the background may be
anyone's child: neither parents nor process groups find them all. So three ways are joined: the
cgroup, the marker in the environment, and descent from any process found by the other two. What
has its environment emptied, cut its descent and has no cgroup cannot be found; capabilities say so
where there are no cgroups.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from swarmd.errors import ProviderError
from swarmd.providers.local.identity import (
    Identity,
    Stat,
    boot_id,
    parse_stat,
    send_signal,
    wait_ended,
)

MARKER = "SWARMD_INSTANCE"
"""The variable that every process of an instance inherits: the instance's id."""

NODE_MARKER = "SWARMD_NODE"
EPOCH_MARKER = "SWARMD_EPOCH"
EXEC_MARKER = "SWARMD_EXEC"

_NEEDLE = MARKER.encode() + b"="
_KILL_SECONDS = 10.0  # what SIGKILL may take: a process in uninterruptible sleep ends after it
_RESCAN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Seen:
    """One process as a scan saw it."""

    stat: Stat
    marks: dict[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> Identity:
        """Which process it is."""
        return Identity(boot=boot_id(), pid=self.stat.pid, started=self.stat.started)


class Table:
    """All processes of this host at one moment: one pass over /proc serves all instances."""

    def __init__(self, processes: Iterable[Seen]) -> None:
        self._by_pid = {seen.stat.pid: seen for seen in processes}
        self._children: dict[int, list[int]] = {}
        self._marked: dict[str, list[int]] = {}
        for pid, seen in self._by_pid.items():
            self._children.setdefault(seen.stat.parent, []).append(pid)
            marker = seen.marks.get(MARKER)
            if marker:
                self._marked.setdefault(marker, []).append(pid)

    @property
    def instances(self) -> tuple[str, ...]:
        """The ids that processes bear."""
        return tuple(self._marked)

    def marks(self, instance_id: str) -> dict[str, str]:
        """The marks of one process of this instance, empty if there is none."""
        pids = self._marked.get(instance_id, [])
        return self._by_pid[pids[0]].marks if pids else {}

    def members(
        self, instance_id: str, root: Identity | None = None, pids: Iterable[int] = ()
    ) -> tuple[Seen, ...]:
        """The processes of an instance.

        Args:
            instance_id: Whose marker is looked for.
            root: Its main process as it was recorded; a reused pid is passed over.
            pids: What its cgroups hold.
        """
        found = set(self._marked.get(instance_id, ()))
        found.update(pid for pid in pids if pid in self._by_pid)
        if root is not None and root.boot == boot_id() and root.pid in self._by_pid:
            seen = self._by_pid[root.pid]
            found |= {root.pid} if seen.identity == root else set()
        return self._family(found)

    def having(self, mark: str, value: str, root: Identity) -> tuple[Seen, ...]:
        """The processes that bear a mark, a leader and its session, and their descendants."""
        found = {pid for pid, seen in self._by_pid.items() if seen.marks.get(mark) == value}
        leader = self._by_pid.get(root.pid)
        if leader is None or leader.identity == root:
            found |= {pid for pid, seen in self._by_pid.items() if seen.stat.session == root.pid}
        return self._family(found)

    def _family(self, found: set[int]) -> tuple[Seen, ...]:
        pending, found = list(found), set(found)
        while pending:
            new = set(self._children.get(pending.pop(), ())) - found
            found |= new
            pending.extend(new)
        found.discard(os.getpid())
        return tuple(self._by_pid[pid] for pid in sorted(found))


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
            yield Seen(stat, _marks(pid))


def _marks(pid: int) -> dict[str, str]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - thousands of these
            raw = file.read()
    except OSError:  # another user's, or it ended meanwhile
        return {}
    if _NEEDLE not in raw:
        return {}
    return read_marks(raw)


def read_marks(environ: bytes) -> dict[str, str]:
    """Our variables in a ``/proc/<pid>/environ``; none without the instance's."""
    marks = {}
    for entry in environ.split(b"\0"):
        name, _, value = entry.partition(b"=")
        if name.startswith(b"SWARMD_"):
            marks[name.decode(errors="replace")] = value.decode(errors="replace")
    return marks if MARKER in marks else {}


def end(
    find: Callable[[], tuple[Seen, ...]],
    *,
    grace: float,
    check: Callable[[], None],
    kill_all: Callable[[], None] = lambda: None,
) -> int:
    """End processes: SIGTERM, a time of grace, SIGKILL until a scan finds nothing.

    Args:
        find: Looks for what is to end; asked again after each step.
        grace: Seconds from SIGTERM to SIGKILL; 0 kills at once.
        check: Called while waiting; what it raises ends the wait, not the processes.
        kill_all: Kills by other means (a cgroup) before the signals.

    Returns:
        How many processes had to be killed.

    Raises:
        ProviderError: Some cannot be ended.
    """
    import time

    if grace > 0:
        deadline = time.monotonic() + grace
        members = find()
        told: set[Identity] = set()
        while members and time.monotonic() < deadline:
            check()
            fresh = {seen.identity for seen in members} - told
            _signal(fresh, signal.SIGTERM)
            told |= fresh
            remaining = min(_RESCAN_SECONDS, deadline - time.monotonic())
            wait_ended([seen.identity for seen in members], max(0.0, remaining))
            members = find()
    return _kill(find, kill_all, time.monotonic() + _KILL_SECONDS)


def _kill(
    find: Callable[[], tuple[Seen, ...]], kill_all: Callable[[], None], deadline: float
) -> int:
    import time

    killed: set[Identity] = set()
    members = find()
    while members:
        kill_all()
        identities = [seen.identity for seen in members]
        _signal(identities, signal.SIGKILL)
        killed.update(identities)
        if time.monotonic() >= deadline:
            pids = ", ".join(str(identity.pid) for identity in identities)
            raise ProviderError(
                f"these processes do not end, even when killed: {pids}",
                next_step="Look at what they wait for (/proc/PID/stack), then stop it again.",
            )
        wait_ended(identities, _RESCAN_SECONDS)
        members = find()
    return len(killed)


def _signal(identities: Iterable[Identity], number: signal.Signals) -> None:
    for identity in identities:
        try:
            send_signal(identity, number)
        except PermissionError as error:
            raise ProviderError(
                f"process {identity.pid} belongs to another user and cannot be ended",
                next_step="Run the daemon as the user that started it, or as root.",
                details={"cause": str(error)},
            ) from error
