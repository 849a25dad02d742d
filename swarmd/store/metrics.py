"""Samples over days: files of JSON lines, written lazily, the oldest removed (DESIGN 5).

The seed writes one file for each sample, of which a hundred are a hundred minutes. Here a file
takes 144 samples (2.4 hours at one a minute, some 200 KB), so that a hundred files are ten days,
and a question about the last hour reads one or two of them.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime

from swarmd.messages import codec
from swarmd.messages.telemetry import SwarmMetrics
from swarmd.store.files import UNREADABLE, Files, read_file, remove
from swarmd.store.quarantine import Quarantine

log = logging.getLogger(__name__)
SAMPLES_PER_FILE = 144
VERSION = 1
_FIRST_LINE = 1 << 15
_NAME = re.compile(r"metrics-(\d{8}T\d{6}\.\d{6}Z)\.jsonl")
_STAMP = "%Y%m%dT%H%M%S.%fZ"
_sample = codec.decoder(SwarmMetrics)


class MetricsFiles:
    """The folder ``metrics/``: any thread gives and reads, one thread writes.

    A sample is a help: what cannot be written waits, at most a file's worth, and is told to the
    log. It never keeps the daemon from anything.

    Args:
        files: The disk.
        folder: ``STATE/metrics``; made with the first sample.
        quarantine: Where a file goes that holds no sample at all.
        kept: How many files.
    """

    def __init__(self, files: Files, folder: str, quarantine: Quarantine, kept: int) -> None:
        self._files = files
        self._folder = folder
        self._quarantine = quarantine
        self._kept = kept
        self._lock = threading.Lock()
        self._given: deque[SwarmMetrics] = deque(maxlen=SAMPLES_PER_FILE)
        self._current: str | None = None
        self._lines = 0
        self._torn = False
        self._troubled = False
        self.quarantined: list[str] = []

    def configure(self, kept: int) -> None:
        """Keep so many files from now on."""
        self._kept = kept

    def open(self) -> None:
        """Look at what is there, once and before anything is written.

        What holds no sample is set aside; the newest file is gone on with.
        """
        self.quarantined = []
        good: list[str] = []
        for path in self._paths():
            why = _fault_of(path)
            if why is None:
                good.append(path)
            else:
                self._set_aside(path, why)
        if good:
            self._continue(good[-1])

    def _set_aside(self, path: str, why: str) -> None:
        try:
            self.quarantined.append(self._quarantine.take(path, why))
        except Exception as error:  # noqa: BLE001  # a full disk: it is tried again at the next start
            log.warning("could not set %s aside: %s", path, error)

    def _continue(self, path: str) -> None:
        try:
            data = read_file(path)
        except OSError as error:
            log.warning("could not read %s, another file is begun: %s", path, error)
            return
        self._current, self._lines = path, data.count(b"\n")
        self._torn = bool(data) and not data.endswith(b"\n")

    def give(self, sample: SwarmMetrics) -> None:
        """Keep this one."""
        with self._lock:
            self._given.append(sample)

    def sync(self) -> None:
        """Write what was given. What the disk does not take is tried again."""
        try:
            while (sample := self._first_given()) is not None:
                self._append(sample)
        except OSError as error:
            if not self._troubled:
                log.warning("samples cannot be written to %s: %s", self._folder, error)
            self._troubled = True
            return
        if self._troubled:
            log.info("samples are written to %s again", self._folder)
        self._troubled = False

    def _first_given(self) -> SwarmMetrics | None:
        with self._lock:
            return self._given[0] if self._given else None

    def _append(self, sample: SwarmMetrics) -> None:
        if self._current is None or self._lines >= SAMPLES_PER_FILE:
            self._begin(sample.timestamp)
        assert self._current is not None
        line = codec.encode(sample) + b"\n"
        fd = self._files.append_to(self._current)
        try:
            # A line that a crash or a full disk cut off stays one by itself.
            data = b"\n" + line if self._torn else line
            self._torn = True
            self._files.write(fd, data)
            self._torn = False
            self._lines += 1
            # Whether it outlives a power cut or not, it is there: it is not written again.
            self._written(sample)
            self._files.sync(fd)
        finally:
            os.close(fd)

    def _written(self, sample: SwarmMetrics) -> None:
        with self._lock:
            if self._given and self._given[0] is sample:
                self._given.popleft()

    def _begin(self, at: datetime) -> None:
        """The next sample opens a file; the oldest go."""
        if not os.path.isdir(self._folder):  # noqa: PTH112 (text paths throughout)
            self._files.make_folder(self._folder)
        paths = self._paths()
        for path in paths[: max(0, len(paths) - self._kept + 1)]:
            remove(self._files, path)
        name = f"metrics-{at.astimezone(UTC).strftime(_STAMP)}.jsonl"
        self._current, self._lines, self._torn = f"{self._folder}/{name}", 0, False

    def _paths(self) -> list[str]:
        """The files, oldest first."""
        try:
            names = os.listdir(self._folder)  # noqa: PTH208
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                log.warning("could not read %s: %s", self._folder, error)
            return []
        return [f"{self._folder}/{name}" for name in sorted(names) if _NAME.fullmatch(name)]

    def read(self, since: datetime, until: datetime) -> Iterator[SwarmMetrics]:
        """Those of this time, both ends included, one file after the other.

        They come as they were taken: after the clock was set back not in order.
        """
        # Before the files: what is written meanwhile is there twice, and told once.
        with self._lock:
            given = tuple(self._given)
        told: set[datetime] = set()
        waiting = {each.timestamp for each in given}
        for path in self._within(since, until):
            for sample in _samples(path):
                if since <= sample.timestamp <= until:
                    if sample.timestamp in waiting:
                        told.add(sample.timestamp)
                    yield sample
        for sample in given:
            if since <= sample.timestamp <= until and sample.timestamp not in told:
                yield sample

    def _within(self, since: datetime, until: datetime) -> list[str]:
        """A file begins at the time in its name and ends where the next begins."""
        paths = self._paths()
        begins = [_begin_of(path) for path in paths]
        return [
            path
            for path, begin, end in zip(paths, begins, [*begins[1:], None], strict=False)
            if begin <= until and (end is None or end >= since)
        ]

    def last(self) -> SwarmMetrics | None:
        """The newest that is on disk, if there is one."""
        for path in reversed(self._paths()):
            found = None
            for found in _samples(path):  # noqa: B007  # the last of them
                continue
            if found is not None:
                return found
        return None


def _begin_of(path: str) -> datetime:
    name = _NAME.fullmatch(os.path.basename(path))  # noqa: PTH119
    assert name is not None, path
    return datetime.strptime(name[1], _STAMP).replace(tzinfo=UTC)


def _samples(path: str) -> Iterator[SwarmMetrics]:
    """Every sample of a file; a line that is none, or of a newer version, is left out."""
    try:
        data = read_file(path)
    except FileNotFoundError:  # removed since the folder was read
        return
    except OSError as error:
        log.warning("could not read %s: %s", path, error)
        return
    for line in data.split(b"\n"):
        if not line:
            continue
        try:
            sample = _sample.decode(line)
        except UNREADABLE:  # cut off by a crash
            continue
        if sample.version <= VERSION:
            yield sample


def _begins_well(path: str) -> bool:
    """Whether the first line is a sample: it is of nearly all files, and little is read."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        line, _, _ = os.read(fd, _FIRST_LINE).partition(b"\n")
    finally:
        os.close(fd)
    try:
        _sample.decode(line)
    except UNREADABLE:
        return False
    return True


def _fault_of(path: str) -> str | None:
    """Why a file is no file of samples; None if it is one, or is empty."""
    try:
        if _begins_well(path):
            return None
        data = read_file(path)
    except OSError as error:
        return error.strerror or str(error)
    why = None
    for line in data.split(b"\n"):
        if not line:
            continue
        try:
            _sample.decode(line)
        except UNREADABLE as error:
            why = f"no line of it is a sample: {error}"
        else:
            return None
    # One line without an end is what a crash left of the first sample.
    return why if b"\n" in data else None
