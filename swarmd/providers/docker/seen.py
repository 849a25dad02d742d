"""Which names an archive had so far, and what they were, in a few bytes each."""

from __future__ import annotations

from array import array

from swarmd.providers.shared.tarformat import Kind

_KINDS = (Kind.FILE, Kind.SYMLINK, Kind.FOLDER)
_NUMBERS = {kind: number for number, kind in enumerate(_KINDS, start=1)}
_FIRST = 1 << 10


class Seen:
    """A table from names to kinds that keeps no names: 12 to 24 bytes for each.

    It keeps a name's hash, which Python keys anew in every process. Two names of one hash, one
    pair in about 10^18, could make it refuse an archive, and never makes it forget a name.
    """

    def __init__(self) -> None:
        self._slots = array("Q", [0]) * _FIRST
        self._mask = _FIRST - 1
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def get(self, name: bytes) -> Kind | None:
        """What a name was last; None if it was never."""
        slots, mask = self._slots, self._mask
        key = hash(name) & 0x3FFF_FFFF_FFFF_FFFF
        at = key & mask
        while entry := slots[at]:
            if entry >> 2 == key:
                return _KINDS[(entry & 3) - 1]
            at = (at + 1) & mask
        return None

    def put(self, name: bytes, kind: Kind) -> None:
        """Remember what a name is now."""
        key = hash(name) & 0x3FFF_FFFF_FFFF_FFFF
        if self._place(key << 2 | _NUMBERS[kind]):
            self._used += 1
            if self._used * 3 > len(self._slots) * 2:
                self._grow()

    def _place(self, entry: int) -> bool:
        """Put an entry in its slot; whether it is a new one."""
        slots, mask = self._slots, self._mask
        at = entry >> 2 & mask
        while found := slots[at]:
            if found >> 2 == entry >> 2:
                slots[at] = entry
                return False
            at = (at + 1) & mask
        slots[at] = entry
        return True

    def _grow(self) -> None:
        old = self._slots
        self._slots = array("Q", [0]) * (2 * len(old))
        self._mask = len(self._slots) - 1
        for entry in old:
            if entry:
                self._place(entry)
