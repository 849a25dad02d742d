"""What the operating system refuses, in this project's words."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from swarmd.errors import ProviderError, ResourceLimitError, SwarmError

_NO_ROOM = {
    errno.ENOSPC: ("the disk is full", "Free space on the disk, then repeat this."),
    errno.EDQUOT: ("the disk quota is used up", "Free space or raise the quota, then repeat this."),
    errno.EMFILE: ("the daemon has no file descriptor left", "Raise its limit of open files."),
    errno.ENFILE: ("the system has no file descriptor left", "Raise fs.file-max."),
    errno.EAGAIN: ("no further process can be started", "Raise the limit of processes."),
    errno.ENOMEM: ("the memory is used up", "Free memory, then repeat this."),
    errno.EFBIG: ("a file would be larger than allowed", "Raise the limit of the file size."),
}
_NEXT_STEPS = {
    errno.EACCES: "Let the daemon's user read and write there.",
    errno.EPERM: "Let the daemon's user read and write there; see that no file is immutable.",
    errno.EROFS: "Mount the filesystem writable, or give daemon.data_dir another place.",
    errno.EIO: "Look at the disk's health (dmesg).",
}


def translate(error: OSError, doing: str, *, field: str | None = None) -> SwarmError:
    """The error that this one stands for.

    Args:
        error: What the operating system said.
        doing: What was being done, as in "preparing /srv/data".
        field: The input to blame, if one is.
    """
    details = {"cause": str(error)}
    if error.errno in _NO_ROOM:
        what, next_step = _NO_ROOM[error.errno]
        return ResourceLimitError(
            f"{what}: {doing} failed", field=field, next_step=next_step, details=details
        )
    next_step = _NEXT_STEPS.get(error.errno or 0, "Look at the cause, then repeat this.")
    return ProviderError(
        f"{doing} failed: {error.strerror or error}",
        field=field,
        next_step=next_step,
        details=details,
    )


@contextmanager
def os_faults(doing: str, *, field: str | None = None) -> Iterator[None]:
    """Turn an ``OSError`` inside into a ``SwarmError`` that says what was being done."""
    try:
        yield
    except OSError as error:
        raise translate(error, doing, field=field) from error
