"""The blocks of a PAX tar archive (POSIX.1-2001), written and read in bounded memory.

Names are bytes: a name that is not UTF-8 is marked with ``hdrcharset=BINARY``. Sparse files are
written in GNU's format 1.0, which GNU tar, libarchive and Python read. The standard library's
reader is not used on what comes from outside, since it believes the lengths that an archive
claims and reads headers of any size into memory.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

BLOCK = 512
END = bytes(2 * BLOCK)
FORMAT_KEY, FORMAT = b"SWARMD.format", b"1"
OUTSIDE_KEY = b"SWARMD.outside"
_NAME, _LINK, _OCTAL_SIZE, _OCTAL_ID = 100, 100, 8**11, 8**7


class Kind(enum.Enum):
    """The kinds of members that are written and taken."""

    FILE = b"0"
    HARDLINK = b"1"
    SYMLINK = b"2"
    FOLDER = b"5"


@dataclass(frozen=True, slots=True)
class Extent:
    """A part of a sparse file that has data."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Member:
    """One member's header.

    Args:
        name: Relative, components joined by ``/``.
        mode: Permission bits.
        mtime_ns: Nanoseconds since the epoch.
        size: Bytes of a file, holes included.
        target: Of a link.
        extents: The data of a sparse file; None for others.
        outside: A symbolic link that led out of the archived tree where it was made.
    """

    name: bytes
    kind: Kind
    mode: int = 0o644
    mtime_ns: int = 0
    size: int = 0
    target: bytes = b""
    extents: tuple[Extent, ...] | None = None
    outside: bool = False

    @property
    def sparse_map(self) -> bytes:
        """The map that precedes a sparse file's data, padded to blocks."""
        if self.extents is None:
            return b""
        numbers = [len(self.extents)]
        for extent in self.extents:
            numbers += (extent.offset, extent.size)
        return padded(b"".join(b"%d\n" % number for number in numbers))

    @property
    def stored(self) -> int:
        """Bytes that follow the header, without the padding at the end."""
        if self.extents is None:
            return self.size if self.kind is Kind.FILE else 0
        return len(self.sparse_map) + sum(extent.size for extent in self.extents)


def padded(data: bytes) -> bytes:
    """With zeros up to a whole block."""
    return data + bytes(-len(data) % BLOCK)


def opening() -> bytes:
    """What stands first in our archives: the version of their format."""
    return _extended(b"g", {FORMAT_KEY: FORMAT})


def header(member: Member, uid: int = 0, gid: int = 0) -> bytes:
    """The blocks before a member's data.

    Args:
        member: What it is.
        uid: Whose it is, for who unpacks it as another than that; else root's.
        gid: Its group.
    """
    records = {b"mtime": _seconds(member.mtime_ns)}
    if not _is_text(member.name) or not _is_text(member.target):
        records = {b"hdrcharset": b"BINARY", **records}
    records[b"path"] = member.name
    if member.target:
        records[b"linkpath"] = member.target
    if member.outside:
        records[OUTSIDE_KEY] = b"1"
    if member.extents is not None:
        records |= {
            b"GNU.sparse.major": b"1",
            b"GNU.sparse.minor": b"0",
            b"GNU.sparse.name": member.name,
            b"GNU.sparse.realsize": b"%d" % member.size,
        }
    if member.stored >= _OCTAL_SIZE:
        records[b"size"] = b"%d" % member.stored
    if max(uid, gid) >= _OCTAL_ID:
        records |= {b"uid": b"%d" % uid, b"gid": b"%d" % gid}
    return _extended(b"x", records) + _block(
        member.name,
        member.kind.value,
        member.stored,
        owner=(uid, gid),
        mode=member.mode,
        mtime=max(0, member.mtime_ns // 10**9),
        target=member.target,
    )


def _extended(kind: bytes, records: Mapping[bytes, bytes]) -> bytes:
    data = b"".join([_record(key, value) for key, value in records.items()])
    return _before_records(kind, len(data)) + padded(data)


@lru_cache(maxsize=256)
def _before_records(kind: bytes, size: int) -> bytes:
    """Half of all header blocks; few are different, for nobody reads their names."""
    return _block(b"pax", kind, size)


def _record(key: bytes, value: bytes) -> bytes:
    """``length key=value``, where the length counts its own digits."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest)
    while length != len(rest) + len(b"%d" % length):
        length = len(rest) + len(b"%d" % length)
    return b"%d" % length + rest


def _block(
    name: bytes,
    kind: bytes,
    size: int,
    *,
    owner: tuple[int, int] = (0, 0),
    mode: int = 0o644,
    mtime: int = 0,
    target: bytes = b"",
) -> bytes:
    fields = (
        name[-_NAME:].ljust(_NAME, b"\0"),
        b"%07o\0" % (mode & 0o7777),
        *(b"%07o\0" % (number if number < _OCTAL_ID else 0) for number in owner),
        b"%011o\0" % (size if size < _OCTAL_SIZE else 0),
        b"%011o\0" % min(mtime, _OCTAL_SIZE - 1),
        b" " * 8,
        kind,
        target[-_LINK:].ljust(_LINK, b"\0"),
        b"ustar\x0000",
    )
    block = b"".join(fields).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % checksum(block) + block[156:]


def checksum(block: bytes) -> int:
    """The sum over a header block, its own field taken as blanks."""
    return sum(block[:BLOCK]) - sum(block[148:156]) + 8 * 0x20


def leads_outside(name: bytes, target: bytes) -> bool:
    """Whether a symbolic link leaves the archived tree, judged by its text alone."""
    if target.startswith(b"/"):
        return True
    depth = name.count(b"/")  # folders above the link
    for step in target.split(b"/"):
        if step == b"..":
            depth -= 1
            if depth < 0:
                return True
        elif step not in (b"", b"."):
            depth += 1
    return False


def _seconds(nanoseconds: int) -> bytes:
    sign = b"-" if nanoseconds < 0 else b""
    whole, fraction = divmod(abs(nanoseconds), 10**9)
    return sign + b"%d.%09d" % (whole, fraction)


def _is_text(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
