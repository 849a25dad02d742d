"""The state as one immutable value, and the one way it changes.

``Tables`` is what the registry publishes and everyone reads; ``Change`` is what a decision
proposes. Applying a change copies the maps it touches and leaves the old value as it was, so
that a reader keeps its photograph and a change that could not be written is forgotten by
going back to the value before it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from swarmd.core.health.ailments import Ailment
from swarmd.core.selection import Index
from swarmd.messages.alert import AlertBook
from swarmd.messages.enums import EventType, OperationState
from swarmd.messages.instance import Instance, Reason, Stray
from swarmd.messages.operation import Operation
from swarmd.messages.provider import BreakerInfo, Capabilities, ProviderHealth, ProviderRecord

IdempotencyKey = tuple[int, str, str]
"""Uid of the caller, kind of the operation, key."""

_AFTER_ANY_ID = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class EventDraft:
    """An event before the registry gives it its place in the journal."""

    type: EventType
    target: str | None = None
    ref: str | None = None
    owner: str | None = None
    operation: str | None = None
    caller: str | None = None
    correlation: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProviderView:
    """What a provider's actor last found out; kept in memory alone."""

    health: ProviderHealth
    capabilities: Capabilities | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What a decision wants written. Empty fields change nothing.

    ``views``, ``breakers``, ``strays`` and ``ailments`` are facts of the running daemon and are
    not written to disk. A view that goes takes the breaker along. ``alerts`` is the whole new book
    or None.
    """

    operations: tuple[Operation, ...] = ()
    instances: tuple[Instance, ...] = ()
    drop_instances: tuple[str, ...] = ()
    drop_operations: tuple[str, ...] = ()
    providers: tuple[ProviderRecord, ...] | None = None
    events: tuple[EventDraft, ...] = ()
    reasons: tuple[tuple[str, Reason], ...] = ()
    views: Mapping[str, ProviderView | None] = field(default_factory=dict)
    breakers: Mapping[str, BreakerInfo] = field(default_factory=dict)
    strays: tuple[Stray, ...] | None = None
    ailments: Mapping[str, Ailment | None] = field(default_factory=dict)
    alerts: AlertBook | None = None

    @property
    def durable(self) -> bool:
        """Whether anything of it belongs on disk."""
        return bool(
            self.operations
            or self.instances
            or self.drop_instances
            or self.drop_operations
            or self.providers is not None
            or self.events
            or self.reasons
            or self.alerts is not None
        )

    def plus(self, other: Change) -> Change:
        """Both, this one first: what it drops and the other writes again stays."""
        return Change(
            operations=self.operations + other.operations,
            instances=self.instances + other.instances,
            drop_instances=_left(self.drop_instances, other.instances) + other.drop_instances,
            drop_operations=_left(self.drop_operations, other.operations) + other.drop_operations,
            providers=other.providers if other.providers is not None else self.providers,
            events=self.events + other.events,
            reasons=self.reasons + other.reasons,
            views={**self.views, **other.views},
            breakers={**self.breakers, **other.breakers},
            strays=other.strays if other.strays is not None else self.strays,
            ailments={**self.ailments, **other.ailments},
            alerts=other.alerts if other.alerts is not None else self.alerts,
        )


def sum_of(changes: Iterable[Change]) -> Change:
    """All of them, one after the other."""
    total = Change()
    for change in changes:
        total = total.plus(change)
    return total


def _left(dropped: tuple[str, ...], written: Iterable[Instance | Operation]) -> tuple[str, ...]:
    """Those that are not written again."""
    again = {record.id for record in written}
    return tuple(each for each in dropped if each not in again)


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything the daemon knows, at one moment.

    ``names`` holds those that are not in the trash, and of two of one name the newer (such a
    pair can only come out of the trash of a provider); ``index`` all of them, sorted;
    ``active`` the operations under way of each instance, the running one first; ``ailments``
    what is wrong with those instances that are ill.
    """

    instances: dict[str, Instance] = field(default_factory=dict)
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    index: Index = Index()
    operations: dict[str, Operation] = field(default_factory=dict)
    active: dict[str, tuple[str, ...]] = field(default_factory=dict)
    keys: dict[IdempotencyKey, str] = field(default_factory=dict)
    providers: dict[str, ProviderRecord] = field(default_factory=dict)
    views: dict[str, ProviderView] = field(default_factory=dict)
    breakers: dict[str, BreakerInfo] = field(default_factory=dict)
    strays: tuple[Stray, ...] = ()
    seq: int = 0
    ailments: dict[str, Ailment] = field(default_factory=dict)
    alerts: AlertBook = AlertBook()

    @classmethod
    def build(
        cls,
        instances: Iterable[Instance],
        operations: Iterable[Operation],
        providers: Iterable[ProviderRecord],
        seq: int,
        alerts: AlertBook = AlertBook(),  # noqa: B008 - it is frozen
    ) -> Tables:
        """The tables of what a start found on disk."""
        by_id = {record.id: record for record in instances}
        index = Index.build(by_id.values())
        tables = cls(
            instances=by_id,
            names={(owner, name): each for owner, name, each in index.live.keys},
            index=index,
            providers={record.name: record for record in providers},
            seq=seq,
            alerts=alerts,
        )
        for operation in sorted(operations, key=_in_turn):
            _note_operation(tables, operation)
        return tables

    def active_of(self, instance_id: str) -> tuple[Operation, ...]:
        """The operations under way of an instance, the running one first."""
        return tuple(self.operations[each] for each in self.active.get(instance_id, ()))

    def apply(self, change: Change) -> Tables:
        """The tables after this change; ``self`` stays as it is."""
        touched: dict[str, Any] = {}
        if change.instances or change.drop_instances:
            touched |= {
                "instances": dict(self.instances),
                "names": dict(self.names),
                "index": self._reindexed(change),
            }
        if change.operations or change.drop_operations:
            touched |= {
                "operations": dict(self.operations),
                "active": dict(self.active),
                "keys": dict(self.keys),
            }
        if change.providers is not None:
            touched["providers"] = {record.name: record for record in change.providers}
        if change.views or change.breakers:
            merged = {**self.views, **change.views}
            breakers = {**self.breakers, **change.breakers}
            touched["views"] = {name: view for name, view in merged.items() if view is not None}
            touched["breakers"] = {
                name: breaker
                for name, breaker in breakers.items()
                if merged.get(name, breaker) is not None
            }
        if change.strays is not None:
            touched["strays"] = change.strays
        if change.alerts is not None:
            touched["alerts"] = change.alerts
        if change.ailments or any(each in self.ailments for each in change.drop_instances):
            touched["ailments"] = self._ailments_after(change)
        after = replace(self, seq=self.seq + len(change.events), **touched)
        _note_all(after, change)
        return after

    def _ailments_after(self, change: Change) -> dict[str, Ailment]:
        gone = set(change.drop_instances)
        merged = {**self.ailments, **change.ailments}
        return {each: ill for each, ill in merged.items() if ill is not None and each not in gone}

    def _reindexed(self, change: Change) -> Index:
        latest: dict[str, Instance | None] = {each.id: each for each in change.instances}
        latest |= dict.fromkeys(change.drop_instances)
        return self.index.apply(
            (self.instances.get(instance_id), after) for instance_id, after in latest.items()
        )


