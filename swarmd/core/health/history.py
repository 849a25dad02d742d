"""The latest points of an instance's health, packed: thousands of instances have one each.

A point takes 17 bytes: microseconds since 1970, a status, seconds as a float of 32 bits (six
digits of it are told) and the number of its words. The words stand in a small table, once each.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from swarmd.messages.enums import HealthStatus
from swarmd.messages.health import HealthPoint

WORDS_KEPT = 16
"""Different messages at a time; of those that were not told for longest, the words are dropped."""

LONGEST = 200
"""Characters of a message."""

_ROW = struct.Struct("<qBfI")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_STATUSES = tuple(HealthStatus)
_NUMBERS = {status: number for number, status in enumerate(_STATUSES)}
_SILENT = 0
"""The number of no words at all."""


class History:
    """A ring of the last ``size`` points, oldest first.

    It keeps the words of the ``WORDS_KEPT`` messages told last. An older point whose words
    were dropped stays, without them: a server that says something else each time must not
    fill the memory.

    Raises:
        ValueError: ``size`` is less than 1.
    """

    __slots__ = ("_next", "_rows", "_size", "_told", "_words")

    def __init__(self, size: int) -> None:
        self._size = _checked(size)
        self._rows = bytearray()
        self._next = 0  # where the oldest row lies, once the ring is full
        self._words: dict[int, str] = {}  # by number, the one told last at the end
        self._told = _SILENT  # the highest number given so far

    def __len__(self) -> int:
        return len(self._rows) // _ROW.size

    def add(self, point: HealthPoint) -> None:
        """Remember one more; the oldest is forgotten if the ring is full."""
        row = _ROW.pack(
            (point.at - _EPOCH) // _TICK,
            _NUMBERS[point.status],
            math.nan if point.seconds is None else point.seconds,
            self._number(point.message),
        )
        if len(self) < self._size:
            self._rows += row
            return
        start = self._next * _ROW.size
        self._rows[start : start + _ROW.size] = row
        self._next = (self._next + 1) % self._size

    def points(self) -> tuple[HealthPoint, ...]:
        """All that is remembered, oldest first."""
        return tuple(self._unpacked())

    def resize(self, size: int) -> None:
        """Keep so many from now on; of more than that, the latest stay.

        Raises:
            ValueError: ``size`` is less than 1.
        """
        self._rows = self._ordered()[-_checked(size) * _ROW.size :]
        self._size = size
        self._next = 0

    def _unpacked(self) -> Iterator[HealthPoint]:
        for ticks, status, seconds, number in _ROW.iter_unpack(self._ordered()):
            yield HealthPoint(
                at=_EPOCH + ticks * _TICK,
                status=_STATUSES[status],
                seconds=None if math.isnan(seconds) else float(f"{seconds:.6g}"),
                message=self._words.get(number, ""),
            )

    def _ordered(self) -> bytearray:
        start = self._next * _ROW.size
        return self._rows[start:] + self._rows[:start]

    def _number(self, message: str) -> int:
        """The number of these words, which are now those told last."""
        if not message:
            return _SILENT
        # Many instances say the same: interned, all of them share one text.
        words = sys.intern(message[:LONGEST])
        number = next((n for n, known in self._words.items() if known is words), None)
        if number is None:
            self._told = number = self._told + 1
        else:
            del self._words[number]
        self._words[number] = words
        if len(self._words) > WORDS_KEPT:
            del self._words[next(iter(self._words))]
        return number


def _checked(size: int) -> int:
    if size < 1:
        raise ValueError(f"a history of {size} entries cannot be kept")
    return size
