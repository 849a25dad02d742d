"""Which wishes are accepted, and which wins when two meet.

A user's stop or delete wins over everything that runs and pre-empts it; a user's change wins
over what reconciliation began; the loser gets ``Conflict`` naming the winner's operation
(DESIGN 4 and 7). Accepting is a pure function from the tables to a ``Verdict``: the registry
runs it on its newest tables, so that two callers cannot both take one name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from swarmd.core.notes import event_of, reason_of
from swarmd.core.steps import Step, begin
from swarmd.core.tables import Change, Tables
from swarmd.errors import Conflict, InstanceNotFound, SwarmError, ValidationError
from swarmd.messages.enums import (
    DesiredState,
    EventType,
    InstanceStatus,
    OperationKind,
    OperationState,
    Origin,
)
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Caller, Operation

IDEMPOTENCY_SECONDS = 86400.0
_ENDING = (OperationKind.STOP, OperationKind.DELETE, OperationKind.PURGE)
_MAKING = (OperationKind.CREATE, OperationKind.IMPORT)
_DESIRED = {
    OperationKind.START: DesiredState.RUNNING,
    OperationKind.RESTART: DesiredState.RUNNING,
    OperationKind.STOP: DesiredState.STOPPED,
    OperationKind.UNDELETE: DesiredState.STOPPED,
    OperationKind.DELETE: DesiredState.DELETED,
    OperationKind.PURGE: DesiredState.DELETED,
}


@dataclass(frozen=True, slots=True)
class Wish:
    """A request for an operation, with the chance, time and ids it needs.

    Args:
        lasts: Seconds until the operation's deadline.
        digest: Of the request's parameters; tells a repeated request from another one under
            the same idempotency key.
    """

    operation_id: str
    kind: OperationKind
    origin: Origin
    caller: Caller
    now: datetime
    lasts: float
    arguments: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    digest: str | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """An accepted wish: the operation that answers it, what is to be written, whom to cancel.

    ``joined``: the wish is already on its way (or was answered under this key).
    """

    operation_id: str
    change: Change = Change()
    cancel: tuple[str, ...] = ()
    joined: bool = False


def accept_new(tables: Tables, wish: Wish, instance: Instance) -> Verdict:
    """Accept a create or an import of this fresh record.

    Raises:
        Conflict: The name is taken, or the key was used for something else.
    """
    earlier = _earlier(tables, wish)
    if earlier is not None:
        return earlier
    taken = tables.names.get((instance.owner, instance.name))
    if taken is not None:
        raise Conflict(
            f"{instance.ref} exists already",
            field="config.name",
            next_step=f"Choose another name, or delete it: swarmctl rm {instance.name}.",
            details={"instance": taken},
        )
    operation = _operation(wish, instance)
    operation, instance = begin(operation, instance, wish.now)
    events = (event_of(EventType.OPERATION_STARTED, instance, operation),)
    story = ((instance.id, reason_of(operation, f"create at {instance.provider}", wish.why)),)
    change = Change(operations=(operation,), instances=(instance,), events=events, reasons=story)
    return Verdict(operation.id, change)


def accept(tables: Tables, wish: Wish, instance_id: str) -> Verdict:
    """Accept a wish about an existing instance.

    Raises:
        InstanceNotFound: It is gone.
        Conflict: Another wish has precedence, or its status does not allow it.
    """
    earlier = _earlier(tables, wish)
    if earlier is not None:
        return earlier
    instance = tables.instances.get(instance_id)
    if instance is None:
        raise InstanceNotFound(f"instance {instance_id} does not exist any more")
    if wish.origin is Origin.USER:
        _check_status(tables, wish, instance)
    under_way = tables.active_of(instance_id)
    joined = _same_wish(wish, under_way)
    if joined is not None:
        return Verdict(joined.id, joined=True)
    beaten = _beaten(wish, under_way)
    return _enter(wish, instance, under_way, beaten)


def _earlier(tables: Tables, wish: Wish) -> Verdict | None:
    """The operation that this request, or its idempotency key within 24 h, already got."""
    if wish.operation_id in tables.operations:
        # Asked again because an actor was lost in between: it had been accepted.
        return Verdict(wish.operation_id, joined=True)
    if wish.key is None:
        return None
    known = tables.keys.get((wish.caller.uid, wish.kind.value, wish.key))
    operation = tables.operations.get(known or "")
    if operation is None:
        return None
    if wish.now - operation.created_at > timedelta(seconds=IDEMPOTENCY_SECONDS):
        return None
    if operation.request_digest != wish.digest:
        raise Conflict(
            f"idempotency key {wish.key!r} was used with other parameters",
            field="idempotency_key",
            next_step="Use a fresh key for a different request.",
            details={"operation": operation.id},
        )
    return Verdict(operation.id, joined=True)


def _check_status(tables: Tables, wish: Wish, instance: Instance) -> None:
    """What the instance's own state forbids, whoever asks."""
    in_trash = instance.status is InstanceStatus.DELETED
    wants_trash = wish.kind in (OperationKind.UNDELETE, OperationKind.PURGE)
    forced = wish.kind is OperationKind.DELETE and wish.arguments.get("force")
    if in_trash and not wants_trash and not forced:
        raise Conflict(
            f"{instance.ref} is in the trash",
            field="id",
            next_step=f"Take it out first: swarmctl undelete {instance.name}.",
        )
    if not in_trash and wants_trash:
        raise Conflict(f"{instance.ref} is not in the trash", field="id")
    if wish.kind is OperationKind.DELETE and instance.config.protect:
        raise Conflict(
            f"{instance.ref} is protected",
            field="config.protect",
            next_step=f"Switch it off first: swarmctl update {instance.name} --no-protect.",
        )
    if wish.kind is OperationKind.UNDELETE:
        _check_name_free(tables, wish, instance)
    _check_revision(wish, instance)


