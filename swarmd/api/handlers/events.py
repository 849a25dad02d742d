"""Events: the journal page by page, and as a stream."""

from __future__ import annotations

from functools import partial

from swarmd.api.call import Call, handles
from swarmd.api.replying import Opened
from swarmd.api.subscription import Subscription
from swarmd.core.selection import event_fits
from swarmd.errors import InstanceNotFound, ValidationError
from swarmd.messages.events import Event
from swarmd.messages.replies import EventPage, PastTable, StreamOpened
from swarmd.messages.requests import EventsAt, HistoryEvents, SubscribeEvents


@handles(SubscribeEvents)
async def subscribe(call: Call, request: SubscribeEvents) -> Opened:
    """``events.subscribe``."""
    target = _target_id(call, request.target)
    stream = call.link.streams.add(lambda stream_id: Subscription(stream_id, call, request, target))
    return Opened(stream, StreamOpened(stream=stream.id))


@handles(HistoryEvents)
async def history(call: Call, request: HistoryEvents) -> EventPage:
    """``events.history``: a filter reads on until the page is full or the journal ends."""
    types, target = frozenset(request.type), _target_id(call, request.target)
    found: list[Event] = []
    after, gap = request.since, False
    while len(found) < request.limit and call.link.is_open:
        page = partial(call.query.history, call.caller, after, request.limit)
        gone, events = await call.from_disk(page)
        gap = gap or gone
        if not events:
            break
        found += (event for event in events if event_fits(event, types=types, target=target))
        after = events[-1].seq
    journal, last_seq = call.query.position()
    return EventPage(
        items=tuple(found[: request.limit]), journal=journal, last_seq=last_seq, gap=gap
    )


@handles(EventsAt)
async def at(call: Call, request: EventsAt) -> PastTable:
    """``events.at``: read from the journal, off the loop."""
    if request.seq is not None and request.time is not None:
        raise ValidationError(
            "seq and time both name a moment", field="time", next_step="Give one of them."
        )
    return await call.from_disk(partial(call.query.past, call.caller, request))


def _target_id(call: Call, ref: str | None) -> str | None:
    """The id that events bear; an instance that is gone is found by its whole id alone."""
    if ref is None:
        return None
    try:
        return call.query.instance(call.caller, ref).id
    except InstanceNotFound:
        return ref
