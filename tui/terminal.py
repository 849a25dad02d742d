"""Whether there still is a terminal: one can go without the signal that should tell of it."""

from __future__ import annotations

import os
import select
import sys


def is_gone() -> bool:
    """Whether standard input was a terminal that has been hung up (poll(2), ``POLLHUP``).

    Textual reads on at its end without a pause: a core of its own, for nobody. A pipe is
    another matter, it ends when whoever serves the app in a browser ends it.
    """
    if sys.__stdin__ is None:
        return False
    poller = select.poll()
    poller.register(sys.__stdin__.fileno(), 0)  # a hang-up is told whatever is asked for
    return any(event & select.POLLHUP for _, event in poller.poll(0))


def is_one() -> bool:
    """Whether standard input is a terminal now."""
    return sys.__stdin__ is not None and os.isatty(sys.__stdin__.fileno())
