"""A provider that ends the process at a chosen call: what the restart finds is the test.

``CrashingProvider(provider, at=5)`` ends it before the third call is made (calls count from 1;
at 2n-1 before call n, at 2n after it has returned and before its result is known).
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from typing import Any

from swarmd.ports import Provider

CALLS = (
    "create",
    "start",
    "stop",
    "update",
    "trash",
    "restore",
    "purge",
    "import_data",
    "export",
    "discard",
)
"""What counts: the calls that change something, or stream. Reads happen at any time."""


class CrashingProvider:
    """Wraps a provider; everything else goes to it unchanged.

    Args:
        provider: The real one.
        at: The point at which the process ends; 0: never.
        end: How it ends.
    """

    def __init__(
        self, provider: Provider, at: int, end: Callable[[], object] = lambda: os._exit(9)
    ) -> None:
        self._provider = provider
        self._at = at
        self._end = end
        self._points = itertools.count(1)
        self._lock = threading.Lock()
        self.passed = 0
        """How many points were passed: a run with ``at=0`` tells how many there are."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._provider, name)
        if name not in CALLS:
            return found

        def counted(*args: Any, **kwargs: Any) -> Any:
            self._point()
            result = found(*args, **kwargs)
            self._point()
            return result

        return counted

    def _point(self) -> None:
        with self._lock:
            self.passed = next(self._points)
        if self.passed == self._at:
            self._end()
