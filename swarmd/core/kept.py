"""Wishes that outlive their operation: a user's start, stop or delete that has to wait.

The desired state says them, durably; reconciliation carries them out once it can (DESIGN 7).
"""

from __future__ import annotations

from typing import Any

from swarmd.core.breaker import says_nothing
from swarmd.errors import DeadlineExceeded, SwarmError
from swarmd.messages.enums import OperationKind, Origin
from swarmd.messages.instance import Failure, Instance
from swarmd.messages.operation import Operation

LASTING = (OperationKind.START, OperationKind.STOP, OperationKind.DELETE)
"""What the desired state says by itself."""

_PROMISES = {
    OperationKind.START: "is started",
    OperationKind.STOP: "is stopped",
    OperationKind.DELETE: "is put into the trash",
}
_KEPT = "kept"


def lasts(operation: Operation) -> bool:
    """Whether an operation stands for a wish that is kept if it ends too early."""
    return operation.origin is Origin.USER and operation.kind in LASTING


def is_kept(operation: Operation, error: SwarmError) -> bool:
    """Whether an operation's wish outlives this end of it."""
    return lasts(operation) and (says_nothing(error) or was_kept(error))


def was_kept(error: SwarmError | Failure | None) -> bool:
    """Whether an error said so."""
    return error is not None and error.details.get(_KEPT) is True


def kept(operation: Operation, instance: Instance, error: SwarmError) -> SwarmError:
    """The same error, with what becomes of the wish."""
    if was_kept(error):
        return error
    when = f"once provider {instance.provider} answers again"
    return _copy(error, f"{_promise(operation)} {when}; {_undo(operation)}")


def too_late(operation: Operation, message: str, details: dict[str, Any]) -> DeadlineExceeded:
    """The error of one that waited too long behind another.

    Args:
        operation: That waited.
        message: Behind what, and for how long.
        details: The same, for programs; ``operation`` is the holder's.
    """
    look = f"See what it does: swarmctl ops {details['operation']}"
    if lasts(operation):
        step = f"{_promise(operation)} after that; {_undo(operation)} {look}."
        return DeadlineExceeded(message, next_step=step, details={**details, _KEPT: True})
    return DeadlineExceeded(
        message,
        next_step=f"{look}; end it with swarmctl ops cancel {details['operation']}, or"
        " repeat this afterwards.",
        details=details,
    )


def _promise(operation: Operation) -> str:
    return f"{operation.target_ref} {_PROMISES[operation.kind]}"


def _undo(operation: Operation) -> str:
    verb = "stop" if operation.kind is OperationKind.START else "start"
    return f"to take that back: swarmctl {verb} {operation.target_ref}."


def _copy(error: SwarmError, next_step: str) -> SwarmError:
    details = {**error.details, _KEPT: True}
    return type(error)(error.message, field=error.field, next_step=next_step, details=details)
