"""The one clock thread: tells actors, at their rhythm, that time has passed."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping
from typing import Any

from swarmd.actors.base import Context, Start, SwarmActor, Tick

_CROWDED = 256
"""With so many messages waiting a tick is left out: the next one says the same."""


class Rhythms:
    """Who is ticked how often. Outlives the ticker's actor, so that a restart goes on."""

    def __init__(self, rhythms: Mapping[str, float]) -> None:
        self._changed = threading.Condition()
        self._seconds = dict(rhythms)

    def set(self, target: str, seconds: float | None) -> None:
        """Change one rhythm, in seconds; None ends it."""
        with self._changed:
            if seconds is None:
                self._seconds.pop(target, None)
            else:
                self._seconds[target] = seconds
            self._changed.notify_all()

    def all(self) -> dict[str, float]:
        """All of them."""
        with self._changed:
            return dict(self._seconds)

    def wait(
        self, known: Mapping[str, float], seconds: float | None, ended: threading.Event
    ) -> None:
        """Wait so long, but only while they are as known and ``end`` has not been called."""
        with self._changed:
            self._changed.wait_for(lambda: ended.is_set() or self._seconds != known, seconds)

    def end(self, ended: threading.Event) -> None:
        """Set this and wake who waits with it."""
        with self._changed:
            ended.set()
            self._changed.notify_all()


class Ticker(SwarmActor):
    """Owns a thread that sleeps until the next tick is due."""

    def __init__(self, context: Context, name: str, generation: int, rhythms: Rhythms) -> None:
        super().__init__(context, name, generation)
        self._rhythms = rhythms
        self._ended = threading.Event()

    def handle(self, message: Any) -> None:
        """Begin."""
        if isinstance(message, Start):
            threading.Thread(target=self._run, name="swarmd-clock", daemon=True).start()

    def on_stop(self) -> None:
        """End the thread."""
        self._rhythms.end(self._ended)

    def on_failure(self, *args: Any) -> None:
        """End the thread; the next ticker has its own."""
        self._rhythms.end(self._ended)
        super().on_failure(*args)

    def _run(self) -> None:
        due: dict[str, float] = {}
        while not self._ended.is_set():
            now, rhythms = time.monotonic(), self._rhythms.all()
            due = {each: min(due.get(each, math.inf), now + rhythms[each]) for each in rhythms}
            for target, at in due.items():
                if at <= now:
                    self._tick(target, now)
                    due[target] = now + rhythms[target]
            pause = min(due.values()) - time.monotonic() if due else None
            if pause is None or pause > 0:
                self._rhythms.wait(rhythms, pause, self._ended)

    def _tick(self, target: str, now: float) -> None:
        directory = self.context.directory
        if directory.get(target) is not None and directory.depth(target) < _CROWDED:
            directory.tell(target, Tick(now))
