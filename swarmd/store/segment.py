"""One file of the journal: a header line, a line with the table of instances, then events."""

from __future__ import annotations

import os
import threading
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime
from itertools import islice

import msgspec
from msgspec import Struct

from swarmd.messages import codec
from swarmd.messages.events import Event, TableRow
from swarmd.store.files import UNREADABLE

VERSION = 1
INDEX_EVERY = 256


class Header(Struct, frozen=True, kw_only=True):
    """The first line of a segment.

    ``table_seq`` is the last event that its table knows: there may be events between that one
    and ``first_seq``, for the table is of what was published. None: an older swarmd wrote it,
    or there is no table.
    """

    journal: str
    first_seq: int
    at: datetime
    version: int = VERSION
    table_seq: int | None = None


class _Numbered(Struct, frozen=True):
    seq: int


_header = codec.decoder(Header)
_event = codec.decoder(Event)
_table = codec.decoder(list[TableRow])
_numbered = msgspec.json.Decoder(_Numbered)


def name_of(first_seq: int) -> str:
    """The file name: zero-padded, so that names sort as numbers do."""
    return f"{first_seq:020d}.jsonl"


def number_in(name: str) -> int | None:
    """The first sequence number that a file name tells; None if it is no segment's name."""
    stem, dot, suffix = name.partition(".")
    return int(stem) if dot and suffix == "jsonl" and len(stem) == 20 and stem.isdigit() else None


class Index:
    """Every 256th event's place in the file: enough to seek, small enough to keep."""

    def __init__(self) -> None:
        self._seqs = array("q")
        self._offsets = array("q")
        self._count = 0

    def add(self, seq: int, offset: int) -> None:
        """Tell of the next event. Called in order."""
        if self._count % INDEX_EVERY == 0:
            # The offset first: a reader in another thread looks at the numbers.
            self._offsets.append(offset)
            self._seqs.append(seq)
        self._count += 1

    def seek(self, seq: int) -> int | None:
        """An offset at or before the event of this number; None if there is no event."""
        if not self._seqs:
            return None
        return self._offsets[max(0, bisect_right(self._seqs, seq) - 1)]


class Segment:
    """One file. ``length`` bytes of it are committed; what may stand behind is nothing.

    Args:
        path: The file.
        header: Its first line.
        length: Committed bytes.
    """

    def __init__(self, path: str, header: Header, length: int) -> None:
        self.path = path
        self.header = header
        self.length = length
        self._index: Index | None = None
        self._indexing = threading.Lock()

    @property
    def first_seq(self) -> int:
        """The number of its first event, if it has one."""
        return self.header.first_seq

    def index(self) -> Index:
        """Made at the first look into the segment, then kept; readers and the writer share it.

        Who cuts the file meanwhile waits, lest an index of what was cut be kept.
        """
        with self._indexing:
            if self._index is None:
                index = Index()
                for seq, offset in numbers(self.path, self.length):
                    if seq is not None:
                        index.add(seq, offset)
                self._index = index
            return self._index

    def start_index(self, index: Index) -> None:
        """Take over an index that was made while the segment was checked or begun."""
        with self._indexing:
            self._index = index

    def forget_index(self) -> None:
        """The file was cut, and ``length`` says where: look through it again when needed."""
        with self._indexing:
            self._index = None

    def read(self, after_seq: int, limit: int) -> list[Event]:
        """Up to ``limit`` events behind ``after_seq``; a line that is no event is left out.

        Raises:
            FileNotFoundError: The segment was dropped meanwhile.
        """
        return list(islice(self.events(after_seq), limit))

    def events(self, after_seq: int) -> Iterator[Event]:
        """Those behind ``after_seq``, read as they are asked for; see ``read``."""
        length = self.length
        start = self.index().seek(after_seq + 1)
        if start is None:
            return
        for line, _ in lines(self.path, start, length):
            try:
                event = _event.decode(line)
            except UNREADABLE:
                continue  # the caller sees that a number is missing
            if event.seq > after_seq:
                yield event


def lines(path: str, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Whole lines between two offsets, each with the offset behind it."""
    with open(path, "rb") as file:  # noqa: PTH123 (text paths throughout)
        file.seek(start)
        position = start
        while position < end:
            line = file.readline(end - position)
            if not line.endswith(b"\n"):
                return
            position += len(line)
            yield line, position


def numbers(path: str, end: int) -> Iterator[tuple[int | None, int]]:
    """Of every event line its number (None if it is no event) and its offset."""
    position = 0
    for number, (line, behind) in enumerate(lines(path, 0, end)):
        if number >= 2:
            yield _number(line), position
        position = behind


def _number(line: bytes) -> int | None:
    try:
        return _numbered.decode(line).seq
    except UNREADABLE:
        return None


def read_header(path: str) -> Header:
    """The first line of a segment.

    Raises:
        UNREADABLE: It is no header.
    """
    with open(path, "rb") as file:  # noqa: PTH123
        return _header.decode(file.readline(4096))


def read_table(path: str) -> tuple[Header, list[TableRow]]:
    """The first line of a segment, and the table of the second; without one an empty table.

    Raises:
        UNREADABLE: The first line is no header.
        FileNotFoundError: The segment was dropped meanwhile.
    """
    with open(path, "rb") as file:  # noqa: PTH123
        header = _header.decode(file.readline(4096))
        try:
            return header, _table.decode(file.readline())
        except UNREADABLE:
            return header, []


def whole_length(path: str, index: Index) -> tuple[int, int]:
    """Where the last good event ends and its number (0 if there is none); fills ``index``.

    What stands behind was written when the machine or the daemon died: it was never
    acknowledged. A bad line between good ones stays; readers step over it.
    """
    size = os.stat(path).st_size  # noqa: PTH116
    good = last = 0
    for number, (line, behind) in enumerate(lines(path, 0, size)):
        if number < 2:
            good = behind
            continue
        seq = _number(line)
        if seq is not None and seq > last:
            index.add(seq, behind - len(line))
            good, last = behind, seq
    return good, last
