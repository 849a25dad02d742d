"""Taking in an archive that nobody vouches for: all of it, or nothing.

It is unpacked in a fresh folder that only the daemon can reach, by descriptor, following no
link, and renamed into place at the end. What an archive can do wrong is refused by name.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator

from swarmd.ports import Call
from swarmd.providers.local.data import folders
from swarmd.providers.local.data.layout import InstanceDirs, Layout
from swarmd.providers.shared.account import Account
from swarmd.providers.shared.archive import (
    MODES,
    PARTS,
    SMALLER,
    Limits,
    Rules,
    check_symlink,
    hardlink_parts,
    shown,
)
from swarmd.providers.shared.beneath import open_beneath
from swarmd.providers.shared.faults import os_faults
from swarmd.providers.shared.tarformat import Kind, Member
from swarmd.providers.shared.tarreader import Stream, TarReader, refused

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY


def unpack(
    chunks: Iterable[bytes],
    dirs: InstanceDirs,
    account: Account,
    call: Call,
    limits: Limits | None = None,
) -> None:
    """Make an instance's folder from an archive, in place of what was there.

    Refused are: absolute names, ``..``, members outside the four parts, links out of the tree
    (hard links always; symbolic links unless export marked them as leading out where they
    were made: they are kept as they are and never followed), names that go through a link or a
    file, devices, pipes, more than ``limits``, sparse maps that lie, and archives that are cut
    off or none at all. Set-user-id and set-group-id bits are taken off.

    Args:
        chunks: The archive, in chunks of any size.
        dirs: The instance's places.
        account: Whose everything will be.
        call: Deadline, cancellation, progress.
        limits: How much it may hold; default: ``Limits()``.

    Raises:
        ValidationError: The archive is refused; nothing of it is left.
        ResourceLimitError: The disk is full; nothing of it is left.
        OperationCancelled, DeadlineExceeded: The call ended; nothing of it is left.
    """
    layout = Layout(dirs.root.parent)
    with os_faults(f"unpacking the archive of {dirs.id}"):
        made = folders.fresh(layout, dirs.id, account)
        try:
            with folders.opened(made) as top:
                extraction = _Extraction(top, account, limits or Limits(), call)
                extraction.take(TarReader(Stream(chunks, call.check)))
            for folder in (dirs.private, dirs.log):
                folder.mkdir(mode=0o700, exist_ok=True)
            folders.place(layout, made, dirs)
        finally:  # what was there before, or what was made of an archive that was refused
            folders.discard(layout, made, dirs.id)


class _Extraction:
    def __init__(self, top: int, account: Account, limits: Limits, call: Call) -> None:
        self._top = top
        self._account = account
        self._limits = limits
        self._call = call
        self._folders: dict[bytes, tuple[int, int]] = {}
        self._rules = Rules(limits)
        self._folder_names = 0

    def take(self, reader: TarReader) -> None:
        for member, data in reader.members():
            self._call.check()
            parts = self._rules.admit(member)
            self._put(member, parts, data)
        self._finish_folders()

    # --- making ---

    def _put(self, member: Member, parts: list[bytes], data: Iterator[memoryview]) -> None:
        if not parts:  # the top itself: its mode is ours to choose
            return
        parent = self._parent(parts)
        try:
            if member.kind is Kind.FOLDER:
                self._folder(parent, parts, member)
                return
            self._make_room(parent, parts[-1], member)
            if member.kind is Kind.FILE:
                self._file(parent, parts[-1], member, data)
            elif member.kind is Kind.SYMLINK:
                self._symlink(parent, parts, member)
            else:
                self._hardlink(parent, parts[-1], member)
        finally:
            os.close(parent)

    def _parent(self, parts: list[bytes]) -> int:
        """Open a member's folder, making what the archive did not name; never over a link."""
        path = b"/".join(parts[:-1])
        try:
            return open_beneath(self._top, path or b".", _FOLDER)
        except FileNotFoundError:
            return self._make_parent(parts)
        except OSError as error:
            raise _over_a_link(parts, error) from error

    def _make_parent(self, parts: list[bytes]) -> int:
        here = open_beneath(self._top, b".", _FOLDER)
        for part in parts[:-1]:
            try:
                try:
                    os.mkdir(part, 0o700, dir_fd=here)
                    self._own(part, here)
                except FileExistsError:
                    pass  # made by an earlier member
                below = os.open(part, folders.FOLDER, dir_fd=here)
            except OSError as error:
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    raise _over_a_link(parts, error) from error
                raise
            finally:
                os.close(here)
            here = below
        return here

    def _own(self, name: bytes, folder: int) -> None:
        if self._account.foreign:
            os.chown(
                name, self._account.uid, self._account.gid, dir_fd=folder, follow_symlinks=False
            )

    def _make_room(self, parent: int, name: bytes, member: Member) -> None:
        """As tar does: a later member of the same name replaces an earlier one."""
        try:
            os.unlink(name, dir_fd=parent)
        except FileNotFoundError:
            return
        except IsADirectoryError as error:
            raise refused(
                f"the archive replaces a folder by a file: {shown(member.name)}"
            ) from error

    def _folder(self, parent: int, parts: list[bytes], member: Member) -> None:
        try:
            os.mkdir(parts[-1], 0o700, dir_fd=parent)
            self._own(parts[-1], parent)
        except FileExistsError as error:
            try:
                os.close(os.open(parts[-1], folders.FOLDER, dir_fd=parent))
            except OSError:
                raise _over_a_link([*parts, b""], error) from error
        name, limits = b"/".join(parts), self._limits
        if name not in self._folders:
            self._folder_names += len(name)
        self._folders[name] = (member.mode & MODES, member.mtime_ns)
        if self._folder_names > limits.folder_names:
            raise refused(
                f"the archive's folders have names of over {limits.folder_names} bytes", SMALLER
            )
        if len(self._folders) > limits.folders:
            raise refused(f"the archive has more than {self._limits.folders} folders", SMALLER)

    def _file(self, parent: int, name: bytes, member: Member, data: Iterator[memoryview]) -> None:
        descriptor = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        try:
            if member.extents is None:
                for part in data:
                    _write(descriptor, part)
            else:
                _write_sparse(descriptor, member, data)
            if self._account.foreign:
                os.fchown(descriptor, self._account.uid, self._account.gid)
            os.fchmod(descriptor, member.mode & MODES)
            os.utime(descriptor, ns=(member.mtime_ns, member.mtime_ns))
        finally:
            os.close(descriptor)

    def _symlink(self, parent: int, parts: list[bytes], member: Member) -> None:
        check_symlink(member, parts)
        os.symlink(member.target, parts[-1], dir_fd=parent)
        self._own(parts[-1], parent)
        times = (member.mtime_ns, member.mtime_ns)
        os.utime(parts[-1], ns=times, dir_fd=parent, follow_symlinks=False)

    def _hardlink(self, parent: int, name: bytes, member: Member) -> None:
        words = f"{shown(member.name)} -> {shown(member.target)}"
        parts = hardlink_parts(member)
        try:
            folder = open_beneath(self._top, b"/".join(parts[:-1]) or b".", _FOLDER)
            try:
                file = os.open(parts[-1], os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
                try:
                    if not stat.S_ISREG(os.fstat(file).st_mode):
                        raise refused(f"the archive has a hard link to no file: {words}")
                finally:
                    os.close(file)
                os.link(
                    parts[-1], name, src_dir_fd=folder, dst_dir_fd=parent, follow_symlinks=False
                )
            finally:
                os.close(folder)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE):
                raise
            raise refused(
                f"the archive has a hard link to what it does not hold: {words}"
            ) from error

    def _finish_folders(self) -> None:
        """Modes and times last: what is put into a folder changes them. Deepest first."""
        for path in sorted(self._folders, reverse=True):
            self._call.check()
            mode, mtime = self._folders[path]
            try:
                folder = open_beneath(self._top, path, _FOLDER)
            except OSError as error:
                raise _over_a_link(path.split(b"/"), error) from error
            try:
                os.fchmod(folder, mode | 0o700 if path in _PART_NAMES else mode)
                os.utime(folder, ns=(mtime, mtime))
            finally:
                os.close(folder)


_PART_NAMES = frozenset(part.encode() for part in PARTS)


def _write(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _write_sparse(descriptor: int, member: Member, data: Iterator[memoryview]) -> None:
    """Put the data where the map says; the rest stays a hole."""
    left = memoryview(b"")
    for extent in member.extents or ():
        at, end = extent.offset, extent.offset + extent.size
        while at < end:
            left = left or next(data)
            written = os.pwrite(descriptor, left[: end - at], at)
            left, at = left[written:], at + written
    os.ftruncate(descriptor, member.size)


def _over_a_link(parts: list[bytes], error: OSError) -> Exception:
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EXDEV, errno.EEXIST):
        name = shown(b"/".join(parts).rstrip(b"/"))
        return refused(f"the archive writes through a link or a file: {name}")
    return error
