"""What an operation consists of, and what each step's outcome means.

An operation is a short list of provider calls. ``begin`` enters its first step, ``settle``
takes the outcome of the step it is in and answers with the change: the next step, or its end
and the beginning of the operation that waited behind it. Every step may be run again: after a
crash of the daemon the operation goes on with the step that its record names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from swarmd.core.lifecycle import move
from swarmd.core.notes import event_of, failure_of, reason_of
from swarmd.core.tables import Change, EventDraft, Tables
from swarmd.errors import OperationCancelled, SwarmError
from swarmd.messages import codec
from swarmd.messages.enums import (
    DesiredState,
    EventType,
    InstanceStatus,
    OperationKind,
    OperationState,
)
from swarmd.messages.instance import Instance, InstanceConfig
from swarmd.messages.operation import Operation, Progress
from swarmd.messages.provider import Observed


class Step(StrEnum):
    """A provider call on an operation's way."""

    VALIDATE = "validate"
    CREATE = "create"
    IMPORT = "import"
    START = "start"
    STOP = "stop"
    UPDATE = "update"
    TRASH = "trash"
    RESTORE = "restore"
    PURGE = "purge"
    UNDO = "undo"


_DURING = {
    Step.CREATE: InstanceStatus.CREATING,
    Step.IMPORT: InstanceStatus.CREATING,
    Step.START: InstanceStatus.STARTING,
    Step.STOP: InstanceStatus.STOPPING,
    Step.UPDATE: InstanceStatus.UPDATING,
    Step.TRASH: InstanceStatus.DELETING,
    Step.PURGE: InstanceStatus.DELETING,
    Step.UNDO: InstanceStatus.DELETING,
}
_MAKING = (Step.VALIDATE, Step.CREATE, Step.IMPORT)
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


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step ended: what the provider then saw, or the error."""

    operation_id: str
    step: Step
    observed: Observed | None = None
    url: str | None = None
    restart_required: tuple[str, ...] = ()
    error: SwarmError | None = None


def first_step(operation: Operation) -> Step:
    """Where an operation begins."""
    return {
        OperationKind.CREATE: Step.VALIDATE,
        OperationKind.IMPORT: Step.VALIDATE,
        OperationKind.START: Step.START,
        OperationKind.STOP: Step.STOP,
        OperationKind.RESTART: Step.STOP,
        OperationKind.UPDATE: Step.VALIDATE,
        OperationKind.DELETE: Step.STOP,
        OperationKind.UNDELETE: Step.RESTORE,
        OperationKind.PURGE: Step.PURGE,
    }[operation.kind]


def next_step(operation: Operation, instance: Instance, done: Step) -> Step | None:
    """What follows a step that went well; None at the end."""
    kind, arguments = operation.kind, operation.arguments
    if done is Step.VALIDATE:
        return {OperationKind.CREATE: Step.CREATE, OperationKind.IMPORT: Step.IMPORT}.get(
            kind, Step.UPDATE
        )
    if done in (Step.CREATE, Step.IMPORT):
        return Step.START if instance.desired is DesiredState.RUNNING else None
    if done is Step.UPDATE:
        return Step.STOP if arguments.get("restart") and instance.restart_required else None
    if done is Step.STOP and kind in (OperationKind.RESTART, OperationKind.UPDATE):
        return Step.START if instance.desired is DesiredState.RUNNING else None
    if done is Step.STOP and kind is OperationKind.DELETE:
        return Step.PURGE if arguments.get("force") else Step.TRASH
    return None


def begin(operation: Operation, instance: Instance, now: datetime) -> tuple[Operation, Instance]:
    """Enter the first step."""
    running = msgspec.structs.replace(operation, state=OperationState.RUNNING, started_at=now)
    return _enter(running, instance, first_step(operation), now)


def _enter(
    operation: Operation, instance: Instance, step: Step, now: datetime
) -> tuple[Operation, Instance]:
    status = _DURING.get(step)
    if status is not None:
        instance = move(instance, status, now=now)
    entered = msgspec.structs.replace(operation, step=step.value, progress=Progress())
    return entered, instance


def config_during(operation: Operation, instance: Instance) -> InstanceConfig:
    """The configuration that the provider is shown: an update's new one while it runs."""
    if operation.kind is OperationKind.UPDATE and "config" in operation.arguments:
        return codec.convert(operation.arguments["config"], InstanceConfig)
    return instance.config


