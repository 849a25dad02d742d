"""Reading a tar stream that nobody vouches for: one member at a time, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from swarmd.errors import ValidationError
from swarmd.providers.shared.tarformat import (
    BLOCK,
    FORMAT,
    FORMAT_KEY,
    OUTSIDE_KEY,
    Extent,
    Kind,
    Member,
    checksum,
)

_HEADER_MOST = 1 << 20  # bytes of one extended header or long name
_HEADERS_MOST = 8  # extended headers of one member
_GLOBAL_MOST = 1 << 20  # bytes of the records that hold for all members
_GLOBAL_RECORDS_MOST = 256  # of them, for each member looks at all
_EXTENTS_MOST = 100_000  # of one sparse file
_SLICE = 1 << 18
_OLD_KINDS = {b"\0": b"0", b"7": b"0"}
_NAMES = {
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a named pipe",
    b"S": "a sparse file in GNU's old format",
    b"M": "a part of a file",
    b"V": "a volume label",
    b"D": "an incremental folder",
}
_NO_FILES = (b"3", b"4", b"6")
_NUMBER = re.compile(rb"\d{1,19}")
_TIME = re.compile(rb"(-?)(\d{1,18})(?:\.(\d{1,9})\d*)?")


def refused(message: str, next_step: str | None = None) -> ValidationError:
    """What an archive is refused with."""
    return ValidationError(
        message,
        field="archive",
        next_step=next_step or "Export it again; only archives made by export are sure to fit.",
    )


class Stream:
    """Bytes from chunks of any size.

    Args:
        chunks: The archive.
        check: Called before every read; what it raises ends the reading.
    """

    def __init__(self, chunks: Iterable[bytes], check: Callable[[], None]) -> None:
        self._chunks = iter(chunks)
        self._check = check
        self._rest = memoryview(b"")

    def slices(self, size: int) -> Iterator[memoryview]:
        """Exactly so many bytes, in slices of bounded size. Raises if the archive ends first."""
        while size:
            if not self._rest and not self._fill():
                raise refused(
                    "the archive is cut off, or no archive at all",
                    "Send the whole file that swarmctl export wrote.",
                )
            part = self._rest[: min(size, _SLICE)]
            self._rest = self._rest[len(part) :]
            size -= len(part)
            yield part

    def exactly(self, size: int) -> bytes:
        """Exactly so many bytes, which the caller has bounded."""
        if size <= len(self._rest):  # nearly always: a header block
            part, self._rest = self._rest[:size], self._rest[size:]
            return bytes(part)
        return b"".join(self.slices(size))

    def skip(self, size: int) -> None:
        """Pass over so many bytes."""
        for _ in self.slices(size):
            pass

    def require_rest_empty(self) -> None:
        """Read to the end; there must be nothing but zeros."""
        while self._rest or self._fill():
            if any(self._rest):
                raise refused("the archive goes on after its end")
            self._rest = memoryview(b"")

    def _fill(self) -> bool:
        for chunk in self._chunks:
            self._check()
            if chunk:
                self._rest = memoryview(chunk)
                return True
        return False


@dataclass(slots=True)
class _Pending:
    """What extended headers said of the member that follows them."""

    records: dict[bytes, bytes] = field(default_factory=dict)
    name: bytes | None = None
    target: bytes | None = None
    headers: int = 0


class TarReader:
    """Iterates over (member, slices of its data). The data must be taken before going on.

    Args:
        stream: The archive.
        pass_over: Told of the name and kind of every device and pipe, which is then left out.
            Without it they are refused.
    """

    def __init__(
        self, stream: Stream, pass_over: Callable[[bytes, str], None] | None = None
    ) -> None:
        self._stream = stream
        self._pass_over = pass_over
        self._global: dict[bytes, bytes] = {}
        self._seen = False

    def members(self) -> Iterator[tuple[Member, Iterator[memoryview]]]:
        """Every member up to the archive's end.

        Raises:
            ValidationError: Not a tar archive, cut off, or with headers that lie.
        """
        pending = _Pending()
        while (block := self._next_block()) is not None:
            kind, size = block[156:157], _octal(block[124:136])
            self._seen = True
            if kind in b"xgXLK" and kind:
                self._extended(kind, size, pending)
                continue
            if b"size" in pending.records:
                size = _decimal(pending.records[b"size"], "size")
            yield from self._member(block, kind, size, pending)
            pending = _Pending()
        if pending.records or pending.name or pending.target:
            raise refused("the archive ends after an extended header")
        self._stream.require_rest_empty()

    def _next_block(self) -> bytes | None:
        block = self._stream.exactly(BLOCK)
        if not any(block):
            if any(self._stream.exactly(BLOCK)):
                raise refused("the archive has a lone zero block")
            return None
        try:
            stored = int(block[148:156].strip(b"\0 ") or b"0", 8)
        except ValueError:
            stored = -1
        if stored != checksum(block):
            what = "the archive is damaged" if self._seen else "this is no tar archive"
            raise refused(what, "Send an uncompressed tar archive as export makes it.")
        return block

    def _extended(self, kind: bytes, size: int, pending: _Pending) -> None:
        if size > _HEADER_MOST:
            raise refused(f"the archive has an extended header of {size} bytes")
        pending.headers += 1
        if pending.headers > _HEADERS_MOST:
            raise refused(f"the archive has a member with over {_HEADERS_MOST} extended headers")
        data = self._stream.exactly(size)
        self._stream.skip(-size % BLOCK)
        if kind == b"L":
            pending.name = data.split(b"\0")[0]
        elif kind == b"K":
            pending.target = data.split(b"\0")[0]
        elif kind == b"g":
            self._keep_global(_records(data))
            if self._global.get(FORMAT_KEY, FORMAT) != FORMAT:
                raise refused(
                    "the archive was made by a newer version", "Update this daemon, then repeat it."
                )
        else:
            pending.records |= _records(data)

    def _keep_global(self, records: dict[bytes, bytes]) -> None:
        self._global |= records
        size = sum(len(key) + len(value) for key, value in self._global.items())
        if size > _GLOBAL_MOST or len(self._global) > _GLOBAL_RECORDS_MOST:
            raise refused(
                f"the archive has over {_GLOBAL_MOST} bytes or {_GLOBAL_RECORDS_MOST} records "
                "in global headers"
            )

    def _member(
        self, block: bytes, kind: bytes, size: int, pending: _Pending
    ) -> Iterator[tuple[Member, Iterator[memoryview]]]:
        records = self._global | pending.records
        name = records.get(b"GNU.sparse.name") or records.get(b"path") or pending.name
        name = name or _ustar_name(block)
        target = records.get(b"linkpath") or pending.target or block[157:257].split(b"\0")[0]
        kind = _OLD_KINDS.get(kind, kind)
        shown = name[:200].decode(errors="replace")
        try:
            known = Kind(kind)
        except ValueError:
            what = _NAMES.get(kind, f"a member of unknown kind {kind!r}")
            if self._pass_over is not None and kind in _NO_FILES:
                self._pass_over(name, what)
                return
            raise refused(f"the archive has {what}: {shown!r}") from None
        if known is Kind.FILE and name.endswith(b"/"):  # how the oldest archives mark folders
            known = Kind.FOLDER
        stored = size if known is Kind.FILE else 0
        extents, stored, real = self._sparse(records, known, stored)
        member = Member(
            name=name,
            kind=known,
            mode=_octal(block[100:108]) & 0o7777,
            mtime_ns=_time(records[b"mtime"]) if b"mtime" in records else _old_time(block),
            size=real,
            target=target if known in (Kind.SYMLINK, Kind.HARDLINK) else b"",
            extents=extents,
            outside=OUTSIDE_KEY in pending.records,
        )
        slices = self._stream.slices(stored)
        yield member, slices
        for _ in slices:
            pass
        self._stream.skip(-stored % BLOCK)

    def _sparse(
        self, records: dict[bytes, bytes], kind: Kind, stored: int
    ) -> tuple[tuple[Extent, ...] | None, int, int]:
        """The map of a sparse file, what is left to read of it, and its real size."""
        if not any(key.startswith(b"GNU.sparse.") for key in records):
            return None, stored, stored
        version = (records.get(b"GNU.sparse.major"), records.get(b"GNU.sparse.minor"))
        if version != (b"1", b"0") or kind is not Kind.FILE:
            raise refused(
                "the archive has a sparse file in an old format",
                "Make it with export, or with tar --sparse-version=1.0.",
            )
        real = _decimal(records.get(b"GNU.sparse.realsize", b""), "realsize")
        numbers = _SparseMap(self._stream, stored)
        extents = numbers.read()
        rest = stored - numbers.taken
        end = 0
        for extent in extents:
            if extent.offset < end or extent.offset + extent.size > real:
                raise refused("the archive has a sparse file whose map lies")
            end = extent.offset + extent.size
        if sum(extent.size for extent in extents) != rest:
            raise refused("the archive has a sparse file whose map and data differ")
        return extents, rest, real


class _SparseMap:
    """Decimal lines in blocks before the data: a count, then offset and size of each extent."""

    def __init__(self, stream: Stream, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._rest = b""
        self.taken = 0

    def read(self) -> tuple[Extent, ...]:
        count = self._number()
        if count > _EXTENTS_MOST:
            raise refused(f"the archive has a sparse file in {count} parts")
        return tuple(Extent(self._number(), self._number()) for _ in range(count))

    def _number(self) -> int:
        while b"\n" not in self._rest:
            if len(self._rest) > BLOCK or self.taken + BLOCK > self._limit:
                raise refused("the archive has a sparse file without a valid map")
            self._rest += self._stream.exactly(BLOCK)
            self.taken += BLOCK
        line, self._rest = self._rest.split(b"\n", 1)
        return _decimal(line, "sparse map")


def _records(data: bytes) -> dict[bytes, bytes]:
    """``length key=value`` lines; an empty value takes a key back."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        blank = data.find(b" ", at, at + 20)
        length = _decimal(data[at:blank], "header") if blank > at else -1
        record = data[at : at + length]
        key, equals, value = data[blank + 1 : at + length - 1].partition(b"=")
        if len(record) != length or not record.endswith(b"\n") or not equals or not key:
            raise refused("the archive has an extended header that is not well-formed")
        found[key] = value
        at += length
    return found


