"""Keeping the logs within their size, a little at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator

from swarmd.errors import SwarmError
from swarmd.providers.local.context import Context
from swarmd.providers.local.data import logs
from swarmd.providers.local.record import LocalRecord


class LogKeeper:
    """Rotates the logs, each in its turn.

    Args:
        context: The provider's.
        budget: Seconds that one round may take; the next goes on where it ended.
    """

    def __init__(self, context: Context, budget: float) -> None:
        self._context = context
        self._budget = budget
        self._last = ""
        self.problems: dict[str, str] = {}

    def run(self) -> None:
        """One round. A log that cannot be rotated is noted, and does not hold up the others."""
        until = time.monotonic() + self._budget
        for record in self._in_turn():
            if time.monotonic() >= until:
                return
            self._last = record.id
            try:
                self._keep(record)
                self.problems.pop(record.id, None)
            except SwarmError as error:
                self.problems[record.id] = error.message
            except OSError as error:
                self.problems[record.id] = str(error)

    def _in_turn(self) -> Iterator[LocalRecord]:
        records = self._context.index.all()
        for gone in self.problems.keys() - records.keys():
            del self.problems[gone]
        order = sorted(records)
        behind = next((at for at, key in enumerate(order) if key > self._last), 0)
        for key in (*order[behind:], *order[:behind]):
            yield records[key]

    def _keep(self, record: LocalRecord) -> None:
        """Also of one that has ended: what it wrote last was never looked at."""
        context = self._context
        child = context.children.get(record.id)
        if record.process is not None and child is not None:
            child.poll()
        dirs, options = context.layout.instance(record.id), context.options
        try:
            held = logs.log_path(dirs).lstat().st_blocks * 512
        except FileNotFoundError:
            return
        if record.process is not None or held > options.log_max_size:
            logs.rotate(dirs, options.log_max_size, options.log_files)
