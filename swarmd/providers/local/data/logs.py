"""The log of an instance: written by the server without us, capped and rotated by us.

The server holds the live file open for appending, so that it writes on while no daemon runs.
Rotation therefore never renames or truncates that file. It copies its old part into a piece,
and then takes the disk from under that part (``FALLOC_FL_PUNCH_HOLE``): what is appended
meanwhile lands behind it, untouched. An offset in the live file thus names one byte of the log
for ever, and a reader needs no lock: what it finds punched away is in a piece.

Pieces are named ``server.log.<number>.<offset of the first byte>``, oldest first. A rotation
that is cut off between copy and punch leaves the same bytes in both; the end of the newest piece
tells where the live file begins, so no byte is lost, and none is seen twice.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from swarmd.errors import ProviderError
from swarmd.providers.local.data import folders
from swarmd.providers.local.data.layout import InstanceDirs
from swarmd.providers.shared.account import Account
from swarmd.providers.shared.faults import os_faults

LIVE = "server.log"
BLOCK = 65536
_PIECE = re.compile(r"server\.log\.(\d{8})\.(\d{16})")
_TEMPORARY = "server.log.new"
_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02
_OPEN = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """A rotated part of the log."""

    number: int
    start: int
    size: int
    mtime: float

    @property
    def name(self) -> str:
        """Its file name in the log folder."""
        return f"{LIVE}.{self.number:08d}.{self.start:016d}"

    @property
    def end(self) -> int:
        """The offset in the live file behind its last byte."""
        return self.start + self.size


def open_for_append(dirs: InstanceDirs, account: Account) -> int:
    """A descriptor for the server's output. The caller hands it over and closes it.

    The file is the account's, so that a program may open ``/dev/stderr`` again; its folder is
    the daemon's, so that nobody puts another file in its place.

    Raises:
        SwarmError: It cannot be opened.
    """
    with os_faults(f"opening the log of {dirs.id}"), folders.opened(dirs.log) as folder:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _OPEN
        log = os.open(LIVE, flags, 0o600, dir_fd=folder)
        try:
            _require_regular(log, dirs)
            os.set_blocking(log, True)
            if account.foreign:
                os.fchown(log, account.uid, account.gid)
        except BaseException:
            os.close(log)
            raise
        return log


def rotate(dirs: InstanceDirs, max_size: int, files: int) -> int:
    """Keep the log within about ``(files + 1) * max_size`` bytes of disk.

    Does nothing while the live file holds at most ``max_size`` bytes. On a full disk the
    oldest pieces go first: a log must not be what keeps the disk full.

    Args:
        dirs: The instance's places.
        max_size: Bytes of one piece.
        files: Pieces to keep, at least 1.

    Returns:
        How many bytes were taken off the live file.

    Raises:
        ResourceLimitError: The disk is full even without older pieces.
        ProviderError: The filesystem cannot punch holes.
    """
    if not dirs.log.is_dir():
        return 0
    with os_faults(f"rotating the log of {dirs.id}"), folders.opened(dirs.log) as folder:
        try:
            live = os.open(LIVE, os.O_RDWR | _OPEN, dir_fd=folder)
        except FileNotFoundError:
            return 0
        try:
            _require_regular(live, dirs)
            return _Rotation(folder, live, max_size, files).run()
        finally:
            os.close(live)


def pieces(folder: int) -> list[Piece]:
    """The rotated parts, oldest first."""
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            match = _PIECE.fullmatch(entry.name)
            if match is None:
                continue
            try:
                seen = os.stat(entry.name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:  # the oldest one, rotated out right now
                continue
            if stat.S_ISREG(seen.st_mode):
                found.append(Piece(int(match[1]), int(match[2]), seen.st_size, seen.st_mtime))
    return sorted(found)


def live_start(found: list[Piece], size: int) -> int:
    """The offset at which the live file begins: what is before it is in pieces, or gone.

    If someone truncated the file, it is shorter than what was rotated, and begins anew.
    """
    end = found[-1].end if found else 0
    return end if end <= size else 0


def first_data(live: int, offset: int) -> int:
    """The first offset from here on that is not in a hole; the size if there is none."""
    try:
        return os.lseek(live, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return os.fstat(live).st_size
        if error.errno == errno.EINVAL:  # the filesystem does not tell
            return offset
        raise


def _require_regular(descriptor: int, dirs: InstanceDirs) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise ProviderError(
            f"{dirs.log / LIVE} is no regular file",
            next_step="Move it away; the next start makes a new one.",
            details={"cause": os.strerror(errno.EINVAL)},
        )


class _Rotation:
    def __init__(self, folder: int, live: int, max_size: int, files: int) -> None:
        self._folder = folder
        self._live = live
        self._max_size = max(1, max_size)
        self._files = max(1, files)

    def run(self) -> int:
        known = pieces(self._folder)
        size = os.fstat(self._live).st_size
        start = live_start(known, size)
        self._finish_cut_off(start)
        if size - start <= self._max_size:
            self._forget(known, self._files)
            return 0
        cut = self._line_end(start, size)
        position = max(start, cut - self._max_size * self._files)
        while position < cut:
            end = min(cut, position + self._max_size)
            self._keep(known, position, end)
            position = end
            self._forget(known, self._files)
        _punch(self._live, 0, cut)
        return cut - start

    def _finish_cut_off(self, start: int) -> None:
        """A rotation that ended before its punch: take away what the pieces already hold."""
        if start and first_data(self._live, 0) < start - start % 4096:
            _punch(self._live, 0, start)

    def _line_end(self, start: int, size: int) -> int:
        """Behind the last whole line; at the end if there is none in the last block."""
        begin = max(start, size - BLOCK)
        newline = os.pread(self._live, size - begin, begin).rfind(b"\n")
        return size if newline < 0 else begin + newline + 1

    def _keep(self, known: list[Piece], start: int, end: int) -> None:
        number = known[-1].number + 1 if known else 1
        while True:
            try:
                self._copy(start, end)
                break
            except OSError as error:
                os.unlink(_TEMPORARY, dir_fd=self._folder)
                if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not known:
                    raise
                self._forget(known, len(known) - 1)
        piece = Piece(number, start, end - start, 0.0)
        os.rename(_TEMPORARY, piece.name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        os.fsync(self._folder)
        known.append(piece)

    def _copy(self, start: int, end: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _OPEN
        target = os.open(_TEMPORARY, flags, 0o600, dir_fd=self._folder)
        try:
            while start < end:
                start += _write(target, os.pread(self._live, min(BLOCK, end - start), start))
            os.fsync(target)
            # Written now, but its last line is as old as the live file's last change.
            changed = os.fstat(self._live).st_mtime_ns
            os.utime(target, ns=(changed, changed))
        finally:
            os.close(target)

    def _forget(self, known: list[Piece], keep: int) -> None:
        while len(known) > keep:
            os.unlink(known.pop(0).name, dir_fd=self._folder)


def _write(target: int, data: bytes) -> int:
    if not data:
        raise OSError(errno.EIO, "the log became shorter while it was rotated")
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
    return len(data)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _punch(descriptor: int, start: int, end: int) -> None:
    result = _libc().fallocate(
        descriptor, _PUNCH_HOLE | _KEEP_SIZE, ctypes.c_int64(start), ctypes.c_int64(end - start)
    )
    if result == 0:
        return
    code = ctypes.get_errno()
    if code not in (errno.EOPNOTSUPP, errno.ENOSYS):
        raise OSError(code, os.strerror(code))
    raise ProviderError(
        "the filesystem of the instances' folders cannot punch holes: logs are not capped there",
        next_step="Put daemon.data_dir on ext4, xfs, btrfs or tmpfs.",
        details={"cause": os.strerror(code)},
    )


def log_path(dirs: InstanceDirs) -> Path:
    """The live file, for people."""
    return dirs.log / LIVE
