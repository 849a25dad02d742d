"""An instance's data as a tar stream, out and in (DESIGN 6: export, import).

The members lie below ``workspace/``, ``home/``, ``user-data/`` and ``extensions/``; log, record
and configuration file stay behind, for they belong to the place and not to the data.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from swarmd.errors import ProviderError
from swarmd.ports import Call
from swarmd.providers.local.data import folders
from swarmd.providers.local.data.extraction import unpack
from swarmd.providers.local.data.layout import InstanceDirs
from swarmd.providers.shared.account import Account, own
from swarmd.providers.shared.archive import PARTS, Limits
from swarmd.providers.shared.beneath import open_beneath
from swarmd.providers.shared.faults import translate
from swarmd.providers.shared.rights import as_account
from swarmd.providers.shared.tarformat import (
    BLOCK,
    END,
    Extent,
    Kind,
    Member,
    header,
    leads_outside,
    opening,
)

__all__ = ["Limits", "export", "unpack"]

_CHUNK = 1 << 18
_EXTENTS_MOST = 50_000  # a file in more parts is sent whole
_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV)


def export(
    dirs: InstanceDirs,
    call: Call,
    *,
    account: Account | None = None,
    workspace: Callable[[], int] | None = None,
) -> Iterator[bytes]:
    """Stream an instance's data as an uncompressed PAX tar archive, in bounded memory.

    Members come in a fixed order. A file that shrinks while it is read is filled up with zeros,
    one that grows is cut at its first size, one that vanishes is left out; each is told by
    ``call.progress``. Sockets, pipes and devices are left out likewise.

    Args:
        dirs: The instance's places.
        call: Deadline, cancellation, notes.
        account: Whose rights decide what is read: the instance's account, so that an export
            shows nobody more than a terminal in the instance would. Default: our own.
        workspace: Opens the folder to send as ``workspace/`` instead of the managed one. The
            descriptor is read and closed here; no path is looked up again.

    Raises:
        ProviderError: A file cannot be read: an archive without it would not be a copy.
    """
    sender = _Export(call, account or own())
    yield opening()
    for part in PARTS:
        if part == "workspace" and workspace is not None:
            yield from sender.tree(workspace(), part)
            continue
        top = sender.open_part(dirs, part)
        if top is not None:
            yield from sender.tree(top, part)
    yield END


@dataclass(frozen=True, slots=True)
class _Entry:
    """What stands in a folder; ``file`` is the open descriptor of a regular file."""

    found: os.stat_result
    file: int | None = None
    target: bytes = b""


class _Export:
    """Each look at the tree is taken with the account's rights, and none of them yields."""

    def __init__(self, call: Call, account: Account) -> None:
        self._call = call
        self._account = account
        self._links: dict[tuple[int, int], bytes] = {}

    def open_part(self, dirs: InstanceDirs, part: str) -> int | None:
        """A part's folder; None if it is not there. Its parent is the daemon's to reach."""
        try:
            with folders.opened(dirs.root) as root, as_account(self._account):
                return os.open(part, folders.FOLDER, dir_fd=root)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise translate(error, f"reading {dirs.root / part}") from error

    def tree(self, top: int, name: str) -> Iterator[bytes]:
        """Everything below an open folder, which is closed at the end."""
        try:
            yield from self._folders(top, name.encode())
        finally:
            os.close(top)

    def _folders(self, top: int, name: bytes) -> Iterator[bytes]:
        """Depth first without recursion, and with one folder open at a time."""
        waiting = [b""]
        while waiting:
            path = waiting.pop()
            try:
                with as_account(self._account):
                    folder = open_beneath(top, path or b".", _FOLDER)
            except OSError as error:
                self._skip_gone(name + b"/" + path, error)
                continue
            below: list[bytes] = []
            try:
                yield header(self._folder_member(folder, _join(name, path)))
                for entry in sorted(map(os.fsencode, _names(folder))):
                    yield from self._entry(folder, entry, _join(name, path), below)
            finally:
                os.close(folder)
            waiting.extend(_join(path, entry) for entry in reversed(below))

    def _folder_member(self, folder: int, name: bytes) -> Member:
        found = os.fstat(folder)
        return Member(name, Kind.FOLDER, stat.S_IMODE(found.st_mode), found.st_mtime_ns)

    def _entry(
        self, folder: int, entry: bytes, parent: bytes, below: list[bytes]
    ) -> Iterator[bytes]:
        self._call.check()
        name = _join(parent, entry)
        try:
            with as_account(self._account):
                seen = _look(folder, entry)
            mode = seen.found.st_mode
            if seen.file is not None:
                yield from self._file(seen.file, name)
            elif stat.S_ISDIR(mode):
                below.append(entry)
            elif stat.S_ISLNK(mode):
                yield header(_symlink(seen, name))
            else:
                self._note(f"left out, no file: {os.fsdecode(name)}")
        except OSError as error:
            self._skip_gone(name, error)

    def _file(self, descriptor: int, name: bytes) -> Iterator[bytes]:
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):  # swapped since it was looked at
                self._note(f"left out, no file: {os.fsdecode(name)}")
                return
            member = Member(
                name,
                Kind.FILE,
                stat.S_IMODE(found.st_mode),
                found.st_mtime_ns,
                found.st_size,
                extents=_extents(descriptor, found),
            )
            first = self._first_name(found, name)
            if first is not None:
                yield header(_hardlink(member, first))
                return
            yield header(member)
            yield from self._data(descriptor, member)
        finally:
            os.close(descriptor)

    def _first_name(self, found: os.stat_result, name: bytes) -> bytes | None:
        """The name under which this file was sent before, if it has several."""
        if found.st_nlink < 2:
            return None
        first = self._links.setdefault((found.st_dev, found.st_ino), name)
        return None if first == name else first

    def _data(self, descriptor: int, member: Member) -> Iterator[bytes]:
        """Exactly as many bytes as the header said, whatever the file does meanwhile."""
        if member.extents is None:
            spans = [Extent(0, member.size)]
        else:
            yield member.sparse_map
            spans = list(member.extents)
        short = 0
        for span in spans:
            at, end = span.offset, span.offset + span.size
            while at < end:
                self._call.check()
                data = self._pread(descriptor, min(_CHUNK, end - at), at, member)
                if not data:
                    data = bytes(min(_CHUNK, end - at))
                    short += len(data)
                at += len(data)
                yield data
        padding = -member.stored % BLOCK
        if padding:
            yield bytes(padding)
        if short:
            self._note(f"became shorter while it was read: {os.fsdecode(member.name)}")

    def _pread(self, descriptor: int, size: int, at: int, member: Member) -> bytes:
        try:
            return os.pread(descriptor, size, at)
        except OSError as error:
            raise translate(error, f"reading {os.fsdecode(member.name)}") from error

    def _skip_gone(self, name: bytes, error: OSError) -> None:
        if error.errno in _GONE:
            self._note(f"vanished while it was read: {os.fsdecode(name)}")
            return
        if error.errno in (errno.EACCES, errno.EPERM):
            raise ProviderError(
                f"{os.fsdecode(name)} cannot be read",
                next_step="Make it readable for the instance's account or remove it, then repeat "
                "the export.",
                details={"cause": str(error)},
            ) from error
        raise translate(error, f"reading {os.fsdecode(name)}") from error

    def _note(self, message: str) -> None:
        self._call.progress(message, None)


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries]


