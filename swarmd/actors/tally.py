"""What ended since the last sample, and since the daemon's start. Outlives the actor."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from swarmd.actors.published import News
from swarmd.core.tables import Tables
from swarmd.core.telemetry.operations import Counts, count_ends, sum_counts
from swarmd.messages.enums import EventType
from swarmd.messages.events import Event
from swarmd.ports import Clock


@dataclass(frozen=True, slots=True)
class Counted:
    """What ended in the ``seconds`` before ``at``; ``seq`` is the last event that counts."""

    at: datetime
    seconds: float
    seq: int
    operations: Counts


class Tally:
    """Counts ends as they are published, each once: an event's number tells it from all others.

    So a registry that begins anew and tells again what was written counts nothing twice, and an
    actor that dies takes nothing along. Thread-safe.

    Args:
        clock: Time.
        seq: The last event that is of no interest any more.
    """

    def __init__(self, clock: Clock, seq: int) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seq = seq
        self._since = clock.monotonic()
        self._counts: Counts = {}
        self._totals: Counts = {}

    def hear(self, news: News) -> None:
        """On the registry's thread: take in what was published."""
        if not news.events:
            return
        ends = [each for each in news.events if each.type is EventType.OPERATION_ENDED]
        with self._lock:
            new = [each for each in ends if each.seq > self._seq]
            if new:
                found = count_ends({}, new, news.tables)
                self._counts = sum_counts((self._counts, found))
                self._totals = sum_counts((self._totals, found))
            self._seq = max(self._seq, news.events[-1].seq)

    def make_up_for(self, ends: Iterable[Event], tables: Tables) -> None:
        """What an earlier life of the daemon did not live to sample: part of no total."""
        with self._lock:
            self._counts = count_ends(self._counts, ends, tables)

    def age(self) -> float:
        """Seconds since the last sample."""
        return self._clock.monotonic() - self._since

    def peek(self) -> Counted:
        """What a sample would take now."""
        with self._lock:
            return self._counted()

    def _counted(self) -> Counted:
        return Counted(self._clock.now(), self.age(), self._seq, self._counts)

    def take(self) -> Counted:
        """The same, and begin anew."""
        with self._lock:
            counted = self._counted()
            self._since += counted.seconds
            self._counts = {}
            return counted

    def give_back(self, counted: Counted) -> None:
        """No sample came of it: the next one takes it."""
        with self._lock:
            self._since -= counted.seconds
            self._counts = sum_counts((counted.operations, self._counts))

    @property
    def totals(self) -> Counts:
        """What ended since the daemon's start."""
        return self._totals
