"""The blocking driver: for command lines, scripts and threads."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec
from msgspec import Raw

from swarmd.client.backlog import Backlog
from swarmd.client.places import find_socket
from swarmd.client.protocol import (
    Message,
    OperationStarted,
    Protocol,
    Reply,
    error_of,
    lost,
    unreachable,
    unreadable,
)
from swarmd.errors import DeadlineExceeded, SwarmError, Unavailable
from swarmd.messages.wire import PIECE, Chunk

if TYPE_CHECKING:
    from swarmd.messages.requests import Request

T = TypeVar("T", Reply, Chunk)
Started = Callable[[OperationStarted], None]

_CONNECT_SECONDS = 10.0
_SIGNAL_SECONDS = 0.5
"""How long one system call may wait. Python sees to a signal before and after a call, and one
that comes in the moment between is not heard before the call returns: Ctrl-C would be lost."""

_HELD_SECONDS = 1.0
"""How often who is held up by a full backlog looks again."""
_READ = 256 << 10


class Client:
    """One connection. Threads may share it: one reads the socket for all that wait.

    A stream that is not read while answers are waited for is cut off when 4 MiB of it have come.

    Args:
        socket_path: Where the daemon listens; None: as ``find_socket`` finds it.
        timeout: Seconds that a call waits for its answer; None: for as long as it takes.

    Raises:
        DaemonUnreachable: Nobody answers there.
    """

    def __init__(self, socket_path: str | None = None, timeout: float | None = None) -> None:
        self.path = find_socket(socket_path)
        self._timeout = timeout
        self._protocol = Protocol()
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._reading = False
        self._broken: SwarmError | None = None
        self._answers: dict[int, Reply | None] = {}
        self._raised: dict[int, Exception] = {}
        self._started: dict[int, Started] = {}
        self._streams: dict[str, Backlog] = {}
        self._socket = self._connect()

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_CONNECT_SECONDS)
        try:
            connection.connect(self.path)
        except OSError as error:
            connection.close()
            raise unreachable(self.path, error) from error
        connection.settimeout(None)
        return connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection, and with it its streams; operations go on. Idempotent."""
        with self._changed:
            if self._broken is None:
                self._broken = lost(self.path, "it was closed here")
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads
            self._socket.close()
            self._changed.notify_all()

    # --- calls -------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        params: object = None,
        *,
        timeout: float | None = None,
        on_started: Started | None = None,
        correlation: str | None = None,
    ) -> Any:
        """Ask, and answer with plain dicts, lists and scalars.

        Args:
            method: Such as ``instance.get``.
            params: A mapping or a request Struct.
            timeout: Seconds; None: the client's own.
            on_started: Told the operation as soon as the daemon has accepted it, perhaps by
                another thread that waits; what it raises, this call raises.
            correlation: A mark for everything that this causes.

        Raises:
            SwarmError: What the daemon answered; ``DaemonUnreachable`` if it went away;
                ``DeadlineExceeded`` if no answer came in time.
        """
        raw = self._ask(method, params, timeout, on_started, correlation)
        return msgspec.json.decode(raw)

    def call_typed(
        self, request: Request, *, timeout: float | None = None, on_started: Started | None = None
    ) -> Any:
        """The same with a request Struct, and its reply Struct (an Operation if not waited)."""
        from swarmd.client.typed import method_of, read_reply

        raw = self._ask(method_of(request).name, request, timeout, on_started, None)
        return read_reply(request, raw)

    def stream(self, request: Request | str, params: object = None) -> Stream:
        """Open a stream; iterate over it for its chunks.

        Args:
            request: A request Struct, or a method's name.
            params: Of the method, if it was named.
        """
        if not isinstance(request, str):
            from swarmd.client.typed import method_of

            request, params = method_of(request).name, request
        opened = self.call(request, params)
        stream_id = str(opened["stream"])
        with self._changed:
            self._streams.setdefault(stream_id, Backlog())
        return Stream(self, stream_id)

    def _ask(
        self,
        method: str,
        params: object,
        timeout: float | None,
        on_started: Started | None,
        correlation: str | None,
    ) -> Raw:
        limit = self._timeout if timeout is None else timeout
        with self._sending:
            request_id, data = self._protocol.request(method, params, correlation=correlation)
            with self._changed:
                self._check()
                self._answers[request_id] = None
                if on_started is not None:
                    self._started[request_id] = on_started
            self._send(data)
        try:
            answer = self._wait(lambda: self._answers[request_id], limit)
        finally:
            with self._changed:
                self._answers.pop(request_id, None)
                self._started.pop(request_id, None)
                raised = self._raised.pop(request_id, None)
        if raised is not None:
            raise raised
        if answer is None:
            raise DeadlineExceeded(
                f"{method} got no answer within {limit:g} s",
                next_step="What was begun goes on: swarmctl ops shows it. Or give more time.",
            )
        if answer.error is not None:
            raise answer.error
        return answer.result

    # --- the socket --------------------------------------------------------------------------

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise lost(self.path, error.strerror) from error

    def _check(self) -> None:
        if self._broken is not None:
            raise self._broken

    def _wait(
        self, look: Callable[[], T | None], timeout: float | None, *, patient: bool = False
    ) -> T | None:
        """What ``look`` finds; None at the timeout. One of the waiting threads reads.

        Args:
            look: Looks, under the lock.
            timeout: Seconds; None: for as long as it takes.
            patient: Leave the socket unread while another stream has a full backlog.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._changed:
                if (found := look()) is not None:
                    return found
                self._check()
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return None
                if self._reading:
                    self._changed.wait(_at_most(left, _SIGNAL_SECONDS))
                    continue
                if patient and self._is_held_up():
                    self._changed.wait(_at_most(left, _HELD_SECONDS))
                    continue
                self._reading = True
            self._read(left)

    def _is_held_up(self) -> bool:
        """Whether the reader of a full backlog is still at it."""
        return any(each.is_full and not each.is_stalled for each in self._streams.values())

    def _read(self, timeout: float | None) -> None:
        """Read once from the socket and hand out what came."""
        messages: list[Message] = []
        broken: SwarmError | None = None
        try:
            if _readable(self._socket, _at_most(timeout, _SIGNAL_SECONDS)):
                data = self._socket.recv(_READ)
                messages = self._protocol.feed(data)
                broken = None if data else lost(self.path)
        except (OSError, ValueError) as error:
            broken = lost(self.path, getattr(error, "strerror", None))
        except SwarmError as error:
            broken = error
        except Exception as error:  # noqa: BLE001 (what was read is lost: nobody may wait for it)
            broken = unreadable(error)
        finally:
            with self._changed:
                self._reading = False
                self._broken = self._broken or broken
                begun = [each for message in messages if (each := self._take(message))]
                self._changed.notify_all()
        for operation in begun:
            self._tell(operation)

    def _take(self, message: Message) -> OperationStarted | None:
        """Put a message where it is waited for; what is to be told without the lock."""
        if isinstance(message, Chunk):
            self._streams.setdefault(message.stream, Backlog()).put(message)
        elif isinstance(message, OperationStarted):
            return message
        elif message.id is None:
            self._broken = self._broken or message.error
        elif message.id in self._answers:
            self._answers[message.id] = message
        return None

    def _tell(self, operation: OperationStarted) -> None:
        """Another thread's call may have begun it: what ``on_started`` raises is for that call."""
        request_id = operation.request
        if type(request_id) is not int or (told := self._started.get(request_id)) is None:
            return
        try:
            told(operation)
        except Exception as error:  # noqa: BLE001 (raised by the call that gave the function)
            with self._changed:
                if request_id in self._answers:
                    self._raised[request_id] = error
                    self._answers[request_id] = Reply(request_id)
                self._changed.notify_all()

    def next_chunk(self, stream_id: str, timeout: float | None) -> Chunk | None:
        """The next chunk of a stream; None at the timeout."""

        def look() -> Chunk | None:
            waiting = self._streams.get(stream_id)
            if waiting is None:
                return None
            if waiting.is_full:
                self._changed.notify_all()  # whoever it held up
            return waiting.take()

        return self._wait(look, timeout, patient=True)

    def forget(self, stream_id: str) -> None:
        """Nobody reads this stream any more."""
        with self._changed:
            self._streams.pop(stream_id, None)
            self._changed.notify_all()


