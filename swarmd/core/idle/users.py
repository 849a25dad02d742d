"""Which events are a user's doing: that is use of the instance."""

from __future__ import annotations

from swarmd.core.tables import Tables
from swarmd.messages.enums import EventType, OperationState, Origin
from swarmd.messages.events import Event


def user_of(event: Event, tables: Tables) -> str:
    """What a user did with the event's instance, in words; empty if no user did anything.

    A stop that a rule asked for and somebody called off is that somebody's doing.

    Args:
        event: What happened.
        tables: The tables that came with it.
    """
    if event.type is EventType.INSTANCE_KEPT:
        return f"keep by {event.caller}"
    operation = tables.operations.get(event.operation or "")
    if operation is None or event.type is not EventType.OPERATION_ENDED:
        return ""
    if operation.origin is Origin.USER:
        return f"{operation.kind} by {operation.caller.name}"
    if operation.origin is Origin.POLICY and operation.state is OperationState.CANCELLED:
        return f"its {operation.kind} was called off"
    return ""
