"""Ctrl-C that is not lost.

Python raises ``KeyboardInterrupt`` wherever the main thread happens to be. If that is in a
destructor or in the callback of a weak reference, of which loading modules has many, it is
printed and forgotten, and the command would wait on. So it is raised again until it is heard.
"""

from __future__ import annotations

import signal
from types import FrameType

HEARD_SECONDS = 0.5
"""The most that one wait of the main thread may take. Python sees to a signal before and after a
system call: one that comes in the moment between is not heard before the call returns."""

_AGAIN_SECONDS = 0.5


def listen() -> None:
    """Have Ctrl-C raised until ``heard``; not where somebody had it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
        signal.signal(signal.SIGALRM, _interrupt)


def heard() -> None:
    """It has come to where it ends the command."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
    raise KeyboardInterrupt