def settle(tables: Tables, outcome: Outcome, now: datetime) -> Change:
    """What the outcome of a step changes; nothing if the operation is past that step."""
    operation = tables.operations.get(outcome.operation_id)
    if operation is None or operation.state.ended or operation.step != outcome.step.value:
        return Change()
    instance = tables.instances.get(operation.target)
    if instance is None:
        error = SwarmError(f"{operation.target_ref} is gone")
        ended = _ended(operation, OperationState.FAILED, now, error)
        return _close(tables, ended, None, now, Change())
    if outcome.error is not None:
        return _failed(tables, operation, instance, outcome, outcome.error, now)
    return _went_well(tables, operation, instance, outcome, now)


def _went_well(
    tables: Tables, operation: Operation, instance: Instance, outcome: Outcome, now: datetime
) -> Change:
    if outcome.step is Step.UNDO:
        return _undone(tables, operation, instance, now)
    instance = _after(operation, instance, outcome, now)
    noted = _note(operation, instance, outcome, now)
    if outcome.step is Step.PURGE:
        gone = Change(drop_instances=(instance.id,)).plus(noted)
        ended = _ended(operation, OperationState.SUCCEEDED, now)
        return _close(tables, ended, None, now, gone)
    following = next_step(operation, instance, outcome.step)
    if operation.cancel_requested and following is not None:
        error = OperationCancelled(operation.reason or "cancelled")
        broken = Outcome(operation.id, following, outcome.observed, error=error)
        entered = msgspec.structs.replace(operation, step=following.value)
        return noted.plus(_failed(tables, entered, instance, broken, error, now))
    if following is not None:
        operation, instance = _enter(operation, instance, following, now)
        return Change(operations=(operation,), instances=(instance,)).plus(noted)
    ended = _ended(operation, OperationState.SUCCEEDED, now)
    return _close(tables, ended, instance, now, noted)


def _after(operation: Operation, instance: Instance, outcome: Outcome, now: datetime) -> Instance:
    """The record once a step went well."""
    seen = outcome.observed
    changes: dict[str, Any] = {}
    match outcome.step:
        case Step.VALIDATE:
            return instance
        case Step.CREATE | Step.IMPORT:
            return move(instance, InstanceStatus.CREATED, now=now)
        case Step.START:
            started = seen.started_at if seen else None
            changes = {"url": outcome.url, "started_at": started or now, "restart_required": ()}
            return move(instance, InstanceStatus.RUNNING, now=now, last_error=None, **changes)
        case Step.STOP:
            return move(instance, InstanceStatus.STOPPED, now=now, started_at=None)
        case Step.UPDATE:
            return _updated(operation, instance, outcome, now)
        case Step.TRASH:
            return move(instance, InstanceStatus.DELETED, now=now, deleted_at=now)
        case Step.RESTORE:
            name = operation.arguments.get("name") or instance.name
            config = msgspec.structs.replace(instance.config, name=name)
            changes = {"deleted_at": None, "name": name, "config": config}
            return move(instance, InstanceStatus.STOPPED, now=now, **changes)
        case _:
            return instance


def _updated(operation: Operation, instance: Instance, outcome: Outcome, now: datetime) -> Instance:
    seen = outcome.observed
    status = seen.status if seen else InstanceStatus(operation.arguments["was"])
    waiting = tuple(sorted({*instance.restart_required, *outcome.restart_required}))
    return move(
        instance,
        status,
        now=now,
        config=config_during(operation, instance),
        metadata=dict(config_during(operation, instance).metadata),
        revision=instance.revision + 1,
        restart_required=waiting if status is InstanceStatus.RUNNING else (),
        last_error=None,
    )


def _note(operation: Operation, instance: Instance, outcome: Outcome, now: datetime) -> Change:
    """The event and the line of the story for a step that went well."""
    kind = _EVENTS.get(outcome.step)
    if kind is None:
        return Change()
    events: tuple[EventDraft, ...] = (event_of(kind, instance, operation),)
    if outcome.step is Step.PURGE and operation.kind is OperationKind.DELETE:
        events = (event_of(EventType.INSTANCE_DELETED, instance, operation), *events)
    if outcome.step is Step.PURGE:
        return Change(events=events)
    told = reason_of(operation, str(kind).replace("instance_", ""), operation.reason, now)
    return Change(events=events, reasons=((instance.id, told),))


def _failed(
    tables: Tables,
    operation: Operation,
    instance: Instance,
    outcome: Outcome,
    error: SwarmError,
    now: datetime,
) -> Change:
    story = reason_of(operation, f"{outcome.step} did not succeed", error.message, now)
    told = Change(reasons=((instance.id, story),))
    making = operation.kind in (OperationKind.CREATE, OperationKind.IMPORT)
    if making and outcome.step in _MAKING:
        marked = msgspec.structs.replace(operation, error=failure_of(error))
        marked, instance = _enter(marked, instance, Step.UNDO, now)
        return Change(operations=(marked,), instances=(instance,)).plus(told)
    cancelled = isinstance(error, OperationCancelled)
    state = OperationState.CANCELLED if cancelled else OperationState.FAILED
    instance = _after_failure(operation, instance, outcome, error, now)
    return _close(tables, _ended(operation, state, now, error), instance, now, told)


