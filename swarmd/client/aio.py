"""The asyncio driver: calls run concurrently on one connection."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
from msgspec import Raw

from swarmd.client.backlog import PATIENCE_SECONDS, Backlog
from swarmd.client.places import find_socket
from swarmd.client.protocol import (
    Message,
    OperationStarted,
    Protocol,
    error_of,
    lost,
    unreachable,
    unreadable,
)
from swarmd.client.sync import Started
from swarmd.client.typed import method_of, read_reply
from swarmd.errors import DeadlineExceeded, SwarmError, Unavailable
from swarmd.messages.requests import Request
from swarmd.messages.wire import PIECE, Chunk

_T = TypeVar("_T")


class AsyncClient:
    """One connection, open inside ``async with``.

    Args:
        socket_path: Where the daemon listens; None: as ``find_socket`` finds it.
        timeout: Seconds that a call waits for its answer; None: for as long as it takes.
    """

    def __init__(self, socket_path: str | None = None, timeout: float | None = None) -> None:
        self.path = find_socket(socket_path)
        self._timeout = timeout
        self._protocol = Protocol()
        self._broken: SwarmError | None = None
        self._answers: dict[int, asyncio.Future[Raw]] = {}
        self._started: dict[int, Started] = {}
        self._streams: dict[str, Backlog] = {}
        self._tidying: set[asyncio.Task[Any]] = set()
        self._readers = 0
        self._changed = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def connect(self) -> None:
        """Open the connection. Raises ``DaemonUnreachable``."""
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(self.path)
        except OSError as error:
            raise unreachable(self.path, error) from error
        self._task = asyncio.get_running_loop().create_task(self._read_on())

    async def close(self) -> None:
        """End the connection, and with it its streams; operations go on."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._break(lost(self.path, "it was closed here"))
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    # --- calls -------------------------------------------------------------------------------

    async def call(
        self,
        method: str,
        params: object = None,
        *,
        timeout: float | None = None,
        on_started: Started | None = None,
        correlation: str | None = None,
    ) -> Any:
        """Ask, and answer with plain dicts, lists and scalars; as ``Client.call``."""
        raw = await self._ask(method, params, timeout, on_started, correlation)
        return msgspec.json.decode(raw)

    async def call_typed(
        self, request: Request, *, timeout: float | None = None, on_started: Started | None = None
    ) -> Any:
        """The same with a request Struct, and its reply Struct (an Operation if not waited)."""
        raw = await self._ask(method_of(request).name, request, timeout, on_started, None)
        return read_reply(request, raw)

    async def stream(self, request: Request | str, params: object = None) -> AsyncStream:
        """Open a stream; iterate over it for its chunks."""
        if not isinstance(request, str):
            request, params = method_of(request).name, request
        opening = self.spawn(self._open(request, params))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            # The daemon opens it all the same: a log that nobody reads, a command that runs on.
            self.spawn(_discard(opening))
            raise

    async def _open(self, method: str, params: object) -> AsyncStream:
        opened = await self.call(method, params)
        stream_id = str(opened["stream"])
        self._streams.setdefault(stream_id, Backlog())
        return AsyncStream(self, stream_id)

    def spawn(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """What is to come to its end even if who asked for it is cancelled."""
        task = asyncio.get_running_loop().create_task(work)
        self._tidying.add(task)
        task.add_done_callback(self._tidying.discard)
        return task

    async def _ask(
        self,
        method: str,
        params: object,
        timeout: float | None,
        on_started: Started | None,
        correlation: str | None,
    ) -> Raw:
        if self._broken is not None:
            raise self._broken
        request_id, data = self._protocol.request(method, params, correlation=correlation)
        answer: asyncio.Future[Raw] = asyncio.get_running_loop().create_future()
        self._answers[request_id] = answer
        if on_started is not None:
            self._started[request_id] = on_started
        self._decide_reading()
        limit = self._timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(limit):
                self._writer.write(data)
                await self._drain()
                return await answer
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"{method} got no answer within {limit} s",
                next_step="What was begun goes on: swarmctl ops shows it. Or give more time.",
            ) from error
        finally:
            self._answers.pop(request_id, None)
            self._started.pop(request_id, None)
            self._decide_reading()

    async def _drain(self) -> None:
        try:
            await self._writer.drain()
        except OSError as error:
            raise lost(self.path, error.strerror) from error

    # --- the socket --------------------------------------------------------------------------

    async def _read_on(self) -> None:
        try:
            while True:
                await self._may_read.wait()
                data = await self._reader.read(256 << 10)
                if not data:
                    self._break(lost(self.path))
                    return
                for message in self._protocol.feed(data):
                    self._take(message)
                self._decide_reading()
        except asyncio.CancelledError:
            self._break(lost(self.path, "it was closed here"))  # or who waits would do so for ever
            raise
        except OSError as error:
            self._break(lost(self.path, error.strerror))
        except SwarmError as error:
            self._break(error)
        except Exception as error:  # noqa: BLE001 (nobody reads on: nobody may wait for ever)
            self._break(unreadable(error))

    def _take(self, message: Message) -> None:
        if isinstance(message, Chunk):
            self._streams.setdefault(message.stream, Backlog()).put(message)
            self._changed.set()
        elif isinstance(message, OperationStarted):
            self._tell(message)
        elif message.id is not None:
            self._settle(message.id, message.error or message.result)
        elif message.error is not None:
            self._break(message.error)

    def _tell(self, operation: OperationStarted) -> None:
        """What ``on_started`` raises is for the call that gave it, and for no other."""
        request_id = operation.request
        if type(request_id) is not int or (told := self._started.get(request_id)) is None:
            return
        try:
            told(operation)
        except Exception as error:  # noqa: BLE001 (raised by the call)
            self._settle(request_id, error)

    def _settle(self, request_id: int, outcome: Raw | Exception) -> None:
        answer = self._answers.get(request_id)
        if answer is None or answer.done():
            return
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)

    def _break(self, error: SwarmError) -> None:
        if self._broken is None:
            self._broken = error
            for request_id in list(self._answers):
                self._settle(request_id, error)
            self._changed.set()

    def _decide_reading(self) -> None:
        """A slow consumer slows the daemon down; but whoever waits for an answer gets it."""
        full = [each for each in self._streams.values() if each.is_full]
        left_alone = self._readers > 0 and all(each.is_stalled for each in full)
        if self._answers or not full or left_alone:
            self._may_read.set()
        else:
            self._may_read.clear()

    async def next_chunk(self, stream_id: str) -> Chunk:
        """The next chunk of a stream."""
        while True:
            waiting = self._streams.get(stream_id)
            if waiting is not None and (chunk := waiting.take()) is not None:
                self._decide_reading()
                return chunk
            if self._broken is not None:
                raise self._broken
            await self._wait_for_news()

    async def _wait_for_news(self) -> None:
        self._changed.clear()
        self._readers += 1
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            self._decide_reading()  # a full backlog may have lost its reader
        finally:
            self._readers -= 1

    def forget(self, stream_id: str) -> None:
        """Nobody reads this stream any more."""
        self._streams.pop(stream_id, None)
        self._decide_reading()


