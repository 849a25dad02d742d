"""Operations: what was asked for, on its way."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from swarmd.messages.enums import OperationKind, OperationState
from swarmd.messages.requests.base import Limit, Ref, Request
from swarmd.messages.units import Duration


class ListOperations(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """List operations, newest first."""

    id: Annotated[tuple[str, ...], Meta(description="Only these, by their whole ids.")] = ()
    target: Annotated[Ref | None, Meta(description="Only those of this instance.")] = None
    state: Annotated[tuple[OperationState, ...], Meta(description="Any of these.")] = ()
    kind: Annotated[tuple[OperationKind, ...], Meta(description="Any of these.")] = ()
    limit: Limit = 50


class GetOperation(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Show one operation."""

    id: Annotated[str, Meta(description="Id or unique prefix.")]


class CancelOperation(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask a running operation to end."""

    id: Annotated[str, Meta(description="Id or unique prefix.")]


class WaitOperation(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answer when an operation has ended, or as it is at the timeout."""

    id: Annotated[str, Meta(description="Id or unique prefix.")]
    timeout: Annotated[Duration | None, Meta(description="Wait at most this long.")] = None
