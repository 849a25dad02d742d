"""Commands that run in instances through this daemon, and what is shown of every use."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from swarmd.messages.activity import Idle
from swarmd.messages.instance import Instance
from swarmd.ports import Session


class RunningCommands:
    """Who runs what right now: what a health probe runs is not among it. Thread-safe."""

    def __init__(self) -> None:
        self._told: Callable[[Instance], None] = lambda _row: None
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def listen(self, told: Callable[[Instance], None]) -> None:
        """Call this when one has begun and when it has ended; it must not block."""
        self._told = told

    def count(self, instance_id: str) -> int:
        """How many run in it."""
        with self._lock:
            return self._counts[instance_id]

    def run(self, row: Instance, begin: Callable[[], Session]) -> Session:
        """Begin one; it counts until its session is closed. Raises what ``begin`` raises."""
        self._add(row, 1)
        try:
            return _Counted(begin(), lambda: self._add(row, -1))
        except BaseException:
            self._add(row, -1)
            raise

    def _add(self, row: Instance, number: int) -> None:
        with self._lock:
            self._counts[row.id] += number
            if not self._counts[row.id]:
                del self._counts[row.id]
        self._told(row)


class _Counted:
    """A session that tells, once, when it is closed."""

    def __init__(self, session: Session, ended: Callable[[], None]) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._ended: Callable[[], None] | None = ended

    def read(self) -> tuple[str, bytes] | None:
        """The next piece of output; None at the end."""
        return self._session.read()

    def write(self, data: bytes) -> None:
        """Give bytes to standard input."""
        self._session.write(data)

    def close_input(self) -> None:
        """End standard input."""
        self._session.close_input()

    def result(self) -> int | None:
        """The exit code."""
        return self._session.result()

    def close(self) -> None:
        """End it. Idempotent."""
        try:
            self._session.close()
        finally:
            with self._lock:
                ended, self._ended = self._ended, None
            if ended is not None:
                ended()


class Outlooks:
    """The use of each running instance as it is shown: monitors write, anybody reads."""

    def __init__(self) -> None:
        self._shown: dict[str, Idle] = {}

    def put(self, instance_id: str, idle: Idle) -> None:
        """Show this of one."""
        self._shown[instance_id] = idle

    def drop(self, instance_id: str) -> None:
        """Show nothing of one any more."""
        self._shown.pop(instance_id, None)

    def get(self, instance_id: str) -> Idle | None:
        """What is shown of one."""
        return self._shown.get(instance_id)
