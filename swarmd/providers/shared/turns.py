"""One call at a time for one instance, whatever thread it comes from."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from swarmd.ports import Call


@dataclass(slots=True)
class _Turn:
    """One instance's lock, and how many hold it or wait for it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    callers: int = 0


class Turns:
    """Locks by instance, kept only while someone holds or wants them."""

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def of(self, instance_id: str, call: Call) -> Iterator[None]:
        """One call at a time for one instance: a late one and its successor do not mix.

        Raises:
            DeadlineExceeded, OperationCancelled: While another call had it.
        """
        with self._lock:
            turn = self._turns.setdefault(instance_id, _Turn())
            turn.callers += 1
        try:
            while not turn.lock.acquire(timeout=min(0.1, call.remaining)):
                call.check()
            try:
                yield
            finally:
                turn.lock.release()
        finally:
            with self._lock:  # a lock that others wait for must stay the one of all
                turn.callers -= 1
                if not turn.callers:
                    del self._turns[instance_id]

    def callers(self, instance_id: str) -> int:
        """How many calls have an instance's turn or wait for it."""
        with self._lock:
            turn = self._turns.get(instance_id)
            return turn.callers if turn is not None else 0
