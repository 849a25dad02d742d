"""How a decision tells what it did: the event for watchers, the reason for the story."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from swarmd.core.tables import Change, EventDraft
from swarmd.errors import OperationCancelled, SwarmError
from swarmd.messages.enums import EventType, Origin
from swarmd.messages.instance import Failure, Instance, Reason
from swarmd.messages.operation import Operation


def event_of(
    kind: EventType, instance: Instance | None, operation: Operation | None = None, **data: Any
) -> EventDraft:
    """An event about an instance, an operation of it, or both."""
    facts: dict[str, Any] = dict(data)
    if operation is not None:
        facts |= {"kind": str(operation.kind), "state": str(operation.state)}
    if instance is not None:
        facts |= {
            "name": instance.name,
            "status": str(instance.status),
            "provider": instance.provider,
        }
    return EventDraft(
        type=kind,
        target=instance.id if instance else operation.target if operation else None,
        ref=instance.ref if instance else operation.target_ref if operation else None,
        owner=instance.owner if instance else operation.owner if operation else None,
        operation=operation.id if operation else None,
        caller=operation.caller.name if operation else None,
        correlation=operation.caller.correlation or None if operation else None,
        data=facts,
    )


def end_of(ended: Operation, instance: Instance | None) -> EventDraft:
    """The event of an operation's end."""
    facts: dict[str, Any] = {"reason": ended.reason}
    if ended.error is not None:
        facts["error"] = {"type": ended.error.type, "message": ended.error.message}
    return event_of(EventType.OPERATION_ENDED, instance, ended, **facts)


def status_of(before: Instance, after: Instance, why: str, now: datetime) -> Change:
    """The event and the line of the story for a status that no operation gave."""
    what = f"{before.status} → {after.status}"
    reason = Reason(at=now, what=what, why=why, by=str(Origin.RECONCILE))
    event = event_of(EventType.INSTANCE_STATUS_CHANGED, after, before=str(before.status), why=why)
    return Change(events=(event,), reasons=((before.id, reason),))


def reason_of(operation: Operation, what: str, why: str = "", at: datetime | None = None) -> Reason:
    """A line of the story, on behalf of an operation."""
    by = operation.caller.name if operation.origin is Origin.USER else str(operation.origin)
    return Reason(
        at=at or operation.created_at,
        what=what,
        why=why or f"asked for by {by}",
        by=by,
        operation=operation.id,
    )


def failure_of(error: SwarmError) -> Failure:
    """An error as it is kept on a record and sent over the wire."""
    return Failure(type=error.type, message=error.message, details=error.details)


def cancellation(operation: Operation, cause: str) -> OperationCancelled:
    """The error of an operation that was told to end: by whom, and what it met then."""
    facts = {"cause": cause}
    winner = operation.arguments.get("winner")
    if winner is not None:
        facts["winner"] = winner
    return OperationCancelled(operation.reason, details=facts)
