"""Events, as they come and from the journal."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from swarmd.messages.enums import EventType
from swarmd.messages.requests.base import Limit, Ref, Request


class SubscribeEvents(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Stream events: from the journal since a position, a snapshot marker, then as they come."""

    since: Annotated[int, Meta(ge=0, description="After this sequence number.")] | None = None
    journal: Annotated[str | None, Meta(description="The journal that since belongs to.")] = None
    type: Annotated[tuple[EventType, ...], Meta(description="Any of these.")] = ()
    target: Annotated[Ref | None, Meta(description="Only those of this instance.")] = None


class UnsubscribeEvents(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """End an event stream of this connection."""

    stream: str


class HistoryEvents(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Read a page of the journal."""

    since: Annotated[int, Meta(ge=0, description="After this sequence number.")] = 0
    limit: Limit = 200
    type: Annotated[tuple[EventType, ...], Meta(description="Any of these.")] = ()
    target: Annotated[Ref | None, Meta(description="Only those of this instance.")] = None


class EventsAt(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Show the table of instances as it was at a moment, from the journal; default: now."""

    seq: (
        Annotated[int, Meta(ge=0, description="As the event of this sequence number left it.")]
        | None
    ) = None
    time: (
        Annotated[datetime, Meta(tz=True, description="As it was then: a time with its zone.")]
        | None
    ) = None
    limit: Limit = 1000
    cursor: Annotated[
        str | None, Meta(description="next_cursor of the page before; give its seq, too.")
    ] = None
