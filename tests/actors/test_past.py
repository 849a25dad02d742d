"""Pages of a table of the past: one reading of the journal for all of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from swarmd.actors.past import PastTables
from swarmd.actors.published import Published
from swarmd.core.tables import Tables
from swarmd.messages.enums import DesiredState, HealthStatus, InstanceStatus
from swarmd.messages.events import TableRow
from swarmd.messages.requests import EventsAt
from swarmd.ports import Opening, Store

AT = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = tuple(
    TableRow(
        id=f"i{number}",
        owner="ana",
        name=f"web{number}",
        provider="local",
        desired=DesiredState.RUNNING,
        status=InstanceStatus.RUNNING,
        health=HealthStatus.HEALTHY,
    )
    for number in range(5)
)


class Counting:
    """A store that counts how often it is read."""

    def __init__(self) -> None:
        self.asked: list[int | None] = []

    def opening(self, seq: int | None, at: datetime | None) -> Opening:
        self.asked.append(seq)
        return Opening(journal="j", seq=seq or 0, at=at or AT, rows=ROWS, events=(), gap=False)


def tables(seq: int) -> tuple[Counting, PastTables]:
    store = Counting()
    published = Published(Tables.build((), (), (), seq), "j")
    return store, PastTables(published, cast("Store", store))


def test_all_pages_come_of_one_reading() -> None:
    store, past = tables(9)
    names: list[str] = []
    request: Any = EventsAt(seq=7, limit=2)
    while True:
        page = past.page(request)
        names += [row.name for row in page.items]
        if page.next_cursor is None:
            break
        request = EventsAt(seq=page.seq, limit=2, cursor=page.next_cursor)
    assert names == [f"web{number}" for number in range(5)]
    assert store.asked == [7]
    # It is not kept once it was read.
    past.page(EventsAt(seq=7, limit=2, cursor="2"))
    assert store.asked == [7, 7]


def test_of_another_moment_nothing_is_kept() -> None:
    store, past = tables(9)
    page = past.page(EventsAt(seq=7, limit=2))
    past.page(EventsAt(seq=8, limit=2, cursor=page.next_cursor))
    assert store.asked == [7, 8]


def test_the_future_is_now() -> None:
    store, past = tables(9)
    past.page(EventsAt(seq=99))
    past.page(EventsAt())
    past.page(EventsAt(time=AT))
    assert store.asked == [9, 9, None]
