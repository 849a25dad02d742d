"""What the lists of events, and of instances as they were, show."""

from __future__ import annotations

from collections.abc import Sequence

from swarmd.messages.events import PastRow
from tui.model import happenings
from tui.model.happenings import Entry
from tui.model.words import HEALTH_TONES, clock, tone_of_status
from tui.widgets.columns import Cell, Column


def _what(entry: Entry) -> Cell:
    if entry.event is None:
        return Cell("··· a gap ···", "warn")
    return Cell(str(entry.event.type), happenings.tone_of(entry.event))


def _words(entry: Entry) -> str:
    if entry.event is not None:
        return happenings.words(entry.event)
    return f"{entry.missing} events are not kept" if entry.missing else "the earlier are not kept"


def _of(entry: Entry) -> str:
    return "" if entry.event is None else entry.event.ref or entry.event.target or ""


EVENT_COLUMNS: Sequence[Column[Entry]] = (
    Column("at", "AT", 8, lambda e: "" if e.event is None else clock(e.event.at)),
    Column("seq", "SEQ", 7, lambda e: str(e.seq), right=True, least=100),
    Column("type", "EVENT", 24, _what),
    Column("of", "OF", 16, _of, grow=1),
    Column("what", "WHAT", 24, _words, grow=4),
)  # fmt: skip

PAST_COLUMNS: Sequence[Column[PastRow]] = (
    Column("name", "NAME THEN", 16, lambda r: r.name, order=lambda r: (r.name, r.owner), grow=2),
    Column("owner", "OWNER", 8, lambda r: r.owner, order=lambda r: r.owner, grow=1),
    Column("provider", "PROVIDER", 9, lambda r: r.provider, order=lambda r: r.provider),
    Column("status", "STATUS", 10, lambda r: Cell(str(r.status), tone_of_status(r.status)),
           order=lambda r: str(r.status)),
    Column("health", "HEALTH", 10, lambda r: Cell(str(r.health), HEALTH_TONES[r.health]),
           order=lambda r: str(r.health)),
)  # fmt: skip