def _check_name_free(tables: Tables, wish: Wish, instance: Instance) -> None:
    name = wish.arguments.get("name") or instance.name
    if (instance.owner, name) in tables.names:
        raise Conflict(
            f"{instance.owner}/{name} exists already",
            field="name",
            next_step="Give it another name: swarmctl undelete ID --name NEW.",
        )


def _check_revision(wish: Wish, instance: Instance) -> None:
    wanted = wish.arguments.get("if_revision")
    if wanted is not None and wanted != instance.revision:
        raise Conflict(
            f"{instance.ref} is at revision {instance.revision}, not {wanted}",
            field="if_revision",
            next_step="Read it again and repeat the change.",
            details={"revision": instance.revision},
        )


def _same_wish(wish: Wish, under_way: tuple[Operation, ...]) -> Operation | None:
    """An operation under way that already does what is wished: stop, start and delete join."""
    for operation in under_way:
        if operation.kind is not wish.kind or operation.cancel_requested:
            continue
        if wish.kind in (OperationKind.STOP, OperationKind.DELETE, OperationKind.PURGE):
            if bool(operation.arguments.get("force")) >= bool(wish.arguments.get("force")):
                return operation
        elif wish.kind is OperationKind.START:
            return operation
    return None


def _beaten(wish: Wish, under_way: tuple[Operation, ...]) -> tuple[Operation, ...]:
    """Those under way that this wish pre-empts.

    Raises:
        Conflict: One of them has precedence instead.
    """
    beaten: list[Operation] = []
    for operation in under_way:
        if _wins(wish, operation):
            beaten.append(operation)
        elif not _may_queue(wish, operation):
            raise Conflict(
                f"{operation.kind} of {operation.target_ref} is under way",
                next_step=f"Wait for it: swarmctl ops wait {operation.id}.",
                details={"operation": operation.id, "kind": str(operation.kind)},
            )
    return tuple(beaten)


