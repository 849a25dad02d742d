"""Keeping the daemon small over months: what the C library's allocator is told.

Many short threads make glibc open an arena for each and keep what they leave behind: the
resident memory then grows by a tenth over thousands of operations although nothing is held
(mallopt(3), malloc_trim(3)). And once a large block was freed, others up to its size come from
the heap, where the small ones that follow keep their room from being given back: Python's table
of interned strings, of a megabyte where many ids come and go, is made anew now and then.
Other C libraries have neither call and are left alone.
"""

from __future__ import annotations

import ctypes
import gc

_M_MMAP_THRESHOLD = -3
_LARGE = 512 * 1024
"""Bytes from which on a block is the system's at once when it is freed, whatever was before."""
_M_ARENA_MAX = -8
_ARENAS = 2


def settle_allocator() -> None:
    """At a start, before threads: a few arenas for all of them, and large blocks in none."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _LARGE)


def give_back() -> None:
    """Now and then: return to the system what is free. Takes milliseconds.

    Rings of what nobody holds any more come first: a failed call's frames hold whole replies, and
    without hundreds of new objects Python does not look for them.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
