"""One client: its requests in, its answers and notifications out.

Reads are answered at once, in the call that brought their bytes: no task, no queue. The rest
runs as tasks. Nothing here grows with what a client sends or leaves unread: reading stops while
64 requests or 4 MiB of them are in flight, or while the client does not take its answers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final, cast

import msgspec
from msgspec import UNSET

from swarmd.api import faults, peer, wire
from swarmd.api.call import Call, Entry, Services
from swarmd.api.errors import ProtocolFault, stopping, to_wire
from swarmd.api.framing import Framer, Oversize, is_one_object
from swarmd.api.opened import OpenStreams, Stream
from swarmd.api.outgoing import Outgoing
from swarmd.api.replying import Batch, Opened, Sink
from swarmd.errors import ResourceLimitError

MAX_IN_FLIGHT: Final = 64
MAX_IN_FLIGHT_BYTES: Final = 4 << 20

_TURN = 64
"""Requests handled before other connections get their turn."""
_HANGUP_CHECK_SECONDS = 1.0
_BRACE = ord("{")


class Connection(asyncio.Protocol):
    """The server's end of one socket.

    Args:
        services: What all connections share.
        methods: The table of methods.
        on_made: Told when the peer is known.
        on_lost: Told when the socket is closed.
    """

    def __init__(
        self,
        services: Services,
        methods: dict[str, Entry],
        on_made: Callable[[Connection], None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        self._services = services
        self._methods = methods
        self._on_made = on_made
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._framer = Framer()
        self._batch: Iterator[tuple[msgspec.Raw, Sink]] = iter(())
        self._pumping = False
        self._turn_is_due = False
        self._in_flight = 0
        self._in_flight_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._abandonable: set[asyncio.Task[Any]] = set()
        self.streams = OpenStreams(self._stream_is_over)
        self._ended = False
        self._half_closed = False
        self._stopping = False
        self._hangup_check: asyncio.TimerHandle | None = None

    # --- the transport's side ----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connected: learn who it is."""
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        self._fd: int = sock.fileno()
        self._peer = peer.read_peer(sock, self._services.users)
        self._out = Outgoing(self._transport)
        self._on_made(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came: nearly always one whole request, which is begun without detours."""
        if self._framer.is_empty and is_one_object(data) and self._may_take():
            self._begin(data, self)
            if not self._may_take():
                self._decide_reading(drained=False)
            return
        self._framer.feed(data)
        self._pump()

    def eof_received(self) -> bool:
        """The client sends no more; it may still read."""
        if peer.has_hung_up(self._fd):
            return False
        self._half_closed = True
        self._watch_for_hangup()
        self._pump()
        return not self._transport.is_closing()

    def pause_writing(self) -> None:
        """The client does not take what is sent."""
        self._out.pause()

    def resume_writing(self) -> None:
        """It took enough."""
        self._out.resume()
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The client is gone: its streams end, its operations go on."""
        self._ended = True
        self._out.end()
        if self._hangup_check is not None:
            self._hangup_check.cancel()
        for task in list(self._abandonable):
            task.cancel()
        self.streams.drop_all()
        self._on_lost(self)

    # --- frames in ---------------------------------------------------------------------------

    def _pump(self) -> None:
        """Handle the requests that are here, as far as the limits let."""
        if self._pumping or self._ended:
            return
        self._pumping = True
        self._out.gather()
        try:
            left = self._pump_turn()
        finally:
            self._pumping = False
            self._out.release()
        if left == 0 and not self._turn_is_due:
            self._turn_is_due = True
            self._loop.call_soon(self._next_turn)
        self._decide_reading(drained=left > 0 and self._may_take())

    def _pump_turn(self) -> int:
        left = _TURN
        while left and self._may_take() and self._take_one():
            left -= 1
        return left

    def _next_turn(self) -> None:
        self._turn_is_due = False
        self._pump()

    def _may_take(self) -> bool:
        return (
            self._in_flight < MAX_IN_FLIGHT
            and self._in_flight_bytes < MAX_IN_FLIGHT_BYTES
            and self._out.is_writable
            and not self._ended
            and not self._stopping
        )

    def _take_one(self) -> bool:
        """Start the next request; False if there is none."""
        if (item := next(self._batch, None)) is not None:
            self._begin(*item)
            return True
        frame = self._framer.next()
        if frame is None and self._half_closed:
            frame = self._framer.rest()
        if frame is None:
            return False
        self._begin_frame(frame)
        return True

    def _begin_frame(self, frame: bytes | Oversize) -> None:
        if isinstance(frame, Oversize):
            self.put(wire.encode_error(b"null", to_wire(faults.too_long(), "")))
        elif frame[0] != _BRACE and wire.is_batch(frame):
            self._begin_batch(frame)
        else:
            self._begin(frame, self)

    def _begin_batch(self, frame: bytes) -> None:
        try:
            items = wire.split_batch(frame)
            batch = Batch([wire.id_of(item) for item in items], self.put)
            if not batch.fits:
                raise faults.ids_too_long()
        except ProtocolFault as fault:
            self.put(wire.encode_error(b"null", to_wire(fault, "")))
            return
        self._batch = zip(items, batch.sinks, strict=True)

    def _begin(self, raw: bytes | msgspec.Raw, sink: Sink) -> None:
        """One request: answered here if it is a read, else by a task."""
        try:
            envelope = wire.decode_request(raw)
        except ProtocolFault as fault:
            sink.put(wire.encode_error(wire.encode_id(fault.request_id), to_wire(fault, "")))
            return
        given, asked_as = envelope.correlation, envelope.id
        correlation = self._services.new_id() if given is UNSET else given
        request_id = b"null" if asked_as is UNSET else wire.encode_id(asked_as)
        call = Call(self._services, self, self._peer.caller(correlation), asked_as)
        try:
            entry = self._methods.get(envelope.method)
            if entry is None:
                raise faults.unknown_method(envelope.method, self._methods)
            request = entry.decode(envelope.params)
            if not entry.inline:
                self._spawn(entry, call, request, request_id, sink, len(raw))
                return
            answer = wire.encode_result(request_id, entry.handler(call, request))
        except Exception as error:  # noqa: BLE001 (each request gets its answer)
            answer = wire.encode_error(request_id, to_wire(error, correlation))
        sink.put(None if call.is_notification else answer)

    # --- tasks -------------------------------------------------------------------------------

    def _spawn(
        self, entry: Entry, call: Call, request: Any, request_id: bytes, sink: Sink, size: int
    ) -> None:
        self._in_flight += 1
        self._in_flight_bytes += size
        task = self._loop.create_task(self._carry_out(entry, call, request, request_id, sink, size))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(
        self, entry: Entry, call: Call, request: Any, request_id: bytes, sink: Sink, size: int
    ) -> None:
        stream: Stream | None = None
        try:
            result = await entry.handler(call, request)
            if isinstance(result, Opened):
                stream, result = result.stream, result.reply
            answer = wire.encode_result(request_id, result)
        except asyncio.CancelledError:
            answer = wire.encode_error(request_id, to_wire(stopping(), ""))
        except Exception as error:  # noqa: BLE001 (each request gets its answer)
            answer = wire.encode_error(request_id, to_wire(error, call.caller.correlation))
        await self.drained()
        self._in_flight -= 1
        self._in_flight_bytes -= size
        if self._ended:
            if stream is not None:
                stream.drop()
            return
        sink.put(None if call.is_notification else answer, stream.start if stream else None)
        self._pump()

    def put(self, answer: bytes | None, then: Callable[[], None] | None = None) -> None:
        """Send one answer (a whole line without its newline), then do what follows it."""
        if answer is not None:
            self._out.write(answer + b"\n")
        if then is not None:
            then()

    # --- whether to read on ------------------------------------------------------------------

    def _decide_reading(self, *, drained: bool) -> None:
        if self._ended or self._transport.is_closing():
            return
        if self._half_closed:
            self._close_if_done(drained=drained)
        elif drained:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()
            self._watch_for_hangup()

    def _close_if_done(self, *, drained: bool) -> None:
        if drained and not self._in_flight and not self.streams:
            self._transport.close()

    def _watch_for_hangup(self) -> None:
        """While nothing is read, the end of the client shows only by looking for it."""
        if self._hangup_check is None and not self._ended:
            self._hangup_check = self._loop.call_later(_HANGUP_CHECK_SECONDS, self._look_for_hangup)

    def _look_for_hangup(self) -> None:
        self._hangup_check = None
        if self._ended:
            return
        if peer.has_hung_up(self._fd):
            self._transport.abort()
        elif self._half_closed or not self._transport.is_reading():
            self._watch_for_hangup()

    # --- what handlers and streams see (Link) ------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether the client can still be reached."""
        return not self._ended

    def notify(self, method: str, params: object) -> None:
        """Send a notification."""
        self._out.write(wire.encode_notification(method, params))

    async def drained(self) -> None:
        """Wait until the client has taken what was sent, but for 256 KiB."""
        await self._out.drained()

    @contextlib.contextmanager
    def abandonable(self) -> Iterator[None]:
        """What is awaited inside ends when the client disconnects or the server stops."""
        task = asyncio.current_task()
        if self._ended or self._stopping or task is None:
            raise stopping()
        self._abandonable.add(task)
        try:
            yield
        finally:
            self._abandonable.discard(task)

    def _stream_is_over(self) -> None:
        if self._half_closed:
            self._pump()

    # --- the end -----------------------------------------------------------------------------

    async def stop(self) -> None:
        """Take no more, answer what is in flight, end the streams, close."""
        self._stopping = True
        if not self._half_closed:
            self._transport.pause_reading()
        for task in list(self._abandonable):
            task.cancel()
        self.streams.close_all(stopping())
        while self._tasks:
            await asyncio.wait(list(self._tasks))
        await self.drained()
        self._transport.close()

    def refuse(self, limit: int) -> None:
        """There are too many of us: say so and close."""
        error = ResourceLimitError(
            f"the daemon has {limit} connections already",
            next_step="Close some, or share one: requests on one connection run concurrently.",
        )
        self.put(wire.encode_error(b"null", to_wire(error, "")))
        self._stopping = True
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        for task in list(self._tasks):
            task.cancel()
        self._transport.abort()
