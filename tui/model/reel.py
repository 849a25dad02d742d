"""Scrubbing back: a stretch of the journal, and the table as each of its events left it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from swarmd.core.past import Moment, later
from swarmd.messages.events import Event


@dataclass(frozen=True, slots=True)
class Reel:
    """A stretch of the past, and where in it one stands.

    Args:
        base: The table before the first of its events.
        events: The stretch, oldest first.
        at: So many of them have happened, where one stands.
        last_seq: The last event of the journal when it was read.
        oldest: Whether nothing before the base is kept.
    """

    base: Moment
    events: tuple[Event, ...]
    at: int
    last_seq: int
    oldest: bool = False

    @property
    def moment(self) -> Moment:
        """The table where one stands."""
        return later(self.base, self.events[: self.at])

    @property
    def seq(self) -> int:
        """The last event that has happened where one stands."""
        return self.events[self.at - 1].seq if self.at else self.base.seq

    @property
    def event(self) -> Event | None:
        """That event, if it belongs to the stretch."""
        return self.events[self.at - 1] if self.at else None

    @property
    def is_first(self) -> bool:
        """Whether nothing older can be seen: the journal begins here."""
        return self.at == 0 and (self.oldest or self.base.seq == 0)

    @property
    def is_last(self) -> bool:
        """Whether nothing has happened since, as far as was read."""
        return self.seq >= self.last_seq

    def step(self, by: int) -> Reel | None:
        """So many events on; None: another stretch has to be read for that."""
        to = self.at + by
        return replace(self, at=to) if 0 <= to <= len(self.events) else None

    def to(self, seq: int) -> Reel | None:
        """To where this event has just happened; None: it is not of this stretch."""
        for number, event in enumerate(self.events, 1):
            if event.seq == seq:
                return replace(self, at=number)
        return None


def reel_at(base: Moment, events: Sequence[Event], seq: int, last_seq: int) -> Reel:
    """A stretch, standing where this event has just happened.

    Args:
        base: The table before the first of the events.
        events: Oldest first, behind the base.
        seq: Where one stands; the nearest event before it, if it is missing.
        last_seq: The last event of the journal.
    """
    behind = tuple(event for event in events if event.seq > base.seq)
    return Reel(base, behind, sum(event.seq <= seq for event in behind), last_seq)
