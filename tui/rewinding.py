"""Reading a stretch of the journal, and the table before it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from swarmd.core.past import Moment
from swarmd.messages.requests import EventsAt, HistoryEvents, Request
from tui.model.reel import Reel, reel_at

_AROUND: Final = 100
_PAGE: Final = 1000


async def read_reel(
    ask: Callable[[Request], Awaitable[Any]], seq: int | None, time: datetime | None
) -> Reel:
    """The stretch around a moment, standing there.

    Args:
        ask: Asks the daemon.
        seq: The moment: after this event.
        time: The moment: this time.

    Raises:
        SwarmError: What the daemon answered, or that there is none.
    """
    here = await ask(EventsAt(seq=seq, time=time, limit=1))
    begin = max(0, here.seq - _AROUND)
    page = await ask(EventsAt(seq=begin, limit=_PAGE))
    rows = {row.id: row for row in page.items}
    while page.next_cursor is not None:
        page = await ask(EventsAt(seq=page.seq, limit=_PAGE, cursor=page.next_cursor))
        rows |= {row.id: row for row in page.items}
    oldest = page.gap and page.seq > begin  # not as asked: there is no older table
    base = Moment(page.seq, page.at, rows, gap=page.gap and not oldest)
    history = await ask(HistoryEvents(since=base.seq, limit=_AROUND * 2))
    reel = reel_at(base, history.items, here.seq, history.last_seq)
    return replace(reel, oldest=oldest)
