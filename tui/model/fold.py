"""From a snapshot and what happened since to the next one.

An event tells the status, the health and the provider of its instance; whatever else it may have
changed is asked for again, in few requests for many: that is what ``Stale`` collects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from swarmd.messages.enums import EventType, HealthStatus, InstanceStatus, OperationState
from swarmd.messages.events import Event
from swarmd.messages.operation import Operation, Progress
from tui.model.rows import Row
from tui.model.snapshot import EVENTS_KEPT, Changed, Snapshot

OPERATIONS_KEPT: Final = 300

_GONE: Final = frozenset({EventType.INSTANCE_DELETED, EventType.INSTANCE_PURGED})
_OPERATIONS: Final = frozenset(
    {EventType.OPERATION_STARTED, EventType.OPERATION_PROGRESS, EventType.OPERATION_ENDED}
)
_TOLD_BY_STATUS: Final = frozenset({EventType.STRAY_FOUND, EventType.FILE_QUARANTINED})
_PROVIDERS: Final = frozenset(
    {EventType.PROVIDER_ADDED, EventType.PROVIDER_REMOVED, EventType.PROVIDER_UPDATED}
)


@dataclass(frozen=True, slots=True)
class Stale:
    """What has to be asked for again, because an event says less than is shown."""

    instances: frozenset[str] = frozenset()
    operations: frozenset[str] = frozenset()
    providers: bool = False
    status: bool = False
    alerts: bool = False

    def plus(self, other: Stale) -> Stale:
        """Both."""
        return Stale(
            instances=self.instances | other.instances,
            operations=self.operations | other.operations,
            providers=self.providers or other.providers,
            status=self.status or other.status,
            alerts=self.alerts or other.alerts,
        )

    @property
    def empty(self) -> bool:
        """Whether nothing has to be asked for."""
        known = (self.instances, self.operations, self.providers, self.status, self.alerts)
        return not any(known)


@dataclass(frozen=True, slots=True)
class Folded:
    """The next snapshot, what is different in it, and what it does not know yet."""

    snapshot: Snapshot
    changed: Changed
    stale: Stale


@dataclass(slots=True)
class _Draft:
    """A snapshot on its way; each map is copied at its first change."""

    before: Snapshot
    instances: dict[str, Row] | None = None
    operations: dict[str, Operation] | None = None

    def rows(self) -> dict[str, Row]:
        if self.instances is None:
            self.instances = dict(self.before.instances)
        return self.instances

    def tasks(self) -> dict[str, Operation]:
        if self.operations is None:
            self.operations = dict(self.before.operations)
        return self.operations

    def row(self, instance_id: str) -> Row | None:
        known = self.before.instances if self.instances is None else self.instances
        return known.get(instance_id)

    def task(self, operation_id: str) -> Operation | None:
        known = self.before.operations if self.operations is None else self.operations
        return known.get(operation_id)


def fold(before: Snapshot, events: Sequence[Event]) -> Folded:
    """Take these events in, in their order; those that are in already are passed over.

    Args:
        before: The snapshot until now.
        events: What happened, oldest first.
    """
    new = [event for event in events if event.seq > before.seq]
    if not new:
        return Folded(before, Changed(), Stale())
    draft, instances, stale = _Draft(before), set[str](), Stale()
    operations: set[str] = set()
    for event in new:
        stale = stale.plus(_take(draft, event))
        if event.target is not None and _is_about_instance(event):
            instances.add(event.target)
        if event.operation is not None and event.type in _OPERATIONS:
            operations.add(event.operation)
    gone = _too_old(before.operations if draft.operations is None else draft.operations)
    for each in gone:
        del draft.tasks()[each]
    after = replace(
        before,
        instances=before.instances if draft.instances is None else draft.instances,
        operations=before.operations if draft.operations is None else draft.operations,
        events=(*before.events, *new)[-EVENTS_KEPT:],
        journal=new[-1].journal,
        seq=new[-1].seq,
    )
    changed = Changed(
        instances=frozenset(instances), operations=frozenset(operations) | gone, events=len(new)
    )
    return Folded(after, changed, stale)


def _is_about_instance(event: Event) -> bool:
    return event.type.startswith("instance_") or event.type is EventType.OPERATION_ENDED


def _take(draft: _Draft, event: Event) -> Stale:
    target = event.target or ""
    if event.type in _OPERATIONS:
        return _take_operation(draft, event).plus(_take_end(draft, event))
    if event.type in _PROVIDERS:
        return Stale(providers=True, status=True)
    if event.type in _GONE:
        draft.rows().pop(target, None)
        return Stale(providers=True)  # how many there are at its provider
    if event.type.startswith("instance_"):
        row = draft.row(target)
        if row is None:
            return Stale(instances=frozenset({target}), providers=True)
        draft.rows()[target] = _patched(row, event)
        # What else a status brings (a start's time, an address) is not in the event.
        settled = event.type is EventType.INSTANCE_HEALTH_CHANGED
        return Stale() if settled else Stale(instances=frozenset({target}))
    # A provider that fails or works again is what most often changes the daemon's state.
    daemon = event.type is EventType.DAEMON_STATE_CHANGED
    told = daemon or event.type in _TOLD_BY_STATUS
    return Stale(status=told, providers=daemon, alerts=event.type is EventType.ALERT)


def _patched(row: Row, event: Event) -> Row:
    """The row with what an event says of it; words of a newer daemon are passed over."""
    data, facts = event.data, dict[str, Any]()
    if (status := _word(InstanceStatus, data.get("status"))) is not None:
        facts["status"] = status
    if (health := _word(HealthStatus, data.get("health"))) is not None:
        facts["health"] = health
    if isinstance(data.get("provider"), str):
        facts["provider"] = data["provider"]
    return msgspec.structs.replace(row, updated_at=event.at, **facts) if facts else row


def _word(kind: Any, value: Any) -> Any:
    return kind(value) if value in tuple(kind) else None


def _take_operation(draft: _Draft, event: Event) -> Stale:
    """A known operation goes on; an unknown one, or one that ended, is asked for."""
    operation_id = event.operation or ""
    known = draft.task(operation_id)
    if known is None or event.type is EventType.OPERATION_STARTED:
        return Stale(operations=frozenset({operation_id}))
    data = event.data
    if event.type is EventType.OPERATION_PROGRESS:
        progress = Progress(message=str(data.get("message", "")), fraction=data.get("fraction"))
        draft.tasks()[operation_id] = msgspec.structs.replace(known, progress=progress)
        return Stale()
    state = _word(OperationState, data.get("state")) or known.state
    draft.tasks()[operation_id] = msgspec.structs.replace(
        known, state=state, ended_at=event.at, reason=str(data.get("reason") or "")
    )
    return Stale(operations=frozenset({operation_id}))


def _take_end(draft: _Draft, event: Event) -> Stale:
    """What an operation leaves its instance as: one that failed or did nothing tells it so only."""
    row = draft.row(event.target or "")
    if row is None or event.type is not EventType.OPERATION_ENDED:
        return Stale()
    draft.rows()[row.id] = _patched(row, event)
    return Stale(instances=frozenset({row.id}))


def _too_old(operations: Mapping[str, Operation]) -> frozenset[str]:
    """Those to forget once there are too many: the oldest that ended (ids tell the time)."""
    if len(operations) <= OPERATIONS_KEPT * 2:
        return frozenset()
    ended = sorted(each.id for each in operations.values() if each.state.ended)
    return frozenset(ended[: max(0, len(operations) - OPERATIONS_KEPT)])


def with_rows(before: Snapshot, asked: frozenset[str], rows: Sequence[Row]) -> Folded:
    """Take in what was asked for again; what is not there any more is gone.

    Args:
        before: The snapshot until now.
        asked: The ids that were asked for.
        rows: Those that there are.
    """
    instances = {key: row for key, row in before.instances.items() if key not in asked}
    instances |= {row.id: row for row in rows}
    after = replace(before, instances=instances)
    return Folded(after, Changed(instances=asked), Stale())
