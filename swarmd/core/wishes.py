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

from swarmd.core.course import STARTING, Step, all_wished, begin, wished
from swarmd.core.fallback import may_go_on
from swarmd.core.fitting import check_record, holder_of
from swarmd.core.lifecycle import at_or_after
from swarmd.core.notes import event_of, reason_of
from swarmd.core.tables import Change, Tables
from swarmd.errors import Conflict, InstanceNotFound, OperationNotFound
from swarmd.messages.enums import (
    DesiredState,
    EventType,
    OperationKind,
    OperationState,
    Origin,
)
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Caller, Operation

IDEMPOTENCY_SECONDS = 86400.0
_ENDING = (OperationKind.STOP, OperationKind.DELETE, OperationKind.PURGE)
_REMOVING = (OperationKind.DELETE, OperationKind.PURGE)
_MAKING = (OperationKind.CREATE, OperationKind.IMPORT)
_RANK = {Origin.USER: 2, Origin.RECOVERY: 1, Origin.POLICY: 1, Origin.RECONCILE: 0}
"""What policy began is cut off by a user alone; it cuts off nothing itself."""


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
    earlier = answered(tables, wish)
    if earlier is not None:
        return earlier
    taken = holder_of(tables, instance.owner, instance.name)
    if taken is not None:
        raise Conflict(
            f"{instance.ref} exists already",
            field="config.name",
            next_step=f"Choose another name, or delete it: swarmctl rm {instance.ref}.",
            details={"instance": taken},
        )
    operation, instance = begin(_operation(wish, instance), instance, wish.now)
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
    earlier = answered(tables, wish)
    if earlier is not None:
        return earlier
    instance = tables.instances.get(instance_id)
    if instance is None:
        raise InstanceNotFound(
            f"instance {instance_id} does not exist any more",
            field="id",
            next_step="See what there is: swarmctl ls.",
        )
    operation = _operation(wish, instance)
    check_record(tables, operation, instance)
    under_way = tables.active_of(instance_id)
    joined = _same_wish(wish, under_way)
    if joined is not None:
        return Verdict(joined.id, _keyed(joined, wish), joined=True)
    return _enter(wish, operation, instance, under_way)


def _keyed(joined: Operation, wish: Wish) -> Change:
    """The key of a wish that joins is left at the operation, unless that has one of its own."""
    mine = joined.caller.uid == wish.caller.uid and joined.idempotency_key is None
    if wish.key is None or not mine:
        return Change()
    keyed = msgspec.structs.replace(joined, idempotency_key=wish.key, request_digest=wish.digest)
    return Change(operations=(keyed,))


def answered(tables: Tables, wish: Wish) -> Verdict | None:
    """The operation that this request, or its idempotency key within 24 h, already got.

    Asked before anything else is looked at: what was done already must not be refused.

    Raises:
        Conflict: The key was used for something else.
    """
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


# --- what is under way -----------------------------------------------------------------------


def _same_wish(wish: Wish, under_way: tuple[Operation, ...]) -> Operation | None:
    """An operation under way that already does what is wished."""
    for operation in under_way:
        if operation.kind is not wish.kind or operation.cancel_requested:
            continue
        if wish.kind in _ENDING:
            if bool(operation.arguments.get("force")) >= bool(wish.arguments.get("force")):
                return operation
        elif wish.kind is OperationKind.UNDELETE:
            if operation.arguments.get("name") == wish.arguments.get("name"):
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
    """A user's stop or delete over all that does not end it, else the higher origin.

    What a rule asks for can wait: it wins over nothing.
    """
    outranks = _RANK[wish.origin] > _RANK[running.origin]
    if running.kind in _REMOVING or wish.origin is Origin.POLICY:
        return False
    if running.kind is OperationKind.STOP:
        return outranks and wish.kind not in _ENDING
    return outranks or (wish.origin is Origin.USER and wish.kind in _ENDING)


def _may_queue(wish: Wish, running: Operation) -> bool:
    """A delete waits for a stop, a forced one for anything that ends: all lead the same way."""
    if wish.origin is not Origin.USER or running.kind not in _ENDING:
        return False
    if wish.kind is OperationKind.DELETE:
        return True
    return wish.kind is OperationKind.STOP and running.kind is OperationKind.STOP


def _enter(
    wish: Wish, operation: Operation, instance: Instance, under_way: tuple[Operation, ...]
) -> Verdict:
    """Write the new operation down, behind those that have to end first."""
    losers: list[Operation] = []
    reasons = [(instance.id, reason_of(operation, str(wish.kind), wish.why))]
    for loser in _beaten(wish, under_way):
        told = _told_to_end(loser, wish)
        losers.append(told)
        reasons.append((instance.id, reason_of(operation, f"end the {loser.kind}", told.reason)))
    desired = wished(operation, instance.desired)
    now = at_or_after(instance, wish.now)
    instance = msgspec.structs.replace(instance, desired=desired, updated_at=now)
    if not under_way:
        operation, instance = begin(operation, instance, wish.now)
    change = Change(
        operations=(*losers, operation),
        instances=(instance,),
        events=(event_of(EventType.OPERATION_STARTED, instance, operation),),
        reasons=tuple(reasons),
    )
    cancel = tuple(loser.id for loser in losers if loser.cancel_requested)
    return Verdict(operation.id, change, cancel)


def _told_to_end(loser: Operation, winner: Wish) -> Operation:
    """How one that was beaten goes on.

    A creation is cut off by a delete alone: else it ends after its own step, for what a stop
    or a change is about would be gone. What is being undone is not cut off by anything, but then
    it does not go on at another provider.
    """
    in_making = loser.kind in _MAKING and loser.step != Step.START
    undone = loser.step == Step.UNDO and not may_go_on(loser)
    finishes = in_making and (winner.kind not in _REMOVING or undone)
    return msgspec.structs.replace(
        loser,
        reason=f"{winner.kind} {winner.operation_id} took precedence",
        arguments={**loser.arguments, "winner": winner.operation_id},
        cancel_requested=loser.cancel_requested or not finishes,
    )


def request_cancel(tables: Tables, operation_id: str, caller: Caller) -> Verdict:
    """A caller's wish that an operation end.

    Who cancels a start does not want it to run: nothing automatic starts it again.

    Raises:
        Conflict: It has ended.
        OperationNotFound: It is not there.
    """
    operation = tables.operations.get(operation_id)
    if operation is None:
        raise OperationNotFound(
            f"there is no operation {operation_id}",
            field="id",
            next_step="List them: swarmctl ops.",
        )
    if operation.state.ended:
        raise Conflict(
            f"operation {operation_id} has {operation.state} already",
            field="id",
            next_step=f"Look at it: swarmctl ops {operation_id}.",
            details={"operation": operation_id, "state": str(operation.state)},
        )
    if operation.step == Step.UNDO and not may_go_on(operation):
        return Verdict(operation_id, joined=True)
    told = msgspec.structs.replace(
        operation, cancel_requested=True, reason=f"cancelled by {caller.name}"
    )
    instance = tables.instances.get(operation.target)
    instances: tuple[Instance, ...] = ()
    if operation.kind in STARTING and instance and instance.desired is DesiredState.RUNNING:
        under_way = tables.active_of(operation.target)
        behind = under_way[under_way.index(operation) + 1 :]
        desired = all_wished(behind, DesiredState.STOPPED)
        instances = (msgspec.structs.replace(instance, desired=desired),)
    return Verdict(operation_id, Change((told,), instances), cancel=(operation_id,))


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
