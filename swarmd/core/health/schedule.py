"""When each instance is asked next: spread out, so that thousands never ask together.

Chance only ever brings a probe forward, by up to a fifth of its pace: who waits for the last of
several failures waits for the sum of their pauses, which must not be longer than was promised.
"""

from __future__ import annotations

import heapq

FIRSTS_PER_SECOND = 200.0
"""First probes that begin in one second, if so many instances appear together."""

LEAST_INTERVAL = 0.01
"""Seconds. However short an interval is asked for, asking never becomes a busy loop."""

_NEVER = None
"""What is known but not planned: it is being asked."""


class Schedule:
    """Due times by id, in monotonic seconds. It belongs to one monitor.

    ``due`` hands an id out once; ``plan`` has to be called for it again when it was asked.
    All of it costs a logarithm at most.
    """

    __slots__ = ("_heap", "_known", "_next_first")

    def __init__(self) -> None:
        self._known: dict[str, float | None] = {}
        # An entry holds as long as ``_known`` says the same time; the others are passed over.
        self._heap: list[tuple[float, str]] = []
        self._next_first = float("-inf")

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, key: str) -> bool:
        """Whether a time is planned for it: what ``due`` handed out has none."""
        return self._known.get(key) is not _NEVER

    def plan(self, key: str, now: float, pace: float, chance: float) -> None:
        """Plan the next probe; one that is due sooner anyway stays so.

        A first one is due at once, or when those that appeared with it leave room; a later one
        after 0.8 to 1 of its pace.

        Args:
            key: The instance's id.
            now: Monotonic seconds; of a later one, when it was asked last.
            pace: Seconds between two probes of it, at most (``Rules.pace``).
            chance: A random number in [0, 1).
        """
        pace = max(pace, LEAST_INTERVAL)
        if key not in self._known:
            self._put(key, self._first(now, pace, chance))
            return
        due, planned = now + pace * (1 - 0.2 * chance), self._known[key]
        if planned is _NEVER or due < planned:
            self._put(key, due)

    def _first(self, now: float, pace: float, chance: float) -> float:
        """The next free place, as long as that lies within the pace; else any within it."""
        place = max(self._next_first, now)
        if place - now >= pace:
            return now + pace * chance
        self._next_first = place + 1 / FIRSTS_PER_SECOND
        return place

    def soon(self, key: str, now: float) -> None:
        """Have it asked at once, known or not; also once more if it is being asked just now."""
        planned = self._known.get(key)
        if planned is _NEVER or planned > now:
            self._put(key, now)

    def due(self, now: float) -> list[str]:
        """The ids whose time has come, those that wait longest first. Each is told once."""
        found: list[str] = []
        while self._heap and self._heap[0][0] <= now:
            at, key = heapq.heappop(self._heap)
            if self._known.get(key) == at:
                self._known[key] = _NEVER
                found.append(key)
        return found

    def next_due(self) -> float | None:
        """When the next one is due; None if nothing is planned."""
        while self._heap and self._known.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def drop(self, key: str) -> None:
        """Forget one; unknown ones are passed over."""
        self._known.pop(key, None)

    def _put(self, key: str, at: float) -> None:
        self._known[key] = at
        heapq.heappush(self._heap, (at, key))
        if len(self._heap) > 2 * len(self._known) + 64:
            self._heap = [(due, key) for key, due in self._known.items() if due is not _NEVER]
            heapq.heapify(self._heap)
