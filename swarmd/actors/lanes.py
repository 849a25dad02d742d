"""A bounded pool of threads in which work on one key keeps its order.

Different keys run in parallel, up to the limit. A task that does not come back can be
abandoned: its key goes on in another thread, and its own thread ends when it returns. Lanes
outlive the actor that uses them, so that a restarted one cannot run two steps of one
instance at a time.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from swarmd.errors import ResourceLimitError, Unavailable

log = logging.getLogger("swarmd.actors")

_MOST_ABANDONED = 64


@dataclass(slots=True)
class _Item:
    key: str
    task: Callable[[], None]
    cancelled: threading.Event
    abandoned: bool = False


@dataclass(slots=True)
class _Lane:
    waiting: deque[_Item] = field(default_factory=deque)
    running: _Item | None = None


class Lanes:
    """Threads for one provider's blocking calls.

    Args:
        name: Of the threads.
        limit: How many run at once.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._wake = threading.Condition()
        self._lanes: dict[str, _Lane] = {}
        self._ready: deque[str] = deque()
        self._threads = 0
        self._idle = 0
        self._abandoned = 0
        self._closed = False

    def submit(self, key: str, task: Callable[[], None], cancelled: threading.Event) -> None:
        """Queue a task behind those of its key.

        Raises:
            ResourceLimitError: No thread can be started, and none is there to do it later.
            Unavailable: The lanes are closed.
        """
        with self._wake:
            if self._closed:
                raise Unavailable(f"{self._name} takes no more work: it is being stopped")
            lane = self._lanes.setdefault(key, _Lane())
            lane.waiting.append(_Item(key, task, cancelled))
            if lane.running is None and len(lane.waiting) == 1:
                self._ready.append(key)
            try:
                self._staff()
            except ResourceLimitError:
                lane.waiting.pop()
                self._forget_if_empty(key, lane)
                raise
            self._wake.notify()

    @property
    def closed(self) -> bool:
        """Whether no more work is taken; what was cancelled by that has not failed."""
        return self._closed

    def busy(self, key: str) -> bool:
        """Whether a task of this key runs or waits."""
        with self._wake:
            return key in self._lanes

    def cancel(self, key: str) -> None:
        """Tell the running task of a key, and those that wait, to end."""
        with self._wake:
            lane = self._lanes.get(key)
            if lane is None:
                return
            for item in (lane.running, *lane.waiting):
                if item is not None:
                    item.cancelled.set()

    def abandon(self, key: str) -> None:
        """Go on without the running task of a key."""
        with self._wake:
            lane = self._lanes.get(key)
            if lane is None or lane.running is None:
                return
            lane.running.cancelled.set()
            lane.running.abandoned = True
            lane.running = None
            self._abandoned += 1
            if lane.waiting:
                self._ready.append(key)
            self._forget_if_empty(key, lane)
            self._staff()
            self._wake.notify()

    def close(self, timeout: float) -> bool:
        """Cancel everything and wait at most so many seconds; whether all threads ended."""
        with self._wake:
            self._closed = True
            for lane in self._lanes.values():
                for item in (lane.running, *lane.waiting):
                    if item is not None:
                        item.cancelled.set()
                lane.waiting.clear()
            self._ready.clear()
            self._wake.notify_all()
            return self._wake.wait_for(lambda: self._threads == 0, timeout)

    def _staff(self) -> None:
        """Have a thread for each ready key, within the limit."""
        room = self._limit + min(self._abandoned, _MOST_ABANDONED)
        while self._idle < len(self._ready) and self._threads < room and not self._closed:
            thread = threading.Thread(target=self._work, name=f"swarmd-{self._name}", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                if self._threads:
                    log.warning("no further thread for %s: %s", self._name, error)
                    return
                raise ResourceLimitError(
                    f"no thread can be started for {self._name}",
                    next_step="Raise the limit on processes (ulimit -u, TasksMax).",
                    details={"cause": str(error)},
                ) from error
            self._threads += 1
            self._idle += 1

    def _work(self) -> None:
        with self._wake:
            while True:
                self._wake.wait_for(lambda: self._ready or self._closed)
                if self._closed and not self._ready:
                    break
                item = self._take()
                self._wake.release()
                try:
                    self._run(item)
                finally:
                    self._wake.acquire()
                if self._finish(item):
                    break
            self._threads -= 1
            self._wake.notify_all()

    def _take(self) -> _Item:
        key = self._ready.popleft()
        lane = self._lanes[key]
        lane.running = lane.waiting.popleft()
        self._idle -= 1
        return lane.running

    def _run(self, item: _Item) -> None:
        try:
            item.task()
        except BaseException:
            # A task tells its own outcome; what escapes it, a SystemExit too, is a fault of
            # ours, and the lane must go on all the same.
            log.exception("a task of %s failed", self._name)

    def _finish(self, item: _Item) -> bool:
        """Free the lane; True if this thread was given up meanwhile and has to end."""
        if item.abandoned:
            self._abandoned -= 1
            return True
        lane = self._lanes[item.key]
        lane.running = None
        if lane.waiting:
            self._ready.append(item.key)
            self._wake.notify()
        self._forget_if_empty(item.key, lane)
        self._idle += 1
        return False

    def _forget_if_empty(self, key: str, lane: _Lane) -> None:
        if lane.running is None and not lane.waiting:
            self._lanes.pop(key, None)
            if key in self._ready:
                self._ready.remove(key)