def _ustar_name(block: bytes) -> bytes:
    name, prefix = block[:100].split(b"\0")[0], b""
    if block[257:263] == b"ustar\0":
        prefix = block[345:500].split(b"\0")[0]
    return prefix + b"/" + name if prefix else name


def _octal(data: bytes) -> int:
    """A number of a header block: octal text, or GNU's binary form for large ones."""
    if data[0] & 0x80:
        if data[0] != 0x80:
            raise refused("the archive has a negative number where none can be")
        value = int.from_bytes(data[1:], "big")
    else:
        try:
            value = int(data.split(b"\0")[0].strip() or b"0", 8)
        except ValueError:
            raise refused("the archive has a header with a number that is none") from None
    if value < 0 or value >= 1 << 62:
        raise refused("the archive claims an impossible size")
    return value


def _decimal(data: bytes, what: str) -> int:
    if _NUMBER.fullmatch(data) is None or int(data) >= 1 << 62:
        raise refused(f"the archive has a {what} that is no number")
    return int(data)


def _old_time(block: bytes) -> int:
    """A time of a header block, which may be before 1970 in GNU's binary form."""
    data = block[136:148]
    if data[0] & 0x80:
        value = int.from_bytes(data, "big", signed=True) if data[0] == 0xFF else _octal(data)
    else:
        value = _octal(data)
    return _bounded_time(value * 10**9)


def _time(data: bytes) -> int:
    match = _TIME.fullmatch(data)
    if match is None:
        raise refused("the archive has a time that is none")
    value = int(match[2]) * 10**9 + int((match[3] or b"").ljust(9, b"0"))
    return _bounded_time(-value if match[1] else value)


def _bounded_time(nanoseconds: int) -> int:
    """What the kernel takes: 64 bits of nanoseconds are ample and overflow nowhere."""
    return max(-(1 << 61), min(nanoseconds, 1 << 62))
