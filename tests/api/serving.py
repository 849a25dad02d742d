"""A real server over the fake, on a loop of the test or in a thread of its own."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarmd.api import ApiServer
from swarmd.api.connection import Connection
from swarmd.api.threads import Threads
from tests.api.fakes import FakeDaemon, TickClock


def make_server(daemon: FakeDaemon, path: Path, group: str = "") -> ApiServer:
    """A server that is not started."""
    numbers = itertools.count(1)
    return ApiServer(
        daemon,
        daemon,
        socket_path=path,
        socket_group=group,
        version="1.2.3",
        clock=TickClock(),
        new_id=lambda: f"made-{next(numbers)}",
    )


def unsent(connection: Connection) -> int:
    """Bytes that wait for a client, and bytes of it that wait to be handled."""
    return connection._transport.get_write_buffer_size() + len(connection._framer._buffer)


class Raw:
    """A client that speaks lines: what the client library would never send."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *lines: bytes) -> None:
        self.writer.write(b"".join(line + b"\n" for line in lines))
        await self.writer.drain()

    async def read(self) -> Any:
        line = await asyncio.wait_for(self.reader.readline(), 10)
        assert line.endswith(b"\n"), f"the connection ended after {line!r}"
        return json.loads(line)

    async def ask(self, method: str, params: object = None, **members: Any) -> Any:
        """The answer to one request; notifications before it are kept in ``told``."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}, **members}
        await self.send(json.dumps(request).encode())
        self.told = []
        while "method" in (answer := await self.read()):
            self.told.append(answer)
        return answer

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


@dataclass
class Running:
    """A server on the test's own loop."""

    daemon: FakeDaemon
    path: Path
    server: ApiServer

    @asynccontextmanager
    async def raw(self) -> AsyncIterator[Raw]:
        client = Raw(*await asyncio.open_unix_connection(str(self.path), limit=8 << 20))
        try:
            yield client
        finally:
            await client.close()


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Running]:
    """Started, and closed at the end."""
    daemon = FakeDaemon()
    server = make_server(daemon, folder / "s.sock")
    await server.start()
    try:
        yield Running(daemon, folder / "s.sock", server)
    finally:
        await server.close(5)


def session(folder: Path, body: Callable[[Running, Raw], Awaitable[None]]) -> None:
    """Run a test's body with a server and one raw connection."""

    async def main() -> None:
        async with running(folder) as here, here.raw() as client:
            await body(here, client)

    asyncio.run(main())


_waiting = Threads("waiting", 1)
"""Not the loop's own threads: readers that a test blocks may have them all."""


async def until(predicate: Callable[[], object], timeout: float = 10.0) -> None:
    """Let the loop turn until a fact is there; what other threads do included."""
    async with asyncio.timeout(timeout):
        while not predicate():
            await asyncio.wrap_future(_waiting.submit(lambda: threading.Event().wait(0.005)))


@dataclass
class InThread:
    """A server on a loop of its own, for blocking clients."""

    daemon: FakeDaemon
    path: Path
    loop: asyncio.AbstractEventLoop

    def on_loop(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Call something there and wait for it: ``publish``, ``let_go``."""

        async def call() -> Any:
            return function(*args, **named)

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(10)


@contextmanager
def served(path: Path, daemon: FakeDaemon | None = None) -> Iterator[InThread]:
    """A server in a thread; it is closed, and the thread ended, at the end."""
    fake = daemon or FakeDaemon()
    started = threading.Event()
    found: dict[str, Any] = {}

    async def serve() -> None:
        server = make_server(fake, path)
        try:
            await server.start()
            found["stop"] = asyncio.Event()
            found["loop"] = asyncio.get_running_loop()
        finally:
            started.set()
        await found["stop"].wait()
        await server.close(5)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="served")
    thread.start()
    started.wait(10)
    assert "loop" in found, "the server did not start"
    try:
        yield InThread(fake, path, found["loop"])
    finally:
        found["loop"].call_soon_threadsafe(found["stop"].set)
        thread.join(15)
        assert not thread.is_alive()
