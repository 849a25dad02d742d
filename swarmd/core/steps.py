"""What each step's outcome means: the next step, or the end of the operation.

``settle`` takes the outcome of the step that an operation is in and answers with the change:
the next step, or its end and the beginning of the operation that waited behind it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec

from swarmd.core.breaker import says_nothing, was_not_sent
from swarmd.core.changes import changed_fields
from swarmd.core.course import (
    Outcome,
    Step,
    before_step,
    config_during,
    enter,
    in_trash,
    next_step,
)
from swarmd.core.fallback import elsewhere, final, given_up, not_undone
from swarmd.core.kept import is_kept, kept
from swarmd.core.lifecycle import after, reach
from swarmd.core.notes import cancellation, event_of, failure_of, reason_of
from swarmd.core.recovery.again import failed_by_itself, is_automatic
from swarmd.core.tables import Change, EventDraft, Tables
from swarmd.core.turns import close, end, pointless
from swarmd.errors import (
    InstanceNotFound,
    OperationCancelled,
    SwarmError,
)
from swarmd.messages.enums import (
    DesiredState,
    EventType,
    InstanceStatus,
    OperationKind,
    OperationState,
    Origin,
)
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Operation

__all__ = ["Outcome", "Step", "abandon", "committed", "config_during", "restored", "settle"]

_MAKING = (OperationKind.CREATE, OperationKind.IMPORT)
_UNDOABLE = (Step.VALIDATE, Step.CREATE, Step.IMPORT)
_DELETING = (OperationKind.DELETE, OperationKind.PURGE)
_TOLD = {Step.TRASH: "put into the trash", Step.RESTORE: "taken out of the trash"}
_EVENTS = {
    Step.CREATE: EventType.INSTANCE_CREATED,
    Step.IMPORT: EventType.INSTANCE_CREATED,
    Step.START: EventType.INSTANCE_STARTED,
    Step.STOP: EventType.INSTANCE_STOPPED,
    Step.UPDATE: EventType.INSTANCE_UPDATED,
    Step.TRASH: EventType.INSTANCE_DELETED,
    Step.RESTORE: EventType.INSTANCE_UPDATED,
    Step.PURGE: EventType.INSTANCE_PURGED,
}


def settle(tables: Tables, outcome: Outcome, now: datetime) -> Change:
    """What the outcome of a step changes; nothing if the operation is past that step."""
    operation = tables.operations.get(outcome.operation_id)
    if operation is None or operation.state.ended or operation.step != outcome.step.value:
        return Change()
    instance = tables.instances.get(operation.target)
    if instance is None:
        return close(tables, pointless(operation, None, now), None, now, Change())
    if outcome.provider not in (None, instance.provider):
        return Change()  # a creation that goes on elsewhere: that one's late answer
    now = after(instance, now)
    error = outcome.error
    if isinstance(error, InstanceNotFound) and operation.kind is OperationKind.DELETE:
        if operation.arguments.get("force") and outcome.step is Step.STOP:
            # From every status there is a way to delete: nothing is there that could be stopped.
            operation, instance = enter(operation, instance, Step.PURGE, now)
            return Change(operations=(operation,), instances=(instance,))
        error = _only_by_force(instance, error)
    if error is not None:
        return _failed(tables, operation, instance, outcome, error, now)
    return _went_well(tables, operation, instance, outcome, now)


def _went_well(
    tables: Tables, operation: Operation, instance: Instance, outcome: Outcome, now: datetime
) -> Change:
    if outcome.step is Step.UNDO:
        return _undone(tables, operation, instance, now)
    was, instance = instance, _after(operation, instance, outcome, now)
    if _was_so_already(operation, was, outcome):
        instance, noted = _found_so(operation, was, instance, now)
    else:
        why = _why(operation, was, instance, outcome)
        noted = _note(operation, instance, outcome, now, why=why)
    if outcome.step is Step.PURGE:
        gone = Change(drop_instances=(instance.id,)).plus(noted)
        ended = end(operation, OperationState.SUCCEEDED, now)
        return close(tables, ended, None, now, gone)
    following = next_step(operation, instance, outcome.step)
    undoable = operation.kind in _MAKING and outcome.step in _UNDOABLE
    if operation.cancel_requested and (undoable or following is not None):
        return noted.plus(_cut_short(tables, operation, instance, outcome.step, now))
    if following is not None:
        operation, instance = enter(operation, instance, following, now)
        return Change(operations=(operation,), instances=(instance,)).plus(noted)
    ended = end(operation, OperationState.SUCCEEDED, now)
    return close(tables, ended, instance, now, noted)


def _was_so_already(operation: Operation, was: Instance, outcome: Outcome) -> bool:
    """Whether a start found it running, or a stop found nothing that ran, and so did nothing.

    One that is taken up after a crash of the daemon finds what it has done itself.
    """
    found, seen = operation.arguments.get("was"), outcome.observed
    if seen is None or not seen.unchanged:
        return False
    if operation.kind is OperationKind.STOP:
        return found == InstanceStatus.STOPPED
    lived = found in (InstanceStatus.RUNNING, InstanceStatus.UNKNOWN, InstanceStatus.ERROR)
    same = seen.started_at in (None, was.started_at)
    return operation.kind is OperationKind.START and lived and same


def _found_so(
    operation: Operation, was: Instance, instance: Instance, now: datetime
) -> tuple[Instance, Change]:
    """Nothing was done: what waits for a restart still waits, and the life is as old as it was."""
    changes: dict[str, Any] = {"restart_required": was.restart_required}
    if instance.status is InstanceStatus.RUNNING:
        changes["started_at"] = was.started_at or instance.started_at
    instance = msgspec.structs.replace(instance, **changes)
    what = f"found {instance.status} already"
    # Whoever shows the status that it had meanwhile learns that it is over.
    before = str(was.status)
    event = event_of(
        EventType.INSTANCE_STATUS_CHANGED, instance, operation, before=before, why=what
    )
    told = reason_of(operation, what, operation.reason, now)
    return instance, Change(events=(event,), reasons=((instance.id, told),))


def _cut_short(
    tables: Tables, operation: Operation, instance: Instance, done: Step, now: datetime
) -> Change:
    """Cancelled while a step went well all the same: the next one is not begun.

    A creation is undone, whether its cancel came in time for the provider or not.
    """
    error = _why_cancelled(operation, OperationCancelled("cancelled between two steps"))
    story = reason_of(operation, f"ended after {done}", error.message, now)
    told = Change(reasons=((instance.id, story),))
    if operation.kind in _MAKING and done in _UNDOABLE:
        return _undo(operation, instance, error, now).plus(told)
    desired = _desired_after(operation, instance, None, cancelled=True)
    instance = msgspec.structs.replace(instance, desired=desired)
    ended = end(operation, OperationState.CANCELLED, now, error)
    return close(tables, ended, instance, now, told)


def _after(operation: Operation, instance: Instance, outcome: Outcome, now: datetime) -> Instance:
    """The record once a step went well."""
    seen = outcome.observed
    changes: dict[str, Any] = {}
    match outcome.step:
        case Step.CREATE | Step.IMPORT:
            return reach(instance, InstanceStatus.CREATED, now=now, last_error=None)
        case Step.START:
            started = seen.started_at if seen else None
            changes = {"url": outcome.url, "started_at": started or now, "restart_required": ()}
            return reach(instance, InstanceStatus.RUNNING, now=now, last_error=None, **changes)
        case Step.STOP:
            # The next start takes everything in: nothing waits for a restart any more.
            changes = {"started_at": None, "restart_required": ()}
            return reach(instance, InstanceStatus.STOPPED, now=now, last_error=None, **changes)
        case Step.UPDATE:
            return _updated(operation, instance, outcome, now)
        case Step.TRASH:
            return reach(instance, InstanceStatus.DELETED, now=now, deleted_at=now)
        case Step.RESTORE:
            changes = restored(operation, instance)
            return reach(instance, InstanceStatus.STOPPED, now=now, last_error=None, **changes)
        case _:
            return instance


def restored(operation: Operation, instance: Instance) -> dict[str, Any]:
    """The fields of a record that its way out of the trash changes."""
    name = operation.arguments.get("name") or instance.name
    config = msgspec.structs.replace(instance.config, name=name)
    return {"deleted_at": None, "name": name, "config": config}


def committed(operation: Operation, instance: Instance) -> dict[str, Any]:
    """The fields of a record that an update changes once its provider has taken it."""
    config = config_during(operation, instance)
    revision = instance.revision + 1
    return {"config": config, "metadata": dict(config.metadata), "revision": revision}


def _updated(operation: Operation, instance: Instance, outcome: Outcome, now: datetime) -> Instance:
    seen = outcome.observed
    status = seen.status if seen else InstanceStatus(operation.arguments["was"])
    waiting = tuple(sorted({*instance.restart_required, *outcome.restart_required}))
    return reach(
        instance,
        status,
        now=now,
        restart_required=waiting if status is InstanceStatus.RUNNING else (),
        last_error=instance.last_error if status is InstanceStatus.ERROR else None,
        **committed(operation, instance),
    )


def _why(operation: Operation, was: Instance, instance: Instance, outcome: Outcome) -> str:
    """Of a change what is different by it, by the names of the fields: a value may be a secret."""
    fields = ", ".join(changed_fields(was.config, instance.config))
    if outcome.step is not Step.UPDATE or not fields:
        return operation.reason
    waiting = ", ".join(instance.restart_required)
    return f"{fields}; waits for a restart: {waiting}" if waiting else fields


def _note(
    operation: Operation, instance: Instance, outcome: Outcome, now: datetime, *, why: str
) -> Change:
    """The event and the line of the story for a step that went well."""
    kind = _EVENTS.get(outcome.step)
    if kind is None:
        return Change()
    events: tuple[EventDraft, ...] = (event_of(kind, instance, operation),)
    if outcome.step is Step.PURGE and operation.kind is OperationKind.DELETE:
        events = (event_of(EventType.INSTANCE_DELETED, instance, operation), *events)
    if outcome.step is Step.PURGE:
        return Change(events=events)
    what = _TOLD.get(outcome.step, str(kind).removeprefix("instance_"))
    told = reason_of(operation, what, why, now)
    return Change(events=events, reasons=((instance.id, told),))


def _failed(
    tables: Tables,
    operation: Operation,
    instance: Instance,
    outcome: Outcome,
    error: SwarmError,
    now: datetime,
) -> Change:
    error = _why_cancelled(operation, error)
    if is_kept(operation, error):
        error = kept(operation, instance, error)
    story = reason_of(operation, f"{outcome.step} did not succeed", error.message, now)
    told = Change(reasons=((instance.id, story),))
    if operation.kind in _MAKING and outcome.step in _UNDOABLE:
        if outcome.step is Step.VALIDATE:
            # Nothing has been made yet, so that there is nothing to undo before it goes on.
            refused = msgspec.structs.replace(operation, error=failure_of(error))
            further = elsewhere(tables, refused, instance, now)
            if further is not None:
                return told.plus(further)
            if was_not_sent(error) and operation.origin is Origin.USER:
                return told.plus(_undone(tables, refused, instance, now))
        return _undo(operation, instance, error, now).plus(told)
    cancelled = isinstance(error, OperationCancelled)
    if outcome.step is Step.UNDO:
        cancelled, error = False, not_undone(operation, instance, error)
    state = OperationState.CANCELLED if cancelled else OperationState.FAILED
    instance = _after_failure(operation, instance, outcome.step, error, now)
    return close(tables, end(operation, state, now, error), instance, now, told)


def _only_by_force(instance: Instance, error: SwarmError) -> SwarmError:
    """What is not there cannot be put into the trash, and its record is not dropped unasked."""
    return InstanceNotFound(
        error.message,
        next_step=f"Remove its record, and what may be left of it: swarmctl rm --force"
        f" {instance.ref}.",
        details={"cause": error.message},
    )


def _why_cancelled(operation: Operation, error: SwarmError) -> SwarmError:
    """Who cancelled it says more than the provider, which only knows that someone did."""
    if not isinstance(error, OperationCancelled) or not operation.cancel_requested:
        return error
    return cancellation(operation, error.message)


def _undo(operation: Operation, instance: Instance, error: SwarmError, now: datetime) -> Change:
    """A refused creation is undone; that itself is never cancelled."""
    if operation.cancel_requested:
        operation = given_up(operation)
    marked = msgspec.structs.replace(operation, error=failure_of(error), cancel_requested=False)
    marked, instance = enter(marked, instance, Step.UNDO, now)
    return Change(operations=(marked,), instances=(instance,))


def _undone(tables: Tables, operation: Operation, instance: Instance, now: datetime) -> Change:
    """A refused creation goes on elsewhere, or leaves only its operation (DESIGN 6)."""
    further = elsewhere(tables, operation, instance, now)
    if further is not None:
        return further
    operation = final(tables, operation, instance)
    cancelled = operation.error is not None and operation.error.type == OperationCancelled.type
    state = OperationState.CANCELLED if cancelled else OperationState.FAILED
    gone = Change(
        drop_instances=(instance.id,),
        events=(event_of(EventType.INSTANCE_PURGED, instance, operation),),
    )
    return close(tables, end(operation, state, now), None, now, gone)


def _after_failure(
    operation: Operation, instance: Instance, step: Step, error: SwarmError, now: datetime
) -> Instance:
    """The record once a step went wrong: deletable again, whatever happened (DESIGN 6).

    A provider that did not answer has said nothing of the instance: what became of it is seen
    once it answers again, and then it is taken up. An error would hold it for a human.
    """
    cancelled = isinstance(error, OperationCancelled)
    blind = cancelled or says_nothing(error)
    status = InstanceStatus.UNKNOWN if blind else InstanceStatus.ERROR
    failure = failure_of(error)
    if is_automatic(operation):
        failure = failed_by_itself(failure)
    changes: dict[str, Any] = {} if cancelled else {"last_error": failure}
    if not is_kept(operation, error):
        changes["desired"] = _desired_after(operation, instance, step, cancelled=cancelled)
    if was_not_sent(error) and not in_trash(instance):
        # Nothing has happened to it: it stays what it was last seen to be.
        changes.pop("last_error", None)
        before = before_step(operation, step)
        if step is Step.START and before is not InstanceStatus.RUNNING:
            changes["started_at"] = None
        return reach(instance, before, now=now, **changes)
    if in_trash(instance):
        status = InstanceStatus.DELETED
    elif operation.kind is OperationKind.UPDATE and step in (Step.VALIDATE, Step.UPDATE):
        status = InstanceStatus(operation.arguments["was"])
        if step is Step.VALIDATE:
            changes.pop("last_error", None)  # refused: nothing has happened to the instance
    elif step is Step.START:
        status = InstanceStatus.STOPPED if cancelled else status
        changes["started_at"] = None
    return reach(instance, status, now=now, **changes)


def _desired_after(
    operation: Operation, instance: Instance, step: Step | None, *, cancelled: bool
) -> DesiredState:
    """The desired state once an operation did not come to its end.

    A user whose delete failed decides anew; who cancels a stop wants it to run on, and who
    cancels the restart of a stopped one leaves it stopped. A creation
    that could not be undone is still to go, and so is what reconciliation was to delete.
    """
    if in_trash(instance) or step is Step.UNDO:
        return DesiredState.DELETED
    if operation.origin is Origin.USER and operation.kind in _DELETING:
        return DesiredState.STOPPED
    if operation.origin in (Origin.USER, Origin.POLICY) and cancelled:
        ran = operation.arguments["was"] == InstanceStatus.RUNNING.value
        if operation.kind is OperationKind.STOP:
            return DesiredState.RUNNING if ran else instance.desired
        if operation.kind is OperationKind.RESTART and not ran:
            return DesiredState.STOPPED
    return instance.desired


def abandon(tables: Tables, outcome: Outcome, now: datetime) -> Change:
    """Give up a step that does not come back: as a failure, under a raised epoch.

    The epoch tells the late result of the lost call from that of a current one (DESIGN 4).
    """
    change = settle(tables, outcome, now)
    raised = tuple(
        msgspec.structs.replace(instance, epoch=instance.epoch + 1) for instance in change.instances
    )
    return replace(change, instances=raised)
