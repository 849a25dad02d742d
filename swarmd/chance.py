"""Where ids, passwords and marks come from; the pure core is handed what is made here."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable
from pathlib import Path

from ulid import ULID


def new_id() -> str:
    """A ULID in lower case: sorted by time, safe in labels and file names."""
    return str(ULID()).lower()


def new_password() -> str:
    """Eighteen characters, 104 bits."""
    return secrets.token_urlsafe(13)


def boot_id() -> str:
    """The id of this boot of the kernel: monotonic seconds of another one mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def marks() -> Callable[[], str]:
    """Makes marks for requests: one ULID for this life of the daemon, then a number.

    Every read gets one too: at a hundredth of what a fresh ULID costs.
    """
    life, numbers = new_id(), itertools.count(1)
    return lambda: f"{life}-{next(numbers):x}"
