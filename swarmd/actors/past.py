"""The table of instances as it was: read from the journal, page by page."""

from __future__ import annotations

from itertools import takewhile

from swarmd.actors.published import Published
from swarmd.core.past import Moment, later, opened, page_of
from swarmd.messages.replies import PastTable
from swarmd.messages.requests import EventsAt
from swarmd.ports import Store


class PastTables:
    """Any thread may ask. The last table that has further pages is kept until they were read.

    Args:
        published: None of what is not published yet is told.
        store: Reads files.
    """

    def __init__(self, published: Published, store: Store) -> None:
        self._published = published
        self._store = store
        self._kept: tuple[str, Moment] | None = None

    def page(self, request: EventsAt) -> PastTable:
        """A page of the table at a moment.

        Raises:
            ValidationError: The cursor is none.
            SwarmError: The journal cannot be read.
        """
        kept = self._kept
        if request.cursor is None or kept is None or kept[1].seq != request.seq:
            kept = self._read(request)
        journal, moment = kept
        page = page_of(moment, journal, request)
        self._kept = kept if page.next_cursor is not None else None
        return page

    def _read(self, request: EventsAt) -> tuple[str, Moment]:
        last = self._published.tables.seq
        seq = last if request.time is None and request.seq is None else request.seq
        opening = self._store.opening(seq if seq is None else min(seq, last), request.time)
        begun = opened(opening.rows, opening.seq, opening.at, gap=opening.gap)
        published = takewhile(lambda event: event.seq <= last, opening.events)
        return opening.journal, later(begun, published)
