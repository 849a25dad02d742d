"""The progress line: one line on a terminal that is overwritten, and nothing anywhere else."""

from __future__ import annotations

import os
import sys
import threading

from swarmd.cli.grid import cut
from swarmd.cli.text import safe


class ProgressLine:
    """Tells on stderr what is being done, as long as it is.

    Args:
        quiet: Say nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._shown = False
        self._lock = threading.Lock()

    @property
    def visible(self) -> bool:
        """Whether anyone could see it."""
        return not self.quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def show(self, text: str, fraction: float | None = None) -> None:
        """Replace the line. ``fraction`` is 0 to 1, or unknown."""
        if not self.visible:
            return
        share = "" if fraction is None else f" {fraction:4.0%}"
        with self._lock:
            columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80
            sys.stderr.write(f"\r\x1b[K{cut(safe(text), columns - 1 - len(share))}{share}")
            sys.stderr.flush()
            self._shown = True

    def clear(self) -> None:
        """Take the line away."""
        with self._lock:
            if self._shown:
                sys.stderr.write("\r\x1b[K")
                sys.stderr.flush()
                self._shown = False
