"""The entry point ``swarmctl``: what concerns the process. The commands begin in ``root``."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import sys
from typing import NoReturn

from swarmd.cli import interrupts

_GARBAGE = 50_000
"""New objects before Python looks for cycles: loading modules makes many and leaves none behind."""


def main() -> NoReturn:
    """Run the command that was asked for, and end with its exit code."""
    gc.set_threshold(_GARBAGE)
    interrupts.listen()
    from swarmd.cli.root import root

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name in any script, any locale
    try:
        root.main()
    except SystemExit as end:
        _leave(end)


def _leave(end: SystemExit) -> NoReturn:
    """End at once: what is open has been closed, and taking modules apart takes 10 ms.

    It also ends threads that still wait for the daemon after Ctrl-C, which could otherwise hold
    what the interpreter wants to close.

    Raises:
        SystemExit: The code is no number: Python knows what to say then.
    """
    code = 0 if end.code is None else end.code
    if not isinstance(code, int):
        raise end
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # full, closed, none at all
            stream.flush()
    os._exit(code)