def _at_most(seconds: float | None, most: float) -> float:
    return most if seconds is None else min(seconds, most)


class Stream:
    """What a stream's id stands for: iterate for chunks, write bytes, close.

    ``exit_code`` is a command's, once the last chunk came.
    """

    def __init__(self, client: Client, stream_id: str) -> None:
        self.id = stream_id
        self.exit_code: int | None = None
        self.ended = False
        self._client = client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Chunk]:
        """Every chunk, the last one included.

        Raises:
            SwarmError: The stream ended with this error.
        """
        while (chunk := self.read()) is not None:
            yield chunk

    def read(self, timeout: float | None = None) -> Chunk | None:
        """The next chunk; None when there is none left.

        Args:
            timeout: Seconds; None: for as long as it takes.

        Raises:
            DeadlineExceeded: None came in time.
            SwarmError: The stream ended with this error.
        """
        if self.ended:
            return None
        chunk = self._client.next_chunk(self.id, timeout)
        if chunk is None:
            raise DeadlineExceeded(f"the stream {self.id} gave nothing within {timeout} s")
        if chunk.end:
            self.ended = True
            self.exit_code = chunk.exit_code
            self._client.forget(self.id)
            if chunk.error is not None:
                raise error_of(chunk.error)
        return chunk

    def write(self, data: bytes, *, end: bool = False) -> Any:
        """Give it bytes; returns once it has taken them: ``{"total": …, "upload": …}``."""
        first, rest = data[:PIECE], data[PIECE:]
        while rest:
            self._write(first, end=False)
            first, rest = rest[:PIECE], rest[PIECE:]
        return self._write(first, end=end)

    def _write(self, data: bytes, *, end: bool) -> Any:
        import base64  # few commands send bytes

        spelled = base64.b64encode(data).decode("ascii")
        params = {"stream": self.id, "data_b64": spelled, "end": end}
        return self._client.call("stream.write", params)

    def close(self) -> None:
        """End it. Idempotent; a daemon that is gone has ended it already."""
        if self.ended:
            return
        self.ended = True
        with contextlib.suppress(Unavailable):
            self._client.call("stream.close", {"stream": self.id})
        self._client.forget(self.id)


def _readable(connection: socket.socket, timeout: float) -> bool:
    """Whether something comes within this time; ``settimeout`` would hold for writers too."""
    import select

    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(timeout * 1000))
