"""Writing a small file so that it is there, whole, or not at all (DESIGN 5)."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def write_durably(file: Path, data: bytes, *, sync: bool = True) -> None:
    """Replace a file: a temporary one in the same folder, fsync, rename, fsync the folder.

    Args:
        file: In a folder that only the daemon can write to.
        data: Its whole new content; the file's mode is 0600.
        sync: False where a power failure may cost this change (never its wholeness).

    Raises:
        OSError: The disk is full or the folder cannot be written; the old file stands.
    """
    # A name per thread: two writers of one file must not write into one temporary one.
    temporary = file.with_name(f".{file.name}.{threading.get_native_id()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123 - a descriptor, no path
            stream.write(data)
            stream.flush()
            if sync:
                os.fsync(stream.fileno())
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    if sync:
        sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