class AsyncStream:
    """As ``sync.Stream``: iterate for chunks, write bytes, close."""

    def __init__(self, client: AsyncClient, stream_id: str) -> None:
        self.id = stream_id
        self.exit_code: int | None = None
        self.ended = False
        self._client = client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        """Every chunk, the last one included; raises what the stream ended with."""
        while (chunk := await self.read()) is not None:
            yield chunk

    async def read(self) -> Chunk | None:
        """The next chunk; None when there is none left."""
        if self.ended:
            return None
        chunk = await self._client.next_chunk(self.id)
        if chunk.end:
            self.ended = True
            self.exit_code = chunk.exit_code
            self._client.forget(self.id)
            if chunk.error is not None:
                raise error_of(chunk.error)
        return chunk

    async def write(self, data: bytes, *, end: bool = False) -> Any:
        """Give it bytes; returns once it has taken them: ``{"total": …, "upload": …}``."""
        first, rest = data[:PIECE], data[PIECE:]
        while rest:
            await self._write(first, end=False)
            first, rest = rest[:PIECE], rest[PIECE:]
        return await self._write(first, end=end)

    async def _write(self, data: bytes, *, end: bool) -> Any:
        spelled = base64.b64encode(data).decode("ascii")
        params = {"stream": self.id, "data_b64": spelled, "end": end}
        return await self._client.call("stream.write", params)

    async def close(self) -> None:
        """End it. Idempotent; a daemon that is gone has ended it already."""
        if self.ended:
            return
        self.ended = True
        await asyncio.shield(self._client.spawn(self._close()))

    async def _close(self) -> None:
        try:
            with contextlib.suppress(Unavailable):
                await self._client.call("stream.close", {"stream": self.id})
        finally:
            self._client.forget(self.id)


async def _discard(opening: asyncio.Task[AsyncStream]) -> None:
    """Close what nobody waits for any more; one that could not be opened needs no closing."""
    with contextlib.suppress(SwarmError):
        await (await opening).close()
