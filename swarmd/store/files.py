"""Every step that the store does to the disk, each one a method of ``Files``.

The store touches its directory through one ``Files`` object only. A test puts another one in
its place and ends the process, or the disk, at any step it likes.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from swarmd.errors import ResourceLimitError, StateError, SwarmError

TEMPORARY = ".tmp"
UNREADABLE = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
"""What decoding bytes that are no record raises: text that is no UTF-8 and a depth without end
are not msgspec's own errors."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_CHUNK = 16384


class Files:
    """The disk, step by step. Paths are text: thousands of them are made at a start."""

    def create(self, path: str) -> int:
        """Open a new file for writing; nothing may stand there, not even a link."""
        fd = os.open(path, _NEW, 0o600)
        os.fchmod(fd, 0o600)  # the umask may have taken even the owner's bits
        return fd

    def append_to(self, path: str) -> int:
        """Open a file for appending, made if it does not exist."""
        fd = os.open(path, _APPEND, 0o600)
        os.fchmod(fd, 0o600)
        return fd

    def write(self, fd: int, data: bytes) -> None:
        """Write all of it."""
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    def sync(self, fd: int) -> None:
        """Wait until the file, or the folder's list of names, is on disk."""
        os.fsync(fd)

    def hurry(self, fd: int) -> None:
        """Begin to put the file on disk without waiting, so that many go together."""
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def truncate(self, fd: int, length: int) -> None:
        """Cut the file to this many bytes."""
        os.ftruncate(fd, length)

    def reserve(self, fd: int, length: int) -> None:
        """Have the file system set this many bytes aside for the file."""
        os.posix_fallocate(fd, 0, length)

    def rename(self, old: str, new: str) -> None:
        """Put ``old`` in the place of ``new``, atomically."""
        os.rename(old, new)  # noqa: PTH104 (text paths throughout)

    def unlink(self, path: str) -> None:
        """Remove a file."""
        os.unlink(path)  # noqa: PTH108

    def make_folder(self, path: str) -> None:
        """Make a folder that only we can enter."""
        os.mkdir(path, 0o700)  # noqa: PTH102
        os.chmod(path, 0o700)  # noqa: PTH101


def stage(files: Files, path: str, data: bytes, *, durable: bool = True) -> str:
    """Write ``data`` beside ``path``; ``files.rename`` of what this returns puts it there."""
    temporary, fd = _written(files, path, data)
    try:
        if durable:
            files.sync(fd)
    except BaseException:
        remove_quietly(files, temporary)
        raise
    finally:
        os.close(fd)
    return temporary


def stage_all(files: Files, contents: Sequence[tuple[str, bytes]]) -> None:
    """``stage`` for many: begun together, so that the disk's wait is shared.

    Each is then at its path plus ``.tmp``, durable. After an error the caller removes them.
    """
    open_files: list[int] = []
    try:
        for path, data in contents:
            open_files.append(_written(files, path, data)[1])
        for fd in open_files:
            files.hurry(fd)
        for fd in open_files:
            files.sync(fd)
    finally:
        for fd in open_files:
            os.close(fd)


def _written(files: Files, path: str, data: bytes) -> tuple[str, int]:
    temporary = path + TEMPORARY
    try:
        fd = files.create(temporary)
    except FileExistsError:  # left by a group that failed and could not clean up
        files.unlink(temporary)
        fd = files.create(temporary)
    try:
        files.write(fd, data)
    except BaseException:
        os.close(fd)
        remove_quietly(files, temporary)
        raise
    return temporary, fd


def write_durably(files: Files, path: str, data: bytes) -> None:
    """Replace a file so that after any crash the old or the new content is there, whole."""
    place(files, path, data)
    sync_folder(files, os.path.dirname(path))  # noqa: PTH120


def place(files: Files, path: str, data: bytes, *, durable: bool = True) -> None:
    """Replace a file atomically. Not durable: a power cut may bring the old one back."""
    temporary = stage(files, path, data, durable=durable)
    try:
        files.rename(temporary, path)
    except BaseException:
        remove_quietly(files, temporary)
        raise


def sync_folder(files: Files, path: str) -> None:
    """Wait until the names in a folder are on disk."""
    fd = os.open(path, _FOLDER)
    try:
        files.sync(fd)
    finally:
        os.close(fd)


def remove(files: Files, path: str) -> bool:
    """Remove a file if it is there; True if it was."""
    try:
        files.unlink(path)
    except FileNotFoundError:
        return False
    return True


def remove_quietly(files: Files, path: str) -> None:
    """Remove a temporary file while another error is on its way up; the next open sweeps."""
    try:
        files.unlink(path)
    except OSError:
        return


def read_file(path: str, folder_fd: int | None = None) -> bytes:
    """The whole content; a link is refused. With ``folder_fd``, ``path`` is relative to it."""
    fd = os.open(path, _READ, dir_fd=folder_fd)
    try:
        data = os.read(fd, _CHUNK)
        if len(data) < _CHUNK:
            return data
        parts = [data]
        while data := os.read(fd, 1 << 20):
            parts.append(data)
        return b"".join(parts)
    finally:
        os.close(fd)


def explain(error: OSError, doing: str, path: str) -> SwarmError:
    """The error that people see for one of the operating system's.

    Args:
        error: What the operating system said.
        doing: What was tried: "write", "read".
        path: Of what.
    """
    details = {"cause": str(error), "path": path}
    if error.errno in FULL:
        return ResourceLimitError(
            f"could not {doing} {path}: the disk is full",
            next_step="Free space on the file system of the state directory and try again.",
            details=details,
        )
    if error.errno in _NO_DESCRIPTORS:
        return ResourceLimitError(
            f"could not {doing} {path}: no file descriptor is left",
            next_step="Raise the daemon's limit of open files (ulimit -n, LimitNOFILE).",
            details=details,
        )
    steps = {
        errno.EROFS: "Mount the file system of the state directory writable.",
        errno.EIO: "Look at the kernel's log (dmesg) for errors of the disk.",
        errno.EACCES: "Give the state directory and all in it to the daemon's user.",
        errno.EPERM: "Give the state directory and all in it to the daemon's user.",
    }
    return StateError(
        f"could not {doing} {path}: {error.strerror or error}",
        field="daemon.state_dir",
        next_step=steps.get(
            error.errno or 0, "Look at the state directory and its file system, then try again."
        ),
        details=details,
    )


@contextmanager
def explained(doing: str, path: str) -> Iterator[None]:
    """Turn the operating system's errors of a block into ours."""
    try:
        yield
    except OSError as error:
        raise explain(error, doing, str(error.filename or path)) from error
