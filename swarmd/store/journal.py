"""The journal: every event with its number, in segments, across restarts (DESIGN 5)."""

from __future__ import annotations

import logging
import os
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

import msgspec

from swarmd.errors import InternalError, StateError
from swarmd.messages import codec
from swarmd.messages.config import JournalConfig
from swarmd.messages.events import Event, TableRow
from swarmd.ports import Clock, Opening
from swarmd.store import segment
from swarmd.store.files import UNREADABLE, Files, explained, remove, write_durably
from swarmd.store.quarantine import Quarantine
from swarmd.store.segment import Header, Index, Segment

log = logging.getLogger(__name__)
_AGES_PER_RETENTION = 8


class Journal:
    """One thread appends; any thread reads.

    Args:
        files: The disk.
        folder: ``STATE/journal``.
        clock: For the headers and the age of segments.
        config: Sizes and age.
        new_id: Names a new journal.
        quarantine: Where what cannot be read goes.
    """

    def __init__(
        self,
        files: Files,
        folder: str,
        *,
        clock: Clock,
        config: JournalConfig,
        new_id: Callable[[], str],
        quarantine: Quarantine,
    ) -> None:
        self._files = files
        self._folder = folder
        self._clock = clock
        self._config = config
        self._new_id = new_id
        self._quarantine = quarantine
        self._rows: Callable[[], tuple[int | None, Iterable[TableRow]]] = lambda: (None, ())
        # Readers copy the list under the lock; the writer replaces it.
        self._lock = threading.Lock()
        self._segments: tuple[Segment, ...] = ()
        self._fd = -1
        self._torn = False
        self.id = ""
        self.last_seq = 0
        self.quarantined: list[str] = []

    def snapshot_rows(self, rows: Callable[[], tuple[int, Iterable[TableRow]]]) -> None:
        """How a new segment gets the table that opens it, and the event it is as new as."""
        self._rows = rows

    def open(self) -> None:
        """Find the segments, cut the last one's torn end, go on behind it.

        Raises:
            StateError: A segment of a newer version, or the folder cannot be used.
        """
        with explained("read", self._folder):
            self.quarantined = []
            self._segments = tuple(self._found())
            if self._segments:
                self._continue(self._segments[-1])
            else:
                self._begin_first()
        self._drop_old()

    def _found(self) -> list[Segment]:
        found: list[Segment] = []
        for name in sorted(os.listdir(self._folder)):  # noqa: PTH208
            first_seq = segment.number_in(name)
            if first_seq is None:
                continue
            path = f"{self._folder}/{name}"
            try:
                header = segment.read_header(path)
                if header.first_seq != first_seq:
                    raise msgspec.ValidationError(f"its header says {header.first_seq}")
            except (*UNREADABLE, IsADirectoryError) as error:
                # Its numbers were given out: they are not used again.
                self.last_seq = max(self.last_seq, first_seq)
                self.id = ""
                self.quarantined.append(self._quarantine.take(path, f"no journal: {error}"))
                continue
            if header.version > segment.VERSION:
                raise newer_version(path, header.version, segment.VERSION)
            self.id = header.journal
            found.append(Segment(path, header, os.stat(path).st_size))  # noqa: PTH116
        return found

    def _begin_first(self) -> None:
        self.id = self._new_id()
        self._begin(self.last_seq + 1)

    def _continue(self, last: Segment) -> None:
        index = Index()
        last.length, seq = segment.whole_length(last.path, index)
        last.start_index(index)
        self.last_seq = max(self.last_seq, seq, last.first_seq - 1)
        if not self.id:  # segments behind this one are lost: what they told is unknown
            self._begin_first()
            return
        self._open_for_append(last.path)
        size = os.stat(last.path).st_size  # noqa: PTH116
        if size > last.length:
            self._cut(last, size)

    def _cut(self, last: Segment, size: int) -> None:
        with open(last.path, "rb") as file:  # noqa: PTH123
            file.seek(last.length)
            torn = file.read()
        name = "journal-" + os.path.basename(last.path)  # noqa: PTH119
        why = f"{size - last.length} bytes cut from the journal's end: a write was interrupted"
        self.quarantined.append(self._quarantine.keep(name, torn, why))
        self._files.truncate(self._fd, last.length)
        self._files.sync(self._fd)

    def _begin(self, first_seq: int) -> None:
        """Start a segment. Atomic: a segment has its header or does not exist."""
        table_seq, table = self._table()
        header = Header(
            journal=self.id, first_seq=first_seq, at=self._clock.now(), table_seq=table_seq
        )
        data = codec.encode(header) + b"\n" + codec.encode(table) + b"\n"
        path = f"{self._folder}/{segment.name_of(first_seq)}"
        write_durably(self._files, path, data)
        self._open_for_append(path)
        begun = Segment(path, header, len(data))
        begun.start_index(Index())
        with self._lock:
            kept = tuple(old for old in self._segments if old.path != path)
            self._segments = (*kept, begun)

    def _table(self) -> tuple[int | None, list[TableRow]]:
        try:
            seq, rows = self._rows()
            return seq, list(rows)
        except Exception:  # the table is a help for readers: the events matter more
            log.exception("no table for a new journal segment")
            return None, []

    def _open_for_append(self, path: str) -> None:
        fd = self._files.append_to(path)
        self.close()
        self._fd = fd

    def make_ready(self, events: Sequence[Event]) -> None:
        """See that these can be appended: called before the records are written.

        Raises:
            InternalError: Their numbers do not go on from the last.
            OSError: The disk.
        """
        self._cut_torn()
        if not events:
            return
        seq = self.last_seq
        for event in events:
            if event.seq <= seq:
                raise InternalError(
                    f"event {event.seq} does not follow event {seq} of the journal",
                    next_step="Restart the daemon and report this with its log.",
                )
            seq = event.seq
        if self._is_over(self._segments[-1]):
            self._begin(events[0].seq)

    def _is_over(self, current: Segment) -> bool:
        if self.last_seq < current.first_seq:
            return False
        age = (self._clock.now() - current.header.at).total_seconds()
        return (
            current.length >= self._config.segment_size
            or age > self._config.retention / _AGES_PER_RETENTION
        )

    def append(self, events: Sequence[Event]) -> None:
        """Write events behind the last and wait until they are on disk."""
        if not events:
            return
        current = self._segments[-1]
        encoded = [codec.encode(event) + b"\n" for event in events]
        self._torn = True  # until all of it is on disk
        self._files.write(self._fd, b"".join(encoded))
        self._files.sync(self._fd)
        self._torn = False
        index, offset = current.index(), current.length
        for event, line in zip(events, encoded, strict=True):
            index.add(event.seq, offset)
            offset += len(line)
        current.length = offset
        self.last_seq = events[-1].seq

    def position(self) -> tuple[int, int]:
        """Where the journal ends now: for ``go_back``."""
        return self._segments[-1].length, self.last_seq

    def go_back(self, position: tuple[int, int]) -> None:
        """Undo what was appended since ``position``: its group failed, nobody was answered.

        The numbers are free again. What the disk does not let go of now is cut before the
        next append.

        Raises:
            OSError: The disk.
        """
        current = self._segments[-1]
        if not self._torn and current.length == position[0]:
            return
        self._torn = True
        current.length, self.last_seq = position
        current.forget_index()
        self._cut_torn()

    def _cut_torn(self) -> None:
        if self._torn:
            self._files.truncate(self._fd, self._segments[-1].length)
            self._torn = False

    def tidy(self) -> None:
        """Drop what is too old or too much; never the current segment."""
        with explained("drop old segments of", self._folder):
            self._drop_old()

    def _drop_old(self) -> None:
        now = self._clock.now()
        kept = list(self._segments)
        total = sum(one.length for one in kept)
        while len(kept) > 1:
            # A segment ends when the next begins.
            age = (now - kept[1].header.at).total_seconds()
            if age <= self._config.retention and total <= self._config.max_size:
                break
            remove(self._files, kept[0].path)
            total -= kept.pop(0).length
            with self._lock:
                self._segments = tuple(kept)

    def configure(self, config: JournalConfig) -> None:
        """Keep to these sizes and this age from now on."""
        self._config = config

    def history(self, after_seq: int, limit: int) -> tuple[bool, Sequence[Event]]:
        """Events behind ``after_seq``, and whether some before them are no longer kept.

        Raises:
            SwarmError: The files cannot be read.
        """
        if limit <= 0:
            return False, ()
        with self._lock:
            segments = self._segments
        last_seq = self.last_seq
        first = max(0, bisect_right([one.first_seq for one in segments], after_seq + 1) - 1)
        found: list[Event] = []
        for one in segments[first:]:
            if len(found) >= limit:
                break
            with explained("read", one.path):
                try:
                    found.extend(one.read(after_seq, limit - len(found)))
                except FileNotFoundError:  # dropped since the list was copied
                    found = []
        return _has_gap(after_seq, found, last_seq), found

    def opening(self, seq: int | None, at: datetime | None) -> Opening:
        """The newest table that opens a segment before this moment, and what follows it.

        Args:
            seq: The moment: after this event; None: whatever ``at`` says.
            at: The moment: this time; None as well: the end of the journal.

        Raises:
            SwarmError: The files cannot be read.
        """
        with self._lock:
            segments = self._segments
        last_seq = self.last_seq
        until = last_seq if seq is None else min(seq, last_seq)
        chosen, before_all = _segment_of(segments, until, at if seq is None else None)
        with explained("read", segments[chosen].path):
            header, table = segment.read_table(segments[chosen].path)
        table_seq = header.first_seq - 1 if header.table_seq is None else header.table_seq
        # The table was taken while some events were on their way: these are before its segment.
        first = max(0, bisect_right([one.first_seq for one in segments], table_seq + 1) - 1)

        def follow() -> Iterator[Event]:
            for one in segments[min(first, chosen) :]:
                with explained("read", one.path):
                    for event in one.events(table_seq):
                        if event.seq > until or (at is not None and event.at > at):
                            return
                        yield event

        return Opening(
            journal=header.journal,
            seq=table_seq,
            at=header.at,
            rows=table,
            events=() if before_all else follow(),
            gap=before_all,
        )

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _segment_of(segments: Sequence[Segment], seq: int, at: datetime | None) -> tuple[int, bool]:
    """Whose table comes before a moment, and whether the moment is before all of them."""
    fits = [
        number
        for number, one in enumerate(segments)
        if (one.header.at <= at if at is not None else one.first_seq <= seq + 1)
    ]
    return (fits[-1], False) if fits else (0, True)


def _has_gap(after_seq: int, found: Sequence[Event], last_seq: int) -> bool:
    """Numbers grow by one: what is missing was dropped, or could not be read."""
    expected = after_seq
    for event in found:
        expected += 1
        if event.seq != expected:
            return True
    return not found and after_seq < last_seq


def newer_version(path: str, found: int, known: int) -> StateError:
    """The error for a file that a newer swarmd wrote."""
    return StateError(
        f"{path} has version {found}, and this swarmd knows versions up to {known}",
        field="daemon.state_dir",
        next_step="Start the swarmd that wrote it, or a newer one, or name another "
        "daemon.state_dir.",
        details={"path": path, "version": found, "known": known},
    )
