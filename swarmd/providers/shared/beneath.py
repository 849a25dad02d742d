"""Opening a path below a folder so that no link leads out of it.

``openat2`` (Linux 5.6) does it in the kernel. Elsewhere each component is opened by itself with
``O_NOFOLLOW``: stricter, for a link that stays inside is refused too, but never looser.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import stat
import struct
from pathlib import Path

_OPENAT2 = 437  # the same number on every architecture
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08
_RETRIES = 16  # the kernel asks for a retry while someone renames along the path
Name = str | bytes


def open_beneath(folder: int, path: Name, flags: int, *, links: bool = False) -> int:
    """Open an existing relative path below a folder.

    Args:
        folder: Descriptor of the folder.
        path: Relative; ``.`` is the folder itself.
        flags: As for ``os.open``; ``O_CLOEXEC`` is added, nothing is ever created.
        links: Follow links on the way as long as they stay below the folder.

    Raises:
        OSError: ``EXDEV`` or ``ELOOP`` when a link leads out or is not to be followed.
    """
    flags |= os.O_CLOEXEC
    if not links:
        flags |= os.O_NOFOLLOW
    raw = os.fsencode(path) or b"."
    if _has_openat2():
        return _openat2(folder, raw, flags, _BENEATH | (_NO_MAGICLINKS if links else _NO_SYMLINKS))
    return _walk(folder, raw, flags)


def real_path(descriptor: int) -> Path:
    """Where an open file or folder is, free of links."""
    return Path(f"/proc/self/fd/{descriptor}").readlink()


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@functools.cache
def _has_openat2() -> bool:
    folder = os.open("/", os.O_PATH | os.O_CLOEXEC)
    try:
        os.close(_openat2(folder, b".", os.O_PATH | os.O_CLOEXEC, _BENEATH))
    except OSError:  # an older kernel, or a sandbox that filters the call
        return False
    finally:
        os.close(folder)
    return True


def _openat2(folder: int, path: bytes, flags: int, resolve: int) -> int:
    how = struct.pack("=QQQ", flags, 0, resolve)
    for _ in range(_RETRIES):
        result = _libc().syscall(_OPENAT2, folder, path, how, len(how))
        if result >= 0:
            return int(result)
        code = ctypes.get_errno()
        if code != errno.EAGAIN:
            break
    raise OSError(code, os.strerror(code), os.fsdecode(path))


def _walk(folder: int, path: bytes, flags: int) -> int:
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    if path.startswith(b"/") or b".." in parts:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), os.fsdecode(path))
    step = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    here = os.open(".", step, dir_fd=folder)
    try:
        for part in parts[:-1]:
            here, before = _step(here, part, step), here
            os.close(before)
        return _step(here, parts[-1] if parts else b".", flags | os.O_NOFOLLOW)
    finally:
        os.close(here)


def _step(folder: int, name: bytes, flags: int) -> int:
    try:
        return os.open(name, flags, dir_fd=folder)
    except NotADirectoryError:  # said of links too: tell them apart
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(name)) from None
        raise
