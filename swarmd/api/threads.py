"""Threads for what blocks and what the loop hands out.

Those of ``concurrent.futures`` are waited for when the process ends: a call that never comes
back would keep it. These are daemon threads; who ends says how long it waits for them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """At most so many at once; more work waits its turn.

    Args:
        name: Of the threads.
        limit: How many there are at most.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._threads = 0
        self._idle = 0
        self._ended = False

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Have it done by a thread.

        Raises:
            RuntimeError: ``end`` was called, or no thread can be started.
        """
        future: Future[T] = Future()
        with self._changed:
            if self._ended:
                raise RuntimeError(f"{self._name} has ended")
            if len(self._waiting) >= self._idle and self._threads < self._limit:
                self._start_thread()
            self._waiting.append((future, function))
            self._changed.notify()
        return future

    def _start_thread(self) -> None:
        try:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
        except RuntimeError:
            if not self._threads:
                raise
        else:
            self._threads += 1

    def end(self, *, cancel: bool = False) -> None:
        """Take no more. What waits is done, or cancelled. Idempotent."""
        with self._changed:
            self._ended = True
            dropped = [future for future, _ in self._waiting] if cancel else []
            if cancel:
                self._waiting.clear()
            self._changed.notify_all()
        for future in dropped:
            future.cancel()

    def join(self, seconds: float) -> bool:
        """Whether, after ``end``, all is done within this time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._threads == 0, seconds)

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            future, function = taken
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001  # who waits is told
                future.set_exception(error)
            del taken, future, function  # an idle thread keeps nothing alive

    def _take(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._waiting or self._ended)
            self._idle -= 1
            if self._waiting:
                return self._waiting.popleft()
            self._threads -= 1
            self._changed.notify_all()
            return None