def _join(parent: bytes, name: bytes) -> bytes:
    return parent + b"/" + name if parent and name else parent or name


def _look(folder: int, entry: bytes) -> _Entry:
    found = os.stat(entry, dir_fd=folder, follow_symlinks=False)
    if stat.S_ISREG(found.st_mode):
        return _Entry(found, file=os.open(entry, _FILE, dir_fd=folder))
    if stat.S_ISLNK(found.st_mode):
        return _Entry(found, target=os.readlink(entry, dir_fd=folder))
    return _Entry(found)


def _symlink(seen: _Entry, name: bytes) -> Member:
    return Member(
        name,
        Kind.SYMLINK,
        0o777,
        seen.found.st_mtime_ns,
        target=seen.target,
        outside=leads_outside(name, seen.target),
    )


def _hardlink(member: Member, first: bytes) -> Member:
    return Member(member.name, Kind.HARDLINK, member.mode, member.mtime_ns, target=first)


def _extents(descriptor: int, found: os.stat_result) -> tuple[Extent, ...] | None:
    """The parts of a file that have data; None if it has no holes worth sending as such."""
    if found.st_blocks * 512 >= found.st_size:
        return None
    extents: list[Extent] = []
    at = 0
    while at < found.st_size and len(extents) <= _EXTENTS_MOST:
        try:
            start = os.lseek(descriptor, at, os.SEEK_DATA)
            end = os.lseek(descriptor, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole from here on
                break
            return None
        end = min(end, found.st_size)
        if start < end:
            extents.append(Extent(start, end - start))
        at = max(end, at + 1)
    if not extents or extents[-1].offset + extents[-1].size < found.st_size:
        extents.append(Extent(found.st_size, 0))  # GNU tar takes a file's length from the map
    return tuple(extents) if len(extents) <= _EXTENTS_MOST else None
