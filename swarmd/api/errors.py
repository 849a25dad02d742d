"""Exceptions into the errors of JSON-RPC (DESIGN section 6, seed 000 section 3.3)."""

from __future__ import annotations

import logging
from typing import Any, Final

from swarmd.errors import SwarmError, Unavailable
from swarmd.messages.instance import Failure

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
APPLICATION_ERROR: Final = -32000
"""Everything that is not a fault of the protocol; ``data.type`` tells which error it is."""

_MESSAGE_MAX = 16_384
_log = logging.getLogger("swarmd.api")


class ProtocolFault(SwarmError):
    """What was sent is no JSON-RPC request that this socket knows.

    Args:
        code: One of JSON-RPC's codes.
        message: What is wrong.
        field: Which input is to blame.
        next_step: What to send instead.
        request_id: The id to answer with, if it could be read.
        details: Facts for programs.
    """

    type = "validation_error"

    def __init__(
        self,
        code: int,
        message: str,
        *,
        field: str | None = None,
        next_step: str | None = None,
        request_id: int | str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, field=field, next_step=next_step, details=details)
        self.code = code
        self.request_id = request_id


def failure_of(error: BaseException, correlation: str) -> Failure:
    """An error as the wire describes it; one that nobody foresaw is logged and hidden.

    Args:
        error: What was raised.
        correlation: The mark of the request, for the log and for the reader.
    """
    if isinstance(error, SwarmError):
        return Failure(type=error.type, message=_short(error.message), details=error.details)
    _log.error("a request failed unexpectedly", exc_info=error, extra={"correlation": correlation})
    return Failure(
        type="internal_error",
        message="swarmd failed unexpectedly while it handled this request",
        details={
            "correlation": correlation,
            "next_step": f"Look for {correlation} in the daemon's log and report what it says.",
        },
    )


def to_wire(error: BaseException, correlation: str) -> dict[str, Any]:
    """The ``error`` member of a reply."""
    failure = failure_of(error, correlation)
    code = error.code if isinstance(error, ProtocolFault) else APPLICATION_ERROR
    return {
        "code": code,
        "message": failure.message,
        "data": {"type": failure.type, "message": failure.message, "details": failure.details},
    }


def chunk_error(error: BaseException, correlation: str) -> dict[str, Any]:
    """The ``error`` member of a stream's last chunk: type, message, details."""
    failure = failure_of(error, correlation)
    return {"type": failure.type, "message": failure.message, "details": failure.details}


def stopping() -> Unavailable:
    """What everybody is told who still waits when the daemon stops."""
    return Unavailable(
        "the daemon is stopping; operations that were accepted go on after its next start",
        next_step="Ask again when the daemon is back; swarmctl ops lists what became of it.",
    )


def _short(message: str) -> str:
    """A message that quotes what was sent must not outgrow a frame."""
    return message if len(message) <= _MESSAGE_MAX else message[:_MESSAGE_MAX] + "…"
