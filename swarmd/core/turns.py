"""Whose turn it is: one operation of an instance runs, the others wait behind it.

This is the lock of an instance (seed 000, section 5.3): it is held by the operation that runs, kept
on disk, and passed on at its end. An operation waits for one lock and holds no other one, so that
there is no deadlock; who waits too long is told who holds it (DESIGN 7).
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from swarmd.core.course import Step, all_wished, begin, fits_trash, in_trash
from swarmd.core.kept import too_late
from swarmd.core.lifecycle import after
from swarmd.core.notes import cancellation, end_of, failure_of, reason_of
from swarmd.core.tables import Change, Tables, sum_of
from swarmd.errors import Conflict, InstanceNotFound, OperationCancelled, SwarmError
from swarmd.messages.enums import DesiredState, OperationKind, OperationState
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Operation

_DELETING = (OperationKind.DELETE, OperationKind.PURGE)


def late(tables: Tables, now: datetime, timeout: float, since: datetime) -> Change:
    """End what has waited too long behind another operation of its instance.

    Where the other one was told to end, its own deadline holds: it ends, or is given up in time.

    Args:
        tables: The tables now.
        now: The time, UTC.
        timeout: The most seconds to wait.
        since: Before this nothing could go on: the daemon did not run.
    """
    queues = (tables.active_of(target) for target, ids in tables.active.items() if len(ids) > 1)
    return sum_of(_late(tables, queue, now, timeout, since) for queue in queues)


def _late(
    tables: Tables, queue: tuple[Operation, ...], now: datetime, timeout: float, since: datetime
) -> Change:
    holder, *waiting = queue
    instance = tables.instances.get(holder.target)
    if instance is None or (holder.cancel_requested and holder.step != Step.UNDO):
        return Change()
    over = timedelta(seconds=timeout)
    return sum_of(
        _out_of_turn(each, holder, instance, now)
        for each in waiting
        if now - max(each.created_at, since) >= over
    )


def _out_of_turn(
    waiting: Operation, holder: Operation, instance: Instance, now: datetime
) -> Change:
    """The end of one whose turn has not come. What is wished for stays, where it can be kept."""
    waited, age = now - waiting.created_at, now - (holder.started_at or holder.created_at)
    now = after(instance, now)
    message = (
        f"{waiting.kind} of {waiting.target_ref} waited {waited.total_seconds():.0f} s behind"
        f" {holder.kind} {holder.id}, which is at its step {holder.step} and"
        f" {age.total_seconds():.0f} s old"
    )
    details = {
        "operation": holder.id,
        "kind": str(holder.kind),
        "step": holder.step,
        "age_seconds": round(age.total_seconds(), 3),
        "waited_seconds": round(waited.total_seconds(), 3),
    }
    if waiting.cancel_requested:
        over = end(waiting, OperationState.CANCELLED, now, cancellation(waiting, message))
    else:
        over = end(waiting, OperationState.FAILED, now, too_late(waiting, message, details))
    told = reason_of(waiting, f"{waiting.kind} waited in vain", message, now)
    instance = msgspec.structs.replace(instance, updated_at=now)
    return Change(
        operations=(over,),
        instances=(instance,),
        events=(end_of(over, instance),),
        reasons=((instance.id, told),),
    )


def end(
    operation: Operation, state: OperationState, now: datetime, error: SwarmError | None = None
) -> Operation:
    """The operation at its end; without an error it keeps the one that it met on its way."""
    kept = failure_of(error) if error is not None else operation.error
    reason = kept.message if kept is not None else operation.reason
    return msgspec.structs.replace(
        operation, state=state, ended_at=now, error=kept, reason=reason, step=None
    )


def close(
    tables: Tables, ended: Operation, instance: Instance | None, now: datetime, also: Change
) -> Change:
    """The end of an operation, and the beginning of the one that waited behind it."""
    if instance is not None:
        # Never older than the operation's end: ``housekeeping.tidy`` relies on it.
        instance = msgspec.structs.replace(instance, updated_at=now)
    shown = instance or tables.instances.get(ended.target)
    operations, instances = (ended,), (instance,) if instance else ()
    change = Change(operations=operations, instances=instances).plus(also)
    change = change.plus(Change(events=(end_of(ended, shown),)))
    waiting = tuple(each for each in tables.active_of(ended.target) if each.id != ended.id)
    for place, operation in enumerate(waiting, 1):
        change = change.plus(_promote(operation, instance, waiting[place:], now))
        if change.operations[-1].state is OperationState.RUNNING:
            break
    return change


def _promote(
    waiting: Operation, instance: Instance | None, behind: tuple[Operation, ...], now: datetime
) -> Change:
    """Begin what waited, or end it if there is nothing left for it to do."""
    if waiting.cancel_requested:
        error = OperationCancelled(waiting.reason or "cancelled")
        ended = end(waiting, OperationState.CANCELLED, now, error)
        kept = _kept_from_deletion(instance, behind)
        if kept is not None:
            events = (end_of(ended, kept),)
            return Change(operations=(ended,), instances=(kept,), events=events)
    elif instance is None or (in_trash(instance) and not fits_trash(waiting)):
        ended = pointless(waiting, instance, now)
    else:
        operation, instance = begin(waiting, instance, now)
        desired = all_wished(behind, instance.desired)
        instance = msgspec.structs.replace(instance, desired=desired)
        return Change(operations=(operation,), instances=(instance,))
    return Change(operations=(ended,), events=(end_of(ended, instance),))


def _kept_from_deletion(
    instance: Instance | None, behind: tuple[Operation, ...]
) -> Instance | None:
    """The record once the delete that waited was cancelled: nobody wishes it gone any more."""
    if instance is None or in_trash(instance) or instance.desired is not DesiredState.DELETED:
        return None
    if any(operation.kind in _DELETING for operation in behind):
        return None
    return msgspec.structs.replace(instance, desired=DesiredState.STOPPED)


def pointless(operation: Operation, instance: Instance | None, now: datetime) -> Operation:
    """The end of one whose instance is gone, or lies in the trash: just that was wished, or not."""
    if operation.kind in (*_DELETING, OperationKind.STOP):
        return end(operation, OperationState.SUCCEEDED, now)
    error: SwarmError = InstanceNotFound(f"{operation.target_ref} is gone")
    if instance is not None:
        error = Conflict(
            f"{operation.target_ref} is in the trash",
            next_step=f"Take it out first: swarmctl undelete {operation.target_ref}.",
        )
    return end(operation, OperationState.FAILED, now, error)
