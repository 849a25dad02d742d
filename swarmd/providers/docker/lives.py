"""When containers were started and how they ended, as far as it was heard of.

The engine's list does not say it, and it is a moment behind the engine's own events: a
container whose death was told just now is listed as running for some more milliseconds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime

_LAG_SECONDS = 3.0
"""How long the list may be behind an event; what it says after that is believed."""

_SAME_SECONDS = 5.0
"""Two starts so near to each other are one: we noted it, and the engine told it."""


@dataclass(frozen=True, slots=True)
class _End:
    words: str
    heard: float
    expected: bool


class Lives:
    """Notes by container. Thread-safe.

    Args:
        monotonic: Seconds that never go back.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._started: dict[str, datetime] = {}
        self._ended: dict[str, _End] = {}
        self._expected: dict[str, str] = {}

    def note_start(self, ref: str, at: datetime) -> None:
        """A container was started."""
        at = at.astimezone(UTC).replace(microsecond=0)
        with self._lock:
            known = self._started.get(ref)
            same = known is not None and abs((at - known).total_seconds()) <= _SAME_SECONDS
            if ref in self._ended or not same:
                self._started[ref] = at
            self._ended.pop(ref, None)
            self._expected.pop(ref, None)

    def expect_end(self, ref: str, words: str) -> None:
        """We are about to end a container: whoever hears of it first says these words."""
        with self._lock:
            self._expected[ref] = words

    def note_end(self, ref: str, words: str) -> None:
        """A container ended; what was said of its end first stands."""
        with self._lock:
            ours = self._expected.pop(ref, None)
            self._started.pop(ref, None)
            end = _End(ours or words, self._monotonic(), ours is not None)
            self._ended.setdefault(ref, end)

    def started(self, ref: str) -> datetime | None:
        """When it was started, if that was heard of."""
        with self._lock:
            return self._started.get(ref)

    def ended(self, ref: str) -> str | None:
        """How it ended, if that was heard of."""
        with self._lock:
            end = self._ended.get(ref)
        return None if end is None else end.words

    def ended_by_us(self, ref: str) -> bool:
        """Whether it ended because we ended it."""
        with self._lock:
            end = self._ended.get(ref)
        return end is not None and end.expected

    def just_ended(self, ref: str) -> bool:
        """Whether its end was heard of so lately that the list may not know it yet."""
        with self._lock:
            end = self._ended.get(ref)
            return end is not None and self._monotonic() - end.heard < _LAG_SECONDS

    def forget(self, refs: Collection[str]) -> None:
        """These are gone."""
        with self._lock:
            for notes in (self._started, self._ended, self._expected):
                for ref in refs:
                    notes.pop(ref, None)

    def known(self) -> set[str]:
        """All that there are notes of."""
        with self._lock:
            return {*self._started, *self._ended, *self._expected}
