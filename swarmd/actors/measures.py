"""What instances used when they were measured last: told without asking a provider again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterable, Sequence

import msgspec

from swarmd.messages.instance import InstanceStats


class Measures:
    """The latest measurement of each instance. Thread-safe; it lives in memory alone.

    Args:
        known: The ids of all instances there are: what is gone is forgotten.
    """

    def __init__(self, known: Callable[[], Container[str]]) -> None:
        self._known = known
        self._lock = threading.Lock()
        self._latest: dict[str, InstanceStats] = {}

    def note(self, stats: Iterable[InstanceStats]) -> None:
        """These were measured."""
        known = self._known()
        with self._lock:
            for each in stats:
                self._latest[each.id] = rated(each, self._latest.get(each.id))
            for gone in [each for each in self._latest if each not in known]:
                del self._latest[gone]

    def of(self, ids: Iterable[str]) -> Sequence[InstanceStats]:
        """The latest of these, as far as they were measured."""
        with self._lock:
            return [self._latest[each] for each in ids if each in self._latest]


def rated(now: InstanceStats, before: InstanceStats | None) -> InstanceStats:
    """A measurement with the cores that were used since the one before.

    Args:
        now: What was measured.
        before: The one before; None: there is none.
    """
    if before is None or before.cpu_seconds is None or now.cpu_seconds is None:
        return now
    seconds = (now.taken_at - before.taken_at).total_seconds()
    used = now.cpu_seconds - before.cpu_seconds
    if seconds <= 0 or used < 0:  # another life, or a clock that was set back
        return now
    return msgspec.structs.replace(now, cpu_cores=used / seconds)