def _wins(wish: Wish, running: Operation) -> bool:
    if running.kind in _ENDING:
        return False
    if wish.origin is Origin.USER and wish.kind in _ENDING:
        return True
    return wish.origin is Origin.USER and running.origin is not Origin.USER


def _may_queue(wish: Wish, running: Operation) -> bool:
    """A delete waits for a stop, a forced one for anything that ends: all lead the same way."""
    if wish.origin is not Origin.USER or running.kind not in _ENDING:
        return False
    if wish.kind is OperationKind.DELETE:
        return True
    return wish.kind is OperationKind.STOP and running.kind is OperationKind.STOP


def _enter(
    wish: Wish,
    instance: Instance,
    under_way: tuple[Operation, ...],
    beaten: tuple[Operation, ...],
) -> Verdict:
    """Write the new operation down, behind those that have to end first."""
    desired = instance.desired
    if wish.origin is Origin.USER:
        desired = _DESIRED.get(wish.kind, desired)
    arguments = dict(wish.arguments) | {"was": instance.status.value}
    operation = msgspec.structs.replace(_operation(wish, instance), arguments=arguments)
    instance = msgspec.structs.replace(instance, desired=desired, updated_at=wish.now)
    events = [event_of(EventType.OPERATION_STARTED, instance, operation)]
    reasons = [(instance.id, reason_of(operation, str(wish.kind), wish.why))]
    losers: list[Operation] = []
    for loser in beaten:
        why = f"{wish.kind} {wish.operation_id} took precedence"
        losers.append(_told_to_end(loser, wish.kind, why))
        reasons.append((instance.id, reason_of(operation, f"end the {loser.kind}", why)))
    if not under_way:
        operation, instance = begin(operation, instance, wish.now)
    change = Change(
        operations=(*losers, operation),
        instances=(instance,),
        events=tuple(events),
        reasons=tuple(reasons),
    )
    cancel = tuple(loser.id for loser in losers if loser.cancel_requested)
    return Verdict(operation.id, change, cancel)


def _told_to_end(loser: Operation, winner: OperationKind, why: str) -> Operation:
    """A creation is not cut off by a stop: it ends after its own step, without starting."""
    in_making = loser.kind in _MAKING and loser.step != Step.START
    finishes = in_making and winner is OperationKind.STOP
    return msgspec.structs.replace(
        loser, reason=why, cancel_requested=loser.cancel_requested or not finishes
    )


def request_cancel(tables: Tables, operation_id: str, caller: Caller) -> Verdict:
    """A caller's wish that an operation end.

    Raises:
        Conflict: It has ended.
        ValidationError: It is not there.
    """
    operation = tables.operations.get(operation_id)
    if operation is None:
        raise ValidationError(f"there is no operation {operation_id}", field="id")
    if operation.state.ended:
        raise Conflict(f"operation {operation_id} has {operation.state} already")
    told = msgspec.structs.replace(
        operation, cancel_requested=True, reason=f"cancelled by {caller.name}"
    )
    return Verdict(operation_id, Change(operations=(told,)), cancel=(operation_id,))


def _operation(wish: Wish, instance: Instance) -> Operation:
    return Operation(
        id=wish.operation_id,
        kind=wish.kind,
        target=instance.id,
        target_ref=instance.ref,
        owner=instance.owner,
        state=OperationState.PENDING,
        origin=wish.origin,
        caller=wish.caller,
        created_at=wish.now,
        deadline=wish.now + timedelta(seconds=wish.lasts),
        arguments=dict(wish.arguments),
        reason=wish.why,
        idempotency_key=wish.key,
        request_digest=wish.digest,
    )


def refusal(error: Exception) -> SwarmError:
    """Any exception of a decision as one that may be told to its caller."""
    if isinstance(error, SwarmError):
        return error
    return SwarmError(f"a decision failed: {type(error).__name__}: {error}")
