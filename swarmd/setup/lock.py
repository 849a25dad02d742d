"""One installation at a time per SERVER directory."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from swarmd.errors import InitializationError

POLL_SECONDS = 0.1


@contextmanager
def installation_lock(
    file: Path, *, wait_seconds: float, on_wait: Callable[[], None]
) -> Iterator[int]:
    """Hold the lock; yields its descriptor.

    A child that inherits the descriptor holds the lock too: after a kill -9 of the installer the
    next one waits for a package manager that still runs, and does not write beside it.

    Args:
        file: The lock file; it stays.
        wait_seconds: How long to wait for another holder.
        on_wait: Called once when there is one.

    Raises:
        InitializationError: The other one did not end in time.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(descriptor, file, wait_seconds, on_wait)
        yield descriptor
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, file: Path, wait_seconds: float, on_wait: Callable[[], None]) -> None:
    if _try_lock(descriptor):
        return
    on_wait()
    deadline = time.monotonic() + wait_seconds
    while not _try_lock(descriptor):
        if time.monotonic() >= deadline:
            raise InitializationError(
                f"Another installation of code-server is at work in {file.parent}.",
                next_step="Wait until it has ended, then run the same command again.",
            )
        time.sleep(POLL_SECONDS)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
