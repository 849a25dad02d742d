"""Threads for blocking work that the socket's loop waits for.

Daemon threads, unlike those of ``concurrent.futures``: a call that never comes back (a dead
mount) must not keep the process from ending.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from swarmd.actors.lanes import Lanes
from swarmd.errors import DeadlineExceeded, InternalError, ResourceLimitError, SwarmError

Result = TypeVar("Result")


class Pool:
    """At most ``limit`` calls at once; more wait their turn.

    Args:
        name: Of the threads.
        limit: How many run at once.
    """

    def __init__(self, name: str, limit: int) -> None:
        self._lanes = Lanes(name, limit)
        self._limit = limit
        self._numbers = itertools.count()
        self._under_way = 0

    def check_room(self, what: str) -> None:
        """Refuse to begin what would only wait. Raises ``ResourceLimitError``."""
        if self._under_way >= self._limit:
            raise ResourceLimitError(
                f"{self._limit} {what} are open, the most at once",
                next_step="Close some of them, then open it again.",
                details={"limit": self._limit},
            )

    async def run(self, function: Callable[[], Result], seconds: float | None = None) -> Result:
        """Run it in a thread; what it returns or raises.

        Args:
            function: Blocking work.
            seconds: How long to wait for it.

        Raises:
            DeadlineExceeded: It did not end in time; it may still go on.
            ResourceLimitError: No thread can be started.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def told(value: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)

        def task() -> None:
            value, error = _guarded(function)
            try:
                loop.call_soon_threadsafe(told, value, error)
            except RuntimeError:
                # The loop has closed: the daemon is ending and nobody waits any more.
                return

        self._under_way += 1
        try:
            self._lanes.submit(str(next(self._numbers)), task, threading.Event())
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            raise DeadlineExceeded(
                f"no answer within {seconds:g} s",
                next_step="Look at what hangs: swarmctl doctor, swarmctl providers.",
            ) from None
        finally:
            self._under_way -= 1

    def close(self) -> None:
        """Begin nothing new. What hangs is left behind."""
        self._lanes.close(0.0)


def _guarded(function: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """A provider may raise anything; what is no ``SwarmError`` is told as a fault of ours."""
    try:
        return function(), None
    except SwarmError as error:
        return None, error
    except Exception as error:  # noqa: BLE001  # the border of whatever is run here
        cause = f"{type(error).__name__}: {error}"
        return None, InternalError(f"a call failed: {cause}", details={"cause": cause})
