"""The pieces of a log and its live file as one sequence of bytes.

A position is (piece number, offset); the live file's number is ``LIVE_NUMBER``. Offsets are
those of the live file, also inside a piece, so that a position stays good when what it points
to is rotated.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from swarmd.providers.local.data.logs import BLOCK, Piece, first_data, live_start, pieces

LIVE_NUMBER = 1 << 40
Position = tuple[int, int]
_Reader = Callable[[int, int], bytes]
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_LONGEST_LINE = 1 << 20
SEARCHED_MOST = 64 << 20  # bytes that a search for a line looks at: it cannot be cancelled
_STAMP = re.compile(
    rb"\[?(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,6}))?\d*(Z|[+-]\d\d:?\d\d)?"
)


@dataclass(frozen=True, slots=True)
class Block:
    """What was read: the bytes, where to go on, and how many bytes before them are lost."""

    data: bytes
    then: Position
    missing: int = 0
    truncated: bool = False


class LogFiles:
    """Reads by position. Holds no state: positions belong to whoever reads.

    Args:
        folder: Descriptor of the log's folder.
        live: Descriptor of the live file.
    """

    def __init__(self, folder: int, live: int) -> None:
        self._folder = folder
        self._live = live

    def scan(self) -> tuple[list[Piece], int, int]:
        """The pieces, and where the live file begins and ends."""
        found = pieces(self._folder)
        size = os.fstat(self._live).st_size
        return found, live_start(found, size), size

    def oldest(self) -> Position:
        """The first byte that is still there."""
        found, start, _ = self.scan()
        if found:
            return found[0].number, found[0].start
        return LIVE_NUMBER, first_data(self._live, start)

    def end(self) -> Position:
        """Behind the last byte."""
        return LIVE_NUMBER, os.fstat(self._live).st_size

    def read(self, position: Position) -> Block:
        """What stands at a position; no data at the end of the log, for now."""
        missing = 0
        while True:
            number, offset = position
            if number == LIVE_NUMBER:
                block = self._read_live(offset)
            else:
                block = self._read_piece(number, offset)
            missing += block.missing
            if block.data or block.truncated or block.then == position:
                return Block(block.data, block.then, missing, block.truncated)
            position = block.then

    def _read_live(self, offset: int) -> Block:
        data = os.pread(self._live, BLOCK, offset)
        behind = first_data(self._live, offset) if data else offset
        found, start, size = self.scan()  # after looking: pieces appear before the punch
        if size < offset:
            return Block(b"", (LIVE_NUMBER, first_data(self._live, 0)), truncated=True)
        if start <= offset:
            if behind > offset:  # someone made the file longer than what was written to it
                return Block(b"", (LIVE_NUMBER, min(behind, size)))
            return Block(data, (LIVE_NUMBER, offset + len(data)))
        for piece in found:
            if piece.end > offset:
                begin = max(offset, piece.start)
                return Block(b"", (piece.number, begin), begin - offset)
        return Block(b"", (LIVE_NUMBER, start), start - offset)

    def _read_piece(self, number: int, offset: int) -> Block:
        found, start, _ = self.scan()
        for piece in found:
            if piece.number < number or (piece.number == number and offset >= piece.end):
                continue
            begin = offset if piece.number == number else piece.start
            data = self._from_piece(piece, begin)
            if data:
                return Block(data, (piece.number, begin + len(data)), max(0, begin - offset))
        return Block(b"", (LIVE_NUMBER, start), max(0, start - offset))

    def _from_piece(self, piece: Piece, offset: int) -> bytes:
        try:
            descriptor = os.open(piece.name, _OPEN, dir_fd=self._folder)
        except FileNotFoundError:  # rotated out since the scan
            return b""
        try:
            return os.pread(descriptor, BLOCK, offset - piece.start)
        finally:
            os.close(descriptor)

    # --- where to begin ---

    def since(self, oldest: float) -> Position:
        """The first line that is not older than a time (seconds since the epoch).

        A line without a timestamp is as old as the one before it; where no line has one, the
        last change of the file decides. After ``SEARCHED_MOST`` bytes the search ends where
        it is: better too many lines than none.
        """
        found, start, size = self.scan()
        young = [piece for piece in found if piece.mtime >= oldest]
        if young:
            begin = (young[0].number, young[0].start)
        elif os.fstat(self._live).st_mtime >= oldest:
            begin = (LIVE_NUMBER, first_data(self._live, start))
        else:
            return LIVE_NUMBER, size
        stamped, looked_at = False, 0
        for position, line in self._lines(begin):
            stamp = timestamp(line)
            looked_at += len(line)
            if (stamp is None and not stamped) or (stamp is not None and stamp >= oldest):
                return position
            if looked_at > SEARCHED_MOST:
                return position
            stamped = True
        return self.end()

    def tail(self, lines: int, begin: Position) -> Position:
        """Where the last lines begin, no earlier than ``begin``.

        Reads backwards, ``SEARCHED_MOST`` bytes at most; those lines that fit are shown.
        """
        found, start, size = self.scan()
        if lines == 0:
            return LIVE_NUMBER, size
        parts = [(piece.number, piece.start, piece.end, piece) for piece in found]
        counter = _LineEnds(lines)
        for number, low, high, piece in (*parts, (LIVE_NUMBER, start, size, None))[::-1]:
            if number < begin[0]:
                break
            floor = max(low, begin[1]) if number == begin[0] else low
            offset = counter.search(functools.partial(self._block, piece), floor, high)
            if offset is not None:
                return number, offset
        return begin

    def _block(self, piece: Piece | None, low: int, high: int) -> bytes:
        if piece is None:
            return os.pread(self._live, high - low, low)
        return self._from_piece(piece, low)[: high - low]

    def _lines(self, position: Position) -> Iterator[tuple[Position, bytes]]:
        """Lines with their positions; very long ones in parts."""
        rest, begin = b"", position
        while True:
            block = self.read(position)
            if not block.data:
                return
            if not rest:
                begin = (block.then[0], block.then[1] - len(block.data))
            lines = (rest + block.data).splitlines(keepends=True)
            rest = lines.pop() if not lines[-1].endswith(b"\n") else b""
            left = sum(map(len, lines)) + len(rest)
            for line in lines:
                yield begin, line
                left -= len(line)
                begin = (block.then[0], block.then[1] - left)
            if len(rest) > _LONGEST_LINE:
                yield begin, rest
                rest = b""
            position = block.then


class _LineEnds:
    """Counts line ends backwards over several files."""

    def __init__(self, lines: int) -> None:
        self._left = lines
        self._first = True
        self._searched = 0

    def search(self, read: _Reader, low: int, high: int) -> int | None:
        """Where the wanted lines begin, if that is in this span, or where the search ends."""
        while high > low:
            if self._searched >= SEARCHED_MOST:
                return high
            self._searched += min(BLOCK, high - low)
            start = max(low, high - BLOCK)
            data = read(start, high)
            if self._first and data:
                self._first = False
                if data.endswith(b"\n"):
                    self._left += 1  # the end of the last line is not the begin of another
            at = len(data)
            while (at := data.rfind(b"\n", 0, at)) >= 0:
                self._left -= 1
                if self._left == 0:
                    return start + at + 1
            high = start
        return None


def timestamp(line: bytes) -> float | None:
    """The time that a line begins with, as seconds since the epoch; UTC if it does not say."""
    match = _STAMP.match(line)
    if match is None:
        return None
    day, clock, fraction, zone = (part.decode() if part else "" for part in match.groups())
    text = f"{day}T{clock}.{fraction or '0':0<6}{zone.replace('Z', '+00:00') or '+00:00'}"
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
