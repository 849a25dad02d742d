"""Wrappers over the Provider and Store ports that end the process at the N-th call.

A call of a provider has two points, before and after it; a change handed to the store has two
as well: before it is queued, and when it is on disk but nobody has been told.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from swarmd.ports import Batch, Provider, Store
from tests.store.crash import CrashingFiles

EXIT = 9
_CALLS = frozenset(
    {"validate", "create", "start", "stop", "update", "trash", "restore", "purge", "import_data"}
)
_NEVER = 1 << 60


class Fuse:
    """Counts points once it is armed; ends the process at one of them, as kill -9 would."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.count = 0
        self.armed = False
        self._lock = threading.Lock()

    def point(self) -> None:
        """One point."""
        with self._lock:
            if self.armed:
                self.count += 1
                if self.count == self.at:
                    os._exit(EXIT)


class CrashingProvider:
    """A provider whose calls are points."""

    def __init__(self, inner: Provider, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in _CALLS:
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self._fuse.point()
            result = found(*arguments, **named)
            self._fuse.point()
            return result

        return call


class CrashingStore:
    """A store whose changes are points."""

    def __init__(self, inner: Store, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def submit(self, batch: Batch, done: Callable[[Exception | None], None]) -> None:
        def told(error: Exception | None) -> None:
            self._fuse.point()
            done(error)

        self._fuse.point()
        self._inner.submit(batch, told)


class FusedFiles(CrashingFiles):
    """A disk whose every change is a point."""

    def __init__(self, fuse: Fuse) -> None:
        super().__init__(_NEVER)
        self._fuse = fuse

    def step(self, name: str, path: str = "") -> None:
        self._fuse.point()
