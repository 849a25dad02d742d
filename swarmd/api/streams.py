"""Streams of bytes: output of a session towards the client, an upload from it.

A source is read only while less than 256 KiB wait for the client, and one piece at a time: what
is not taken stays where it comes from.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

from swarmd.api.call import Link, Services
from swarmd.api.encoding import to_base64
from swarmd.api.errors import chunk_error
from swarmd.api.opened import no_thread
from swarmd.errors import SwarmError, Unavailable, ValidationError
from swarmd.messages.replies import Written
from swarmd.messages.wire import PIECE, Chunk
from swarmd.ports import Session, Upload

T = TypeVar("T")


class OutStream:
    """What every stream towards the client has: an id, a sequence, a task that fills it.

    Args:
        stream_id: Its name on this connection.
        link: The connection.
        services: What all connections share.
        correlation: The mark of the request that opened it.
    """

    def __init__(self, stream_id: str, link: Link, services: Services, correlation: str) -> None:
        self.id = stream_id
        self._link = link
        self._services = services
        self._correlation = correlation
        self._seq = 0
        self._task: asyncio.Task[None] | None = None
        self._over = False

    def start(self) -> None:
        """The client knows the id now: chunks may follow."""
        if not self._over:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            last = await self._fill()
        except Exception as error:  # noqa: BLE001 (the client is told, whatever it is)
            last = {"error": chunk_error(error, self._correlation)}
        await self._link.drained()
        self._finish(last)

    async def _fill(self) -> dict[str, Any]:
        """Send every chunk but the last; the fields of the last one."""
        raise NotImplementedError

    def _release(self) -> None:
        """Let go of the source. Called once."""

    async def _send(self, **fields: Any) -> None:
        """One chunk, as soon as the client has taken most of those before."""
        await self._link.drained()
        self._put(fields)

    def _put(self, fields: dict[str, Any]) -> None:
        if self._link.is_open and not self._over:
            self._link.notify("stream", Chunk(stream=self.id, seq=self._seq, **fields))
            self._seq += 1

    def _finish(self, last: dict[str, Any]) -> None:
        """Say that it is over, once, and let go."""
        if not self._over:
            self._put({"end": True, **last})
            self.drop()

    async def write(self, data: bytes, *, end: bool) -> Written:  # noqa: ARG002
        """Refused: this stream only gives."""
        raise ValidationError(
            f"the stream {self.id} takes no input",
            field="stream",
            next_step="Open instance.exec with stdin = true, or upload.open, to send bytes.",
        )

    def close(self, error: SwarmError | None = None) -> None:
        """End it now: the client wants no more, or ``error`` tells why."""
        self._finish({} if error is None else {"error": chunk_error(error, self._correlation)})

    def drop(self) -> None:
        """Let go of everything. Idempotent."""
        if self._over:
            return
        self._over = True
        self._link.streams.forget(self.id)
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._release()


class SessionStream(OutStream):
    """A log, an archive or a command's output; with ``takes_input`` also its input.

    Args:
        stream_id: Its name on this connection.
        link: The connection.
        services: What all connections share.
        correlation: The mark of the request that opened it.
        session: What is read. It is closed with the stream.
        as_bytes: Always send ``data_b64``; else text where a piece is UTF-8.
        takes_input: Whether ``stream.write`` reaches the session.
    """

    def __init__(
        self,
        stream_id: str,
        link: Link,
        services: Services,
        correlation: str,
        session: Session,
        *,
        as_bytes: bool = False,
        takes_input: bool = False,
    ) -> None:
        super().__init__(stream_id, link, services, correlation)
        self._session = session
        self._as_bytes = as_bytes
        self._takes_input = takes_input
        self._input_ended = False
        self._taken = 0
        self._writing = asyncio.Lock()

    async def _fill(self) -> dict[str, Any]:
        while True:
            await self._link.drained()
            piece: Any = await self._services.commands.run_in_watchers(self._session.read)
            if piece is None:
                return {"exit_code": self._session.result()}
            channel, data = piece
            for part in _slices(data):
                await self._send(channel=channel, **self._spelled(part))

    def _spelled(self, part: bytes) -> dict[str, str]:
        if not self._as_bytes:
            try:
                return {"data": part.decode()}
            except UnicodeDecodeError:
                pass  # bytes of another encoding, or half a character: they go as they are
        return {"data_b64": to_base64(part)}

    async def write(self, data: bytes, *, end: bool) -> Written:
        """Give bytes to the command; answered once it has them."""
        if not self._takes_input:
            return await super().write(data, end=end)
        async with self._writing:
            if self._input_ended or self._over:
                raise Unavailable(
                    f"the input of stream {self.id} has ended",
                    next_step="Run the command again to give it more.",
                )
            if data:
                await self._link.streams.feed(lambda: self._session.write(data))
                self._taken += len(data)
            if end:
                self._input_ended = True
                await self._link.streams.feed(self._session.close_input)
            return Written(total=self._taken)

    def _release(self) -> None:
        self._services.closers.submit(self._session.close)


class UploadStream:
    """An archive from the client: what is written is spooled, ``end`` gives it an id.

    Args:
        stream_id: Its name on this connection.
        link: The connection.
        services: What all connections share.
        upload: Where the bytes go. Aborted unless it is finished.
    """

    def __init__(self, stream_id: str, link: Link, services: Services, upload: Upload) -> None:
        self.id = stream_id
        self._link = link
        self._services = services
        self._upload = upload
        self._writing = asyncio.Lock()
        self._last: Future[Any] | None = None
        self._total = 0
        self._over = False

    def start(self) -> None:
        """Nothing to send: the client begins."""

    async def write(self, data: bytes, *, end: bool) -> Written:
        """Append bytes; answered once they are kept. What fails ends the upload."""
        async with self._writing:
            self._check()
            try:
                if data:
                    self._total = await self._run(lambda: self._upload.write(data))
                if not end:
                    return Written(total=self._total)
                finished = await self._run(self._upload.finish)
            except BaseException:
                self.drop()
                raise
            self._over = True
            self._link.streams.forget(self.id)
            return Written(total=self._total, upload=finished)

    def _check(self) -> None:
        if self._over:
            raise Unavailable(
                f"the upload {self.id} has ended", next_step="Begin again with upload.open."
            )

    async def _run(self, function: Callable[[], T]) -> T:
        self._check()
        try:
            work = self._services.uploads.submit(function)
        except RuntimeError as error:
            raise no_thread(error) from error
        self._last = work
        return await asyncio.wrap_future(work)

    def close(self, error: SwarmError | None = None) -> None:  # noqa: ARG002
        """Forget what came."""
        self.drop()

    def drop(self) -> None:
        """Forget what came, once what is being written is written. Idempotent."""
        if self._over:
            return
        self._over = True
        self._link.streams.forget(self.id)
        if self._last is None:
            self._abort()
        else:
            self._last.add_done_callback(self._abort)

    def _abort(self, _: object = None) -> None:
        with contextlib.suppress(RuntimeError):  # the server has ended: a start empties the spool
            self._services.closers.submit(self._upload.abort)


def _slices(data: bytes) -> Iterator[bytes]:
    for begin in range(0, len(data), PIECE):
        yield data[begin : begin + PIECE]
