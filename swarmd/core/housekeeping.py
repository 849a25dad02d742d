"""What a start has to tidy, and what is let go in time."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from swarmd.core.lifecycle import BUSY, move
from swarmd.core.notes import event_of, failure_of
from swarmd.core.steps import begin
from swarmd.core.tables import Change, Tables
from swarmd.core.wishes import IDEMPOTENCY_SECONDS
from swarmd.errors import Unavailable
from swarmd.messages.enums import EventType, InstanceStatus, OperationKind, OperationState


def tidy(tables: Tables, now: datetime) -> Change:
    """Mend what a crash between two files of one change cut apart (DESIGN 5).

    An operation whose instance is missing was never acknowledged (or is the last trace of a
    delete that ended): it ends. An instance that looks busy although no operation is under
    way is unknown until its provider was asked. Of the operations under way of one instance
    the first must be running.
    """
    change = Change()
    for target, waiting in tables.active.items():
        if target not in tables.instances:
            change = change.plus(_end_all(tables, waiting, now))
        elif tables.operations[waiting[0]].state is OperationState.PENDING:
            first, instance = begin(tables.operations[waiting[0]], tables.instances[target], now)
            change = change.plus(Change(operations=(first,), instances=(instance,)))
    unknown = tuple(
        move(instance, InstanceStatus.UNKNOWN, now=now)
        for instance in tables.instances.values()
        if instance.status in BUSY and instance.id not in tables.active
    )
    return change.plus(Change(instances=unknown))


def _end_all(tables: Tables, operation_ids: tuple[str, ...], now: datetime) -> Change:
    change = Change()
    for operation_id in operation_ids:
        operation = tables.operations[operation_id]
        ending = operation.kind in (OperationKind.DELETE, OperationKind.PURGE)
        error = Unavailable(
            "the daemon ended before this was accepted", next_step="Ask for it again."
        )
        ended = msgspec.structs.replace(
            operation,
            state=OperationState.SUCCEEDED if ending else OperationState.FAILED,
            error=None if ending else failure_of(error),
            reason=operation.reason if ending else error.message,
            ended_at=now,
            step=None,
        )
        event = event_of(EventType.OPERATION_ENDED, None, ended, reason=ended.reason)
        change = change.plus(Change(operations=(ended,), events=(event,)))
    return change


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
