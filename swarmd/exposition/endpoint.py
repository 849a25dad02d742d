"""``GET /metrics`` over HTTP, on the daemon's own loop: no thread, and little of HTTP.

One request for each connection, a deadline for it, and few connections at once: what stays open
or drips holds nobody up, and nothing is left at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from swarmd.core.telemetry.listening import ListenAddress, parse_listen
from swarmd.errors import SwarmError

log = logging.getLogger("swarmd.exposition")

Render = Callable[[str], Awaitable[tuple[bytes, str]]]
"""From the ``Accept`` header to a text and its content type."""

_AGAIN_SECONDS = 5.0
_REQUEST_SECONDS = 10.0
_MOST_HEADERS = 16 << 10
_MOST_CONNECTIONS = 16
_TEXT = "text/plain; charset=utf-8"


class Endpoint:
    """Listens where the configuration says. All methods run on the loop.

    Args:
        render: Makes the text, off the loop.
    """

    def __init__(self, render: Render) -> None:
        self._render = render
        self._wanted = ""
        self._again = 0.0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.problem: str | None = None
        """Why nobody can fetch figures although they are to."""

    async def follow(self, wanted: str, now: float) -> None:
        """Listen there and nowhere else; called over and over.

        What does not work is told once and tried again every few seconds.

        Args:
            wanted: An address of ``telemetry.listen``; empty: nowhere.
            now: Monotonic seconds.
        """
        if wanted != self._wanted:
            await self.close()
            self._wanted, self._again = wanted, now
        if wanted and self._server is None and now >= self._again:
            self._again = now + _AGAIN_SECONDS
            await self._listen(parse_listen(wanted))

    async def _listen(self, address: ListenAddress) -> None:
        try:
            self._server = await asyncio.start_server(
                self._accept, address.host, address.port, limit=_MOST_HEADERS
            )
        except OSError as error:
            problem = f"cannot listen on {address}: {error.strerror or error}"
            if problem != self.problem:
                log.error("figures cannot be fetched: %s", problem)  # noqa: TRY400
            self.problem = problem
            return
        self.problem = None
        log.info("figures are fetched at http://%s/metrics", address)

    async def close(self) -> None:
        """Listen no longer; who is being answered is cut off. Idempotent."""
        server, self._server = self._server, None
        self._wanted, self.problem = "", None
        if server is not None:
            server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= _MOST_CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Who hangs up, drips or talks without end gets no answer: there is nobody to tell.
        gone = (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)
        try:
            with contextlib.suppress(*gone):
                async with asyncio.timeout(_REQUEST_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(await self._answer(head))
                    await writer.drain()
        finally:
            writer.close()

    async def _answer(self, head: bytes) -> bytes:
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return _response(HTTPStatus.BAD_REQUEST, b"this is no request of HTTP/1\n")
        method, path, _ = words
        if method not in ("GET", "HEAD"):
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, b"GET /metrics\n", allow="GET, HEAD")
        if path.partition("?")[0] != "/metrics":
            return _response(HTTPStatus.NOT_FOUND, b"the figures are at /metrics\n")
        try:
            body, kind = await self._render(_header(lines, "accept"))
        except SwarmError as error:
            return _response(HTTPStatus.SERVICE_UNAVAILABLE, f"{error.message}\n".encode())
        return _response(HTTPStatus.OK, body, kind, with_body=method == "GET")


def _header(lines: list[str], name: str) -> str:
    """All values of a header, as one list."""
    found = [line.partition(":")[2].strip() for line in lines if _name(line) == name]
    return ", ".join(found)


def _name(line: str) -> str:
    return line.partition(":")[0].strip().lower()


def _response(
    status: HTTPStatus, body: bytes, kind: str = _TEXT, *, with_body: bool = True, allow: str = ""
) -> bytes:
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        *([f"Allow: {allow}"] if allow else []),
        "Cache-Control: no-store",
        "Connection: close",
    ]
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return head + body if with_body else head
