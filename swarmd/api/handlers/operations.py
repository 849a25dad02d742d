"""Operations: list, get, cancel, wait; and carrying one out for a mutating request."""

from __future__ import annotations

from typing import Any

import msgspec

from swarmd.api.call import Call, handles
from swarmd.errors import DeadlineExceeded, OperationCancelled, SwarmError, from_wire
from swarmd.messages.enums import OperationState
from swarmd.messages.operation import Operation
from swarmd.messages.replies import OperationList
from swarmd.messages.requests import (
    CancelOperation,
    GetOperation,
    ListOperations,
    Mutation,
    WaitOperation,
)
from swarmd.messages.units import Duration


def public(operation: Operation) -> Operation:
    """What clients see of it: never its arguments, which may hold secrets, nor their digest."""
    return msgspec.structs.replace(operation, arguments={}, request_digest=None)


@handles(ListOperations)
def list_operations(call: Call, request: ListOperations) -> OperationList:
    """``operation.list``."""
    found = call.query.operations(call.caller, request)
    return OperationList(items=tuple(public(operation) for operation in found))


@handles(GetOperation)
def get_operation(call: Call, request: GetOperation) -> Operation:
    """``operation.get``."""
    return public(call.query.operation(call.caller, request.id))


@handles(CancelOperation)
async def cancel_operation(call: Call, request: CancelOperation) -> Operation:
    """``operation.cancel``."""
    operation = call.query.operation(call.caller, request.id)
    return public(await call.commands.cancel(call.caller, operation.id))


@handles(WaitOperation)
async def wait_operation(call: Call, request: WaitOperation) -> Operation:
    """``operation.wait``: at the timeout the operation as it is then, not an error."""
    operation = call.query.operation(call.caller, request.id)
    return public(await wait_for_end(call, operation, request.timeout))


async def wait_for_end(call: Call, operation: Operation, timeout: Duration | None) -> Operation:
    """The operation when it has ended, or as it is at the timeout (seconds)."""
    if operation.state.ended:
        return operation
    with call.link.abandonable():
        return await call.commands.wait(operation.id, timeout)


async def carry_out(call: Call, request: Mutation) -> Operation:
    """Submit a request, tell its operation's id, and wait for its end if that is asked for.

    Returns:
        The operation: ended well, or as it was accepted if ``wait`` is false.

    Raises:
        DeadlineExceeded: The wait ran out; the operation goes on.
        OperationCancelled: It was cancelled.
        SwarmError: What the operation failed with.
    """
    operation = await call.commands.submit(call.caller, request)
    tell_started(call, operation)
    if not request.wait or call.is_notification:
        return operation
    operation = await wait_for_end(call, operation, request.timeout)
    if (problem := problem_of(operation)) is not None:
        raise problem
    return operation


def tell_started(call: Call, operation: Operation) -> None:
    """Name an operation to who waits for its request's answer, before that comes."""
    if call.is_notification:
        return
    call.link.notify(
        "operation.started",
        {
            "id": operation.id,
            "kind": operation.kind,
            "target": operation.target,
            "request": call.request_id,
        },
    )


def problem_of(operation: Operation) -> SwarmError | None:
    """Why an operation that was waited for has not succeeded; None if it has."""
    what = f"{operation.kind} of {operation.target_ref}"
    named: dict[str, Any] = {"operation": operation.id}
    if operation.state is OperationState.SUCCEEDED:
        return None
    if not operation.state.ended:
        return DeadlineExceeded(
            f"the time to wait for the {what} ran out; it goes on",
            next_step=f"Follow it with operation.wait of {operation.id}, or cancel it.",
            details=named,
        )
    failure = operation.error
    if failure is not None:
        return from_wire(failure.type, failure.message, named | failure.details)
    if operation.state is OperationState.CANCELLED:
        why = f": {operation.reason}" if operation.reason else ""
        return OperationCancelled(f"the {what} was cancelled{why}", details=named)
    return from_wire("internal_error", f"the {what} failed: {operation.reason}", named)
