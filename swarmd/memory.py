"""Keeping the daemon small over months: what the C library's allocator is told.

Many short threads make glibc open an arena for each and keep what they leave behind: the
resident memory then grows by a tenth over thousands of operations although nothing is held
(mallopt(3), malloc_trim(3)). Other C libraries have neither call and are left alone.
"""

from __future__ import annotations

import ctypes
import gc

_M_ARENA_MAX = -8
_ARENAS = 2
"""With one the threads of many starts keep the socket's waiting: its p99 beside fifty crash loops
was 3.0 of the echo's, and is 2.1 with two (``make bench``)."""


def limit_arenas() -> None:
    """At a start, before threads: let all threads share a few arenas."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Now and then: return to the system what is free. Takes milliseconds.

    Rings of what nobody holds any more come first: a failed call's frames hold whole replies, and
    without hundreds of new objects Python does not look for them.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
