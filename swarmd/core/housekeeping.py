"""What a start has to tidy, and what is let go in time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from swarmd.core.course import Step, all_wished, begin, during, in_trash
from swarmd.core.kept import was_kept
from swarmd.core.lifecycle import BUSY, move
from swarmd.core.notes import end_of, event_of, failure_of, status_of
from swarmd.core.steps import committed, restored
from swarmd.core.tables import Change, Tables, sum_of
from swarmd.core.wishes import IDEMPOTENCY_SECONDS
from swarmd.errors import Unavailable
from swarmd.messages.enums import (
    DesiredState,
    EventType,
    InstanceStatus,
    OperationKind,
    OperationState,
    Origin,
)
from swarmd.messages.instance import Instance, replace
from swarmd.messages.operation import Operation

_TORN = "the daemon ended in the midst of a change"
_ENDING = (OperationKind.STOP, OperationKind.DELETE, OperationKind.PURGE)


def tidy(tables: Tables, now: datetime) -> Change:
    """Mend what a crash between two files of one change cut apart (DESIGN 5).

    Operations are on disk before instances, and what goes goes last. So an operation may be
    further than its instance:

    - The instance is missing: the operation was never acknowledged, or is the last trace of a
      delete that ended. It ends.
    - The operation has ended: what its end did to the record is done now.
    - It was accepted, or has gone on: the record is put where its step has it.

    An instance that looks busy although nothing is under way is unknown until its provider
    was asked. Of the operations under way of one instance the first must be running.
    """
    changes = [
        _end_all(tables.active_of(target), now)
        for target in tables.active
        if target not in tables.instances
    ]
    last = _last_ended(tables)
    for instance in tables.instances.values():
        under_way = tables.active_of(instance.id)
        if under_way or instance.status in BUSY or instance.id in last:
            missed = last.get(instance.id)
            mended = _mended(instance, under_way, missed, now)
            changes.append(mended.plus(_told(instance, mended, missed)))
            after = next(iter(mended.instances), instance)
            if not under_way and after.status is not instance.status:
                changes.append(status_of(instance, after, _TORN, now))
    return sum_of(changes)


def _last_ended(tables: Tables) -> dict[str, Operation]:
    """Of each instance the operation that ended last, if the record is older than its end.

    These times are the instance's own and never go back (``lifecycle.at_or_after``).
    """
    last: dict[str, Operation] = {}
    for operation in tables.operations.values():
        instance = tables.instances.get(operation.target)
        if instance is None or operation.ended_at is None:
            continue
        if operation.ended_at > instance.updated_at:
            known = last.get(instance.id)
            if known is None or _ended_key(known) < _ended_key(operation):
                last[instance.id] = operation
    return last


def _ended_key(operation: Operation) -> tuple[datetime, str]:
    return operation.ended_at or operation.created_at, operation.id


def _mended(
    instance: Instance, under_way: tuple[Operation, ...], missed: Operation | None, now: datetime
) -> Change:
    record: Instance | None = instance
    if missed is not None:
        record = _made_up_for(missed, instance, now)
    if record is None:
        return Change(drop_instances=(instance.id,)).plus(_end_all(under_way, now))
    if not under_way:
        if record.status in BUSY:
            record = move(record, InstanceStatus.UNKNOWN, now=now)
        return Change(instances=(record,) if record != instance else ())
    first, *rest = under_way
    if first.state is OperationState.PENDING:
        first, record = begin(first, record, now)
    else:
        record = _caught_up(first, record, now)
    desired = all_wished((first, *rest), record.desired)
    record = msgspec.structs.replace(record, desired=desired)
    return Change(
        operations=(first,) if first != under_way[0] else (),
        instances=(record,) if record != instance else (),
    )


def _told(before: Instance, mended: Change, missed: Operation | None) -> Change:
    """The events of an end that were lost with the record: the journal is written last.

    What an operation under way does, it tells itself.
    """
    if missed is None:
        return Change()
    after = next(iter(mended.instances), before)
    kinds: tuple[EventType, ...] = ()
    if before.id in mended.drop_instances:
        kinds = (EventType.INSTANCE_PURGED,)
        if missed.kind is OperationKind.DELETE:
            kinds = (EventType.INSTANCE_DELETED, *kinds)
    elif (after.name, after.revision) != (before.name, before.revision):
        kinds = (EventType.INSTANCE_UPDATED,)
    events = (event_of(kind, after, missed) for kind in kinds)
    return Change(events=(*events, end_of(missed, after)))


def _made_up_for(missed: Operation, instance: Instance, now: datetime) -> Instance | None:
    """The record after an end that it missed: unknown until seen. None: it is gone."""
    kind, went_well = missed.kind, missed.state is OperationState.SUCCEEDED
    forced = kind is OperationKind.PURGE or bool(missed.arguments.get("force"))
    changes: dict[str, Any] = {}
    now = max(now, missed.ended_at or now)
    if in_trash(instance) and not went_well:
        return replace(instance, desired=DesiredState.DELETED, updated_at=now)
    match kind:
        case OperationKind.CREATE | OperationKind.IMPORT:
            if not went_well and instance.status is InstanceStatus.DELETING:
                return None
        case OperationKind.DELETE | OperationKind.PURGE if went_well:
            if forced:
                return None
        case OperationKind.DELETE if missed.origin is Origin.USER and not was_kept(missed.error):
            changes = {"desired": DesiredState.STOPPED}
        case OperationKind.UPDATE if went_well:
            changes = _missed_update(missed, instance)
        case OperationKind.UNDELETE if went_well:
            changes = restored(missed, instance)
    if missed.state is OperationState.FAILED:
        changes["last_error"] = missed.error
    return move(instance, InstanceStatus.UNKNOWN, now=now, **changes)


def _missed_update(operation: Operation, instance: Instance) -> dict[str, Any]:
    """What an update commits, unless the record has it: its revision tells."""
    if operation.arguments.get("revision") != instance.revision:
        return {}
    return committed(operation, instance)


def _caught_up(operation: Operation, instance: Instance, now: datetime) -> Instance:
    """The record where the running step has it."""
    if operation.kind is OperationKind.UPDATE and operation.step in (Step.STOP, Step.START):
        changes = _missed_update(operation, instance)
        instance = replace(instance, **changes) if changes else instance
    return during(operation, instance, now)


def _end_all(operations: Iterable[Operation], now: datetime) -> Change:
    """End what has no instance: nobody was told that it was accepted."""
    ended: list[Operation] = []
    for operation in operations:
        ending = operation.kind in _ENDING
        error = Unavailable(
            "the daemon ended before this was accepted", next_step="Ask for it again."
        )
        ended.append(
            msgspec.structs.replace(
                operation,
                state=OperationState.SUCCEEDED if ending else OperationState.FAILED,
                error=None if ending else failure_of(error),
                reason=operation.reason if ending else error.message,
                ended_at=now,
                step=None,
            )
        )
    events = (event_of(EventType.OPERATION_ENDED, None, each, reason=each.reason) for each in ended)
    return Change(operations=tuple(ended), events=tuple(events))


def after_all_ends(tables: Tables, instance_id: str, now: datetime) -> datetime:
    """Now, but not before an operation on this id ended: a new record of it missed none."""
    ends = (each.ended_at for each in tables.operations.values() if each.target == instance_id)
    return max((now, *(end or now for end in ends)))


def sweep_operations(tables: Tables, kept: int, now: datetime) -> Change:
    """Let the oldest ended operations go, down to ``kept``.

    One with an idempotency key stays until the key has lapsed.
    """
    lapsed = now - timedelta(seconds=IDEMPOTENCY_SECONDS)
    ended = sorted(
        operation.id
        for operation in tables.operations.values()
        if operation.state.ended
        and (operation.idempotency_key is None or operation.created_at < lapsed)
    )
    surplus = len(tables.operations) - kept
    return Change(drop_operations=tuple(ended[:surplus])) if surplus > 0 else Change()


def tombstones(tables: Tables) -> frozenset[str]:
    """Ids of instances that a recorded delete or an unfinished create left (DESIGN 5)."""
    kinds = (
        OperationKind.DELETE,
        OperationKind.PURGE,
        OperationKind.CREATE,
        OperationKind.IMPORT,
    )
    return frozenset(
        operation.target
        for operation in tables.operations.values()
        if operation.kind in kinds and operation.target not in tables.instances
    )


def wanted_uploads(tables: Tables) -> frozenset[str]:
    """Uploads that an import under way still needs."""
    active = (tables.operations[each] for ids in tables.active.values() for each in ids)
    wanted = (operation.arguments.get("upload") for operation in active)
    return frozenset(each for each in wanted if each)
