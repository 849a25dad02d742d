"""The operation: one mutating request on its way."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from swarmd.messages.enums import OperationKind, OperationState, Origin
from swarmd.messages.instance import Failure


class Caller(Struct, frozen=True, kw_only=True):
    """Who asks: the peer of the socket, as the kernel names it, and the request's mark.

    ``correlation`` goes through every handler, operation, event and log line of one request.
    """

    name: str
    uid: int
    gid: int
    pid: int
    correlation: str = ""


class Progress(Struct, frozen=True, kw_only=True):
    """How far a running operation is. ``fraction`` is 0 to 1, or unknown."""

    message: str = ""
    fraction: float | None = None


class Operation(Struct, frozen=True, kw_only=True):
    """One mutating request: listed, followed, cancellable (DESIGN 2).

    ``arguments`` is what the steps need again after a restart of the daemon; it may hold
    secrets and is never sent to clients (``public`` blanks it).
    """

    id: str
    kind: OperationKind
    target: str
    target_ref: str
    owner: str
    state: OperationState
    origin: Origin
    caller: Caller
    created_at: datetime
    arguments: dict[str, Any] = {}
    started_at: datetime | None = None
    ended_at: datetime | None = None
    deadline: datetime | None = None
    step: str | None = None
    progress: Progress = Progress()
    reason: str = ""
    cancel_requested: bool = False
    error: Failure | None = None
    idempotency_key: str | None = None
    request_digest: str | None = None
    version: int = 1