def _undone(tables: Tables, operation: Operation, instance: Instance, now: datetime) -> Change:
    """A refused creation leaves no instance, only its operation (DESIGN 6)."""
    cancelled = operation.error is not None and operation.error.type == OperationCancelled.type
    state = OperationState.CANCELLED if cancelled else OperationState.FAILED
    gone = Change(
        drop_instances=(instance.id,),
        events=(event_of(EventType.INSTANCE_PURGED, instance, operation),),
    )
    return _close(tables, _ended(operation, state, now), None, now, gone)


def _after_failure(
    operation: Operation, instance: Instance, outcome: Outcome, error: SwarmError, now: datetime
) -> Instance:
    """The record once a step went wrong: deletable again, whatever happened (DESIGN 6)."""
    cancelled = isinstance(error, OperationCancelled)
    kept = None if cancelled else failure_of(error)
    if outcome.step is Step.START:
        status = InstanceStatus.STOPPED if cancelled else InstanceStatus.ERROR
        return move(instance, status, now=now, last_error=kept, started_at=None)
    if operation.kind is OperationKind.UPDATE and outcome.step in (Step.VALIDATE, Step.UPDATE):
        return move(instance, InstanceStatus(operation.arguments["was"]), now=now, last_error=kept)
    if outcome.step is Step.RESTORE or instance.status is InstanceStatus.DELETED:
        return move(
            instance, InstanceStatus.DELETED, now=now, desired=DesiredState.DELETED, last_error=kept
        )
    status = InstanceStatus.UNKNOWN if cancelled else InstanceStatus.ERROR
    desired = instance.desired
    if desired is DesiredState.DELETED:
        desired = DesiredState.STOPPED
    return move(instance, status, now=now, desired=desired, last_error=kept)


def _ended(
    operation: Operation, state: OperationState, now: datetime, error: SwarmError | None = None
) -> Operation:
    kept = failure_of(error) if error is not None else operation.error
    reason = kept.message if kept is not None else operation.reason
    return msgspec.structs.replace(
        operation, state=state, ended_at=now, error=kept, reason=reason, step=None
    )


def _close(
    tables: Tables, ended: Operation, instance: Instance | None, now: datetime, also: Change
) -> Change:
    """The end of an operation, and the beginning of the one that waited behind it."""
    shown = instance or tables.instances.get(ended.target)
    facts: dict[str, Any] = {"reason": ended.reason}
    if ended.error is not None:
        facts["error"] = {"type": ended.error.type, "message": ended.error.message}
    end = event_of(EventType.OPERATION_ENDED, shown, ended, **facts)
    operations, instances = (ended,), (instance,) if instance else ()
    change = Change(operations=operations, instances=instances).plus(also)
    change = change.plus(Change(events=(end,)))
    for waiting in tables.active_of(ended.target):
        if waiting.id != ended.id:
            change = change.plus(_promote(waiting, instance, now))
            if change.operations[-1].state is OperationState.RUNNING:
                break
    return change


def abandon(tables: Tables, outcome: Outcome, now: datetime) -> Change:
    """Give up a step that does not come back: as a failure, under a raised epoch.

    The epoch tells the late result of the lost call from that of a current one (DESIGN 4).
    """
    change = settle(tables, outcome, now)
    raised = tuple(
        msgspec.structs.replace(instance, epoch=instance.epoch + 1) for instance in change.instances
    )
    return replace(change, instances=raised)


def _promote(waiting: Operation, instance: Instance | None, now: datetime) -> Change:
    if instance is not None and not waiting.cancel_requested:
        operation, instance = begin(waiting, instance, now)
        return Change(operations=(operation,), instances=(instance,))
    if waiting.cancel_requested:
        error: SwarmError | None = OperationCancelled(waiting.reason or "cancelled")
        state = OperationState.CANCELLED
    else:
        vanished = waiting.kind in (OperationKind.DELETE, OperationKind.PURGE, OperationKind.STOP)
        state = OperationState.SUCCEEDED if vanished else OperationState.FAILED
        error = None if vanished else SwarmError(f"{waiting.target_ref} is gone")
    ended = _ended(waiting, state, now, error)
    event = event_of(EventType.OPERATION_ENDED, instance, ended, reason=ended.reason)
    return Change(operations=(ended,), events=(event,))
