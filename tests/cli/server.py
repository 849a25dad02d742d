"""A real server over an in-memory daemon, in a thread of its own."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from swarmd.api.server import ApiServer
from tests.api.fakes import FakeDaemon, TickClock

T = TypeVar("T")


class Served:
    """The daemon behind the socket, and its loop."""

    def __init__(self, daemon: FakeDaemon, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.daemon = daemon
        self.path = path
        self.loop = loop

    def on_loop(self, function: Callable[..., T], *args: Any, **named: Any) -> T:
        """Run something on the daemon's loop and wait for it."""

        async def run() -> T:
            return function(*args, **named)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)


@contextmanager
def serving(path: Path) -> Iterator[Served]:
    """Serve until the end of the block."""
    ready: threading.Event = threading.Event()
    kept: list[Any] = []

    async def main() -> None:
        daemon, ids = FakeDaemon(), itertools.count()
        server = ApiServer(
            daemon,
            daemon,
            socket_path=path,
            socket_group="",
            version="0.1.0",
            clock=TickClock(),
            new_id=lambda: f"mark{next(ids)}",
        )
        await server.start()
        stop = asyncio.Event()
        kept.extend((Served(daemon, path, asyncio.get_running_loop()), stop))
        ready.set()
        await stop.wait()
        await server.close(5)

    thread = threading.Thread(target=asyncio.run, args=(main(),), name="swarmd-test-server")
    thread.start()
    try:
        assert ready.wait(10)
        yield kept[0]
    finally:
        kept[0].loop.call_soon_threadsafe(kept[1].set)
        thread.join(20)
        assert not thread.is_alive()