def _note_all(tables: Tables, change: Change) -> None:
    """Put the change's records into maps that were copied for it."""
    for operation in change.operations:
        _note_operation(tables, operation)
    for operation_id in change.drop_operations:
        _drop_operation(tables, operation_id)
    touched: set[tuple[str, str]] = set()
    for instance in change.instances:
        touched |= _names_of(tables, instance.id) | {(instance.owner, instance.name)}
        tables.instances[instance.id] = instance
    for instance_id in change.drop_instances:
        touched |= _names_of(tables, instance_id)
        tables.instances.pop(instance_id, None)
    for name in touched:
        _note_name(tables, name)


def _names_of(tables: Tables, instance_id: str) -> set[tuple[str, str]]:
    instance = tables.instances.get(instance_id)
    return {(instance.owner, instance.name)} if instance is not None else set()


def _note_name(tables: Tables, name: tuple[str, str]) -> None:
    """Who bears a name now: the index knows."""
    keys = tables.index.live.keys
    last = bisect_left(keys, (*name, _AFTER_ANY_ID)) - 1
    if last >= 0 and keys[last][:2] == name:
        tables.names[name] = keys[last][2]
    else:
        tables.names.pop(name, None)


def _in_turn(operation: Operation) -> tuple[bool, str]:
    """Those that have begun come before those that wait for them."""
    return operation.state is OperationState.PENDING, operation.id


def _note_operation(tables: Tables, operation: Operation) -> None:
    tables.operations[operation.id] = operation
    waiting = tables.active.get(operation.target, ())
    if operation.state.ended:
        _set_active(tables, operation.target, [each for each in waiting if each != operation.id])
    elif operation.id not in waiting:
        _set_active(tables, operation.target, [*waiting, operation.id])
    if operation.idempotency_key is not None:
        tables.keys[key_of(operation)] = operation.id


def _drop_operation(tables: Tables, operation_id: str) -> None:
    operation = tables.operations.pop(operation_id, None)
    if operation is None:
        return
    waiting = tables.active.get(operation.target, ())
    _set_active(tables, operation.target, [each for each in waiting if each != operation_id])
    if operation.idempotency_key is None:
        return
    key = key_of(operation)
    if tables.keys.get(key) == operation_id:
        # A lapsed key may have been used again: then it is another operation's.
        del tables.keys[key]


def _set_active(tables: Tables, target: str, waiting: Sequence[str]) -> None:
    if waiting:
        tables.active[target] = tuple(waiting)
    else:
        tables.active.pop(target, None)


def key_of(operation: Operation) -> IdempotencyKey:
    """Under which an operation with an idempotency key is found again."""
    return (operation.caller.uid, operation.kind.value, operation.idempotency_key or "")
