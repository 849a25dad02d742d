"""What all requests share."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from swarmd.messages.units import Duration

Ref = Annotated[str, Meta(description="Id, owner/name, own name or unique id prefix.")]
Limit = Annotated[int, Meta(ge=1, le=1000, description="At most so many.")]


class Request(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every request is."""


class Mutation(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every request for an operation takes (DESIGN 6)."""

    wait: Annotated[
        bool,
        Meta(
            description="Answer when the operation has ended, with the instance; with the "
            "operation if the instance is gone by then."
        ),
    ] = True
    timeout: Annotated[
        Duration | None, Meta(description="End the wait (not the operation) after this time.")
    ] = None
    idempotency_key: Annotated[
        str | None, Meta(description="The same key within 24 h gives the same operation.")
    ] = None
