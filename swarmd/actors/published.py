"""The photograph that everyone reads: replaced by the registry, never changed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from swarmd.core.tables import Tables
from swarmd.messages.events import Event


@dataclass(frozen=True, slots=True)
class News:
    """What one publication brought. ``restarted``: by a registry that began anew."""

    tables: Tables
    events: tuple[Event, ...]
    operations: tuple[str, ...]
    restarted: bool = False


class Published:
    """The newest durable tables, and who wants to hear of newer ones. Thread-safe."""

    def __init__(self, tables: Tables, journal: str) -> None:
        self.tables = tables
        self.journal = journal
        self.write_error: str | None = None
        self._lock = threading.Lock()
        self._listeners: tuple[Callable[[News], None], ...] = ()

    def listen(self, listener: Callable[[News], None]) -> None:
        """Call this on the registry's thread at every publication; it must not block."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def publish(self, news: News) -> None:
        """Show the new tables, then tell the listeners (the registry alone calls this)."""
        self.tables = news.tables
        for listener in self._listeners:
            listener(news)
