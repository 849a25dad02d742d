"""The server: its socket, its connections, its beginning and its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from swarmd.api import handlers as _handlers  # noqa: F401 (it fills the table)
from swarmd.api import listening
from swarmd.api.call import Services, method_table
from swarmd.api.connection import Connection
from swarmd.api.peer import UserNames
from swarmd.api.threads import Threads
from swarmd.ports import Clock, Commands, Query

log = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 1000
CLOSING_SECONDS: Final = 5.0
"""For the sessions of a server that ends."""


class ApiServer:
    """JSON-RPC over a Unix socket, on the loop it is started on.

    Args:
        query: What reads.
        commands: What changes.
        socket_path: Where; at most 107 bytes.
        socket_group: Who may connect beside the daemon's user; empty for nobody.
        version: The daemon's, for ``daemon.version``.
        clock: The time.
        new_id: Makes the correlation id of a request that brings none.
    """

    def __init__(
        self,
        query: Query,
        commands: Commands,
        *,
        socket_path: Path,
        socket_group: str,
        version: str,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._path = socket_path
        self._group = socket_group
        self._services = Services(
            query=query,
            commands=commands,
            version=version,
            clock=clock,
            new_id=new_id,
            users=UserNames(clock),
            uploads=Threads("swarmd-upload", 16),
            closers=Threads("swarmd-closer", 4),
        )
        self._methods = method_table()
        self._connections: set[Connection] = set()
        self._none_left = asyncio.Event()
        self._none_left.set()
        self._server: asyncio.Server | None = None

    @property
    def connections(self) -> frozenset[Connection]:
        """Those that are open."""
        return frozenset(self._connections)

    async def start(self) -> None:
        """Listen and serve.

        Raises:
            InitializationError: It cannot listen there; another daemon may.
        """
        listener = listening.listen(self._path, self._group)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._connect, sock=listener)

    async def close(self, deadline_seconds: float) -> None:
        """Take no more, answer what is in flight, end the streams, and let go.

        Args:
            deadline_seconds: After this, connections that are still busy are cut.
        """
        if self._server is None:
            await self._end_threads()
            return
        self._server.close()
        listening.remove(self._path)
        stops = [asyncio.ensure_future(each.stop()) for each in self._connections]
        try:
            async with asyncio.timeout(deadline_seconds):
                await asyncio.gather(*stops)
                await self._none_left.wait()
        except TimeoutError:
            for connection in self.connections:
                connection.abort()
            await self._none_left.wait()
        self._server = None
        await self._end_threads()

    async def _end_threads(self) -> None:
        """Have every session closed, that no command goes on unheard; what hangs is left."""
        self._services.uploads.end(cancel=True)
        closers = self._services.closers
        closers.end()
        if not closers.join(0) and not await asyncio.to_thread(closers.join, CLOSING_SECONDS):
            log.error("a session does not close")

    def _connect(self) -> Connection:
        return Connection(self._services, self._methods, self._made, self._lost)

    def _made(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._none_left.clear()
        if len(self._connections) > MAX_CONNECTIONS:
            connection.refuse(MAX_CONNECTIONS)

    def _lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._none_left.set()
