"""The parts of a second of files' times, which the engine's own tar leaves out."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable

from swarmd.ports import Call

_RECORD = re.compile(rb"-?\d{1,18}\.(\d{9})\d? (.*)", re.DOTALL)
_SECOND = 10**9
_FIRST = 1 << 10
_NAME_MOST = 4096 + 64  # bytes of one record
_MOST = 1 << 22  # names; whoever is behind find in a container may tell of any number


def list_times(home: str) -> tuple[str, ...]:
    """The command that tells the times of a home's files, where the image has GNU find.

    It is run in the container, or in another one that has the same home; what it writes to
    stdout is read by ``Fractions``.
    """
    return ("find", home, "-printf", r"%T@ %P\0")


class Fractions:
    """Nanoseconds by name, in 18 to 36 bytes for each: names are kept as their hashes.

    Args:
        chunks: What ``list_times`` wrote, in chunks of any size. What cannot be read in it is
            passed over: such a file keeps its whole seconds.
        call: Deadline, cancellation.
    """

    def __init__(self, chunks: Iterable[bytes], call: Call) -> None:
        self._keys = array("Q", [0]) * _FIRST
        self._values = array("L", [0]) * _FIRST
        self._used = 0
        rest = b""
        for chunk in chunks:
            call.check()
            *records, rest = (rest + chunk).split(b"\0")
            for record in records:
                self._take(record)
            rest = rest[-_NAME_MOST:]

    def exact(self, name: bytes, mtime_ns: int) -> int:
        """A time with its part of a second, if that was told and is missing."""
        if mtime_ns % _SECOND:
            return mtime_ns
        return mtime_ns + self._values[self._slot(_key(name))]

    def _take(self, record: bytes) -> None:
        found = _RECORD.fullmatch(record)
        if found is None or not int(found[1]) or record[:1] == b"-" or self._used >= _MOST:
            return
        at = self._slot(_key(found[2]))
        if not self._keys[at]:
            self._used += 1
        self._keys[at], self._values[at] = _key(found[2]), int(found[1])
        if self._used * 3 > len(self._keys) * 2:
            self._grow()

    def _slot(self, key: int) -> int:
        """Where a key is, or would be."""
        keys, mask = self._keys, len(self._keys) - 1
        at = key & mask
        while keys[at] not in (0, key):
            at = (at + 1) & mask
        return at

    def _grow(self) -> None:
        keys, values = self._keys, self._values
        self._keys = array("Q", [0]) * (2 * len(keys))
        self._values = array("L", [0]) * (2 * len(keys))
        for key, value in zip(keys, values, strict=True):
            if key:
                at = self._slot(key)
                self._keys[at], self._values[at] = key, value


def _key(name: bytes) -> int:
    return hash(name) & 0xFFFF_FFFF_FFFF_FFFF or 1
