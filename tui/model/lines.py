"""A log as it comes: bytes in, whole lines out, the latest kept. Pure."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Final

from tui.model.text import clean

LINES_KEPT: Final = 10_000
BYTES_KEPT: Final = 8 << 20
LONGEST: Final = 16_384
"""Characters of one line; what is longer goes on in the next, so that nothing is lost."""

_ANCHOR: Final = 64
"""Lines that tell where a log was when its stream broke."""


class Splitter:
    """Bytes into whole lines; a line or a letter that is not whole waits for the rest."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def feed(self, data: bytes, *, end: bool = False) -> list[str]:
        """The lines that are whole now.

        Args:
            data: What came.
            end: Whether it was the last; what waited is a line then.
        """
        text = self._rest + self._decoder.decode(data, final=end)
        *whole, self._rest = text.split("\n")
        while len(self._rest) > LONGEST:
            whole.append(self._rest[:LONGEST])
            self._rest = self._rest[LONGEST:]
        if end and self._rest:
            whole.append(self._rest)
            self._rest = ""
        return [part for each in whole for part in _parts(each)]


def _parts(text: str) -> list[str]:
    starts = range(0, max(1, len(text)), LONGEST)
    return [clean(text[start : start + LONGEST]) for start in starts]


class Kept:
    """The latest lines of a log; those before are let go, and counted.

    Args:
        lines: How many are kept.
        bytes: Characters of all together, near enough bytes.
    """

    def __init__(self, lines: int = LINES_KEPT, bytes: int = BYTES_KEPT) -> None:
        self.lines: list[str] = []
        self.dropped = 0
        self._most = lines
        self._room = bytes
        self._size = 0

    def add(self, lines: Sequence[str]) -> int:
        """Keep these as well; how many of the oldest were let go for them.

        They are let go by a tenth at a time, so that a line costs little.
        """
        self.lines.extend(lines)
        self._size += sum(map(len, lines))
        if len(self.lines) <= self._most and self._size <= self._room:
            return 0
        gone, size = max(0, len(self.lines) - self._most * 9 // 10), self._size
        size -= sum(map(len, self.lines[:gone]))
        while size > self._room * 9 // 10 and gone < len(self.lines) - 1:
            size -= len(self.lines[gone])
            gone += 1
        del self.lines[:gone]
        self._size = size
        self.dropped += gone
        return gone

    @property
    def anchor(self) -> tuple[str, ...]:
        """The end, by which the place is found again after a break."""
        return tuple(self.lines[-_ANCHOR:])


class Resumed:
    """Finds in what a new stream tells again the line at which the old one broke.

    Args:
        anchor: The lines that were had last; none: everything is new.
        most: So many lines may be told again (the ``tail`` that was asked for).
    """

    def __init__(self, anchor: Sequence[str], most: int) -> None:
        self._anchor = list(anchor)
        self._most = most
        self._held: list[str] = []

    @property
    def waits(self) -> bool:
        """Whether the place was not found yet, and lines are held back until it is."""
        return bool(self._anchor)

    def feed(self, lines: Sequence[str]) -> tuple[list[str], bool]:
        """The lines that are new, and whether some in between may be missing.

        Of places that look the same the first is taken: a line may be told twice, none is lost.

        Args:
            lines: What the new stream told.
        """
        if not self._anchor:
            return list(lines), False
        self._held.extend(lines)
        size = len(self._anchor)
        for start in range(len(self._held) - size + 1):
            if self._held[start : start + size] == self._anchor:
                return self._let_go(start + size), False
        return self.give_up() if len(self._held) >= self._most else ([], False)

    def give_up(self) -> tuple[list[str], bool]:
        """It was not found: everything held is new, and something may be missing."""
        waited = bool(self._anchor)
        return self._let_go(0), waited

    def _let_go(self, start: int) -> list[str]:
        new, self._held, self._anchor = self._held[start:], [], []
        return new
