"""Events: the journal page by page, and as a stream."""

from __future__ import annotations

from swarmd.api.call import Call, handles
from swarmd.api.replying import Opened
from swarmd.api.subscription import Subscription
from swarmd.core.selection import event_fits
from swarmd.errors import InstanceNotFound
from swarmd.messages.events import Event
from swarmd.messages.replies import EventPage, StreamOpened
from swarmd.messages.requests import HistoryEvents, SubscribeEvents

_SCANNED = 5000
"""Events looked through for one page of a filter: a rare type must not hold up the others."""


@handles(SubscribeEvents)
async def subscribe(call: Call, request: SubscribeEvents) -> Opened:
    """``events.subscribe``."""
    target = _target_id(call, request.target)
    stream = call.link.add_stream(lambda stream_id: Subscription(stream_id, call, request, target))
    return Opened(stream, StreamOpened(stream=stream.id))


@handles(HistoryEvents)
def history(call: Call, request: HistoryEvents) -> EventPage:
    """``events.history``: ``last_seq`` is how far this page has read; ask on from there."""
    types, target = frozenset(request.type), _target_id(call, request.target)
    found: list[Event] = []
    after, scanned, gap = request.since, 0, False
    while len(found) < request.limit and scanned < _SCANNED:
        gone, events = call.query.history(call.caller, after, request.limit)
        gap = gap or gone
        if not events:
            break
        for event in events:
            after = event.seq
            scanned += 1
            if event_fits(event, types=types, target=target):
                found.append(event)
                if len(found) == request.limit:
                    break
    journal, _ = call.query.position()
    return EventPage(items=tuple(found), journal=journal, last_seq=after, gap=gap)


def _target_id(call: Call, ref: str | None) -> str | None:
    """The id that events bear; an instance that is gone is found by its whole id alone."""
    if ref is None:
        return None
    try:
        return call.query.instance(call.caller, ref).id
    except InstanceNotFound:
        return ref
