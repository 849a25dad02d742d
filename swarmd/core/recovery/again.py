"""A start that nobody asked for and that failed: it is tried again, until it is held.

Who asks for a start is told that it failed, and decides. Where nobody asked there is nobody to
tell: the record remembers that the failure was an automatic one's, over a restart of the daemon
too, and reconciliation makes the next attempt.
"""

from __future__ import annotations

from swarmd.messages.enums import InstanceStatus, OperationKind, Origin
from swarmd.messages.instance import Failure, Instance
from swarmd.messages.operation import Operation

_AUTOMATIC = "automatic"
_BRINGING_BACK = (OperationKind.CREATE, OperationKind.START, OperationKind.RESTART)


def is_automatic(operation: Operation) -> bool:
    """Whether it brings an instance back, and no user asked for it."""
    return operation.origin is not Origin.USER and operation.kind in _BRINGING_BACK


def failed_by_itself(failure: Failure) -> Failure:
    """The same failure, marked as that of an automatic start."""
    return Failure(
        type=failure.type, message=failure.message, details={**failure.details, _AUTOMATIC: True}
    )


def is_tried_again(record: Instance) -> bool:
    """Whether it is in error since an automatic start of it failed, and for no other reason."""
    return (
        record.status is InstanceStatus.ERROR
        and record.last_error is not None
        and record.last_error.details.get(_AUTOMATIC) is True
    )
