"""Faults of the protocol, in words."""

from __future__ import annotations

from collections.abc import Iterable

from swarmd.api.errors import INVALID_REQUEST, METHOD_NOT_FOUND, ProtocolFault
from swarmd.core.naming import nearest
from swarmd.messages.wire import MAX_FRAME


def too_long() -> ProtocolFault:
    """A line that was discarded as it came."""
    return ProtocolFault(
        INVALID_REQUEST,
        f"the line is longer than {MAX_FRAME} bytes",
        next_step="Send less at once; archives go through upload.open and stream.write.",
        details={"limit": MAX_FRAME},
    )


def ids_too_long() -> ProtocolFault:
    """A batch whose answers would not fit a line, whatever they are."""
    return ProtocolFault(
        INVALID_REQUEST,
        f"the ids of this batch leave no room for its answers in {MAX_FRAME} bytes",
        field="id",
        next_step="Use numbers or short ids, or send fewer requests in one batch.",
        details={"limit": MAX_FRAME},
    )


def unknown_method(name: str, methods: Iterable[str]) -> ProtocolFault:
    """A method that the table does not have, and those that look like it."""
    shown = name if len(name) <= 100 else name[:100] + "…"
    near = nearest(name[:100], methods)
    return ProtocolFault(
        METHOD_NOT_FOUND,
        f"there is no method {shown!r}",
        field="method",
        next_step=f"Did you mean {' or '.join(near)}?" if near else "rpc.discover lists them all.",
        details={"nearest": list(near)},
    )
