"""A raw stream of the engine: a command's output and input, or a log, taken out of its frames.

What the engine sends over a hijacked connection are frames of a stream's number, a length and so
many bytes (Docker Engine API, "Attach to a container", stream format); with a terminal it is the
bare output. A frame may be larger than memory should hold: it is passed on in pieces.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from swarmd.errors import ProviderError, ProviderUnreachable
from swarmd.providers.docker.halfclose import close_notify, drain
from swarmd.providers.docker.wire import Dechunker
from swarmd.providers.shared.faults import os_faults

T = TypeVar("T")
STDOUT, STDERR = "stdout", "stderr"
_STREAMS = {0: STDOUT, 1: STDOUT, 2: STDERR}
_FAULT = 3
"""The number of the stream on which the engine tells that it cannot go on."""
_FAULT_MOST = 4096
_HEADER = 8
_PIECE = 64 << 10
_TLS_RECORD = 16 << 10


class Frames:
    """Takes the frames off a stream; fed with whatever arrives."""

    def __init__(self) -> None:
        self.begins = False
        """Whether the piece given last is the first one of its frame."""
        self._header = b""
        self._stream = STDOUT
        self._left = 0
        self._first = False
        self._fault: bytes | None = None

    @property
    def inside(self) -> bool:
        """Whether more of a frame must come."""
        return bool(self._header) or self._left > 0

    def feed(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """The output in these bytes, by stream.

        Raises:
            ProviderError: They are no frames, or the engine says that it cannot go on.
        """
        at = 0
        while at < len(data):
            if not self._left:
                at = self._take_header(data, at)
                continue
            piece = data[at : at + self._left]
            at += len(piece)
            self._left -= len(piece)
            self.begins, self._first = self._first, False
            if self._fault is None:
                yield self._stream, piece
            else:
                self._fault = (self._fault + piece)[:_FAULT_MOST]
                self._check_fault()

    def _take_header(self, data: bytes, at: int) -> int:
        part = data[at : at + _HEADER - len(self._header)]
        self._header += part
        if len(self._header) == _HEADER:
            header, self._header = self._header, b""
            number, self._left = header[0], int.from_bytes(header[4:])
            self._first = True
            if header[1:4] != b"\0\0\0" or number > _FAULT:
                raise _broken(f"a frame begins with {header!r}")
            self._fault = b"" if number == _FAULT else None
            self._stream = _STREAMS.get(number, STDERR)
            self._check_fault()
        return at + len(part)

    def _check_fault(self) -> None:
        if self._fault is not None and not self._left:
            words = self._fault.decode(errors="replace").strip()
            raise ProviderError(
                f"the engine ended the stream: {words}",
                next_step="Look at the engine's own log, then repeat this.",
                details={"cause": words},
            )


class Channel:
    """A stream of the engine. One thread reads, another may write, any may close.

    Args:
        sock: A plain or TLS socket whose HTTP answer's head was read. It is closed with this.
        multiplexed: Whether the output comes in frames; else all of it is ``stdout``.
        chunked: Whether HTTP's chunks are to be taken off first.
        rest: What was read beyond the head already.
        keep: What must live as long as the connection does.

    Raises:
        ResourceLimitError: No descriptor is left; ``sock`` is closed.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        multiplexed: bool,
        chunked: bool = False,
        rest: bytes = b"",
        keep: object = None,
    ) -> None:
        self._sock = sock
        self._keep = keep
        self._held = rest
        self._frames = Frames() if multiplexed else None
        self._chunks = Dechunker() if chunked else None
        self._pieces: Iterator[tuple[str, bytes]] = iter(())
        self._reading, self._writing = threading.Lock(), threading.Lock()
        self._closing, self._calls = threading.Lock(), threading.Lock()
        self._closed = self._ended = self._input_ended = False
        self._own: list[int] = []
        try:
            with os_faults("opening a stream of the engine"):
                sock.setblocking(False)
                self._woken, self._wake_end = os.pipe()
                self._own += [self._woken, self._wake_end]
                # Of its own, for ``close_notify`` puts something else in the socket's place.
                self._polled = os.dup(sock.fileno())
                self._own.append(self._polled)
        except BaseException:
            self._release()
            raise

    @property
    def begins(self) -> bool:
        """Whether what ``read`` gave last begins a frame: one write of the engine."""
        return self._frames is not None and self._frames.begins

    def read(self) -> tuple[str, bytes] | None:
        """The next piece of output as (``stdout`` or ``stderr``, bytes). Blocks.

        Returns:
            None at the end, and after ``close``.

        Raises:
            ProviderUnreachable: The connection broke before the end.
            ProviderError: The engine sends what is no stream, or ended it with an error.
        """
        with self._reading:
            try:
                while not self._closed:
                    piece = next(self._pieces, None)
                    if piece is not None:
                        return piece
                    if self._ended and not self._held:
                        break
                    self._take()
            except Exception:
                self._held = b""
                self._end()
                raise
        return None

    def write(self, data: bytes) -> None:
        """Send all of it; waits while nobody takes it.

        Raises:
            BrokenPipeError: The stream has ended, or its input.
        """
        with self._writing, memoryview(data) as left:
            sent = 0
            while sent < len(left):
                # TLS wants what it could not send once again at its next try: the same bytes.
                with left[sent : sent + _TLS_RECORD] as piece:
                    sent += self._send(piece)

    def end_input(self) -> None:
        """Tell that no more input comes; output still does. Idempotent.

        Raises:
            ResourceLimitError: No descriptor is left.
        """
        with self._writing:
            if self._input_ended or self._ended or self._closed:
                return
            self._input_ended = True
            # What no more can be told has ended by itself.
            with contextlib.suppress(ConnectionError):
                if isinstance(self._sock, ssl.SSLSocket):
                    self._tell_tls_end(self._sock)
                else:
                    with contextlib.suppress(OSError):
                        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End the connection. Wakes ``read`` and ``write``. Idempotent, from any thread."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            os.write(self._wake_end, b"x")
            with self._reading, self._writing:
                self._release()

    # --- reading -----------------------------------------------------------------------------

    def _take(self) -> None:
        """Wait for bytes and lay out the pieces that are in them."""
        data = self._receive()
        if data:
            self._pieces = self._unpack(data)
        elif not self._closed:
            self._check_end()
            self._end()

    def _receive(self) -> bytes:
        try:
            found = self._attempt(self._receive_now, select.POLLIN, lambda: self._closed)
        except ssl.SSLZeroReturnError:
            return b""
        except (OSError, ValueError) as error:
            raise _lost(str(error)) from error
        return found or b""

    def _receive_now(self) -> bytes:
        if self._held:
            data, self._held = self._held, b""
            return data
        if self._ended:
            return b""
        return self._sock.recv(_PIECE)

    def _unpack(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        try:
            for part in (data,) if self._chunks is None else self._chunks.feed(data):
                yield from ((STDOUT, part),) if self._frames is None else self._frames.feed(part)
        except http.client.HTTPException as error:
            raise _broken(f"it sends no HTTP chunks: {error}") from error
        if self._chunks is not None and self._chunks.ended:
            self._check_end()
            self._end()

    def _check_end(self) -> None:
        inside = self._frames is not None and self._frames.inside
        if inside or (self._chunks is not None and not self._chunks.ended):
            raise _lost("it ended in the middle of what was announced")

    def _end(self) -> None:
        """Nothing more comes: whoever waits to write should no more."""
        if not self._ended:
            self._ended = True
            if not self._closed:
                os.write(self._wake_end, b"x")

    # --- writing -----------------------------------------------------------------------------

    def _send(self, piece: memoryview) -> int:
        if self._input_ended or self._over():
            raise BrokenPipeError("the stream has ended")
        try:
            sent = self._attempt(lambda: self._sock.send(piece), select.POLLOUT, self._over)
        except (OSError, ValueError) as error:
            raise BrokenPipeError(str(error)) from error
        if sent is None:
            raise BrokenPipeError("the stream has ended")
        return sent

    def _over(self) -> bool:
        return self._closed or self._ended

    def _tell_tls_end(self, sock: ssl.SSLSocket) -> None:
        with self._calls:
            self._held += drain(sock)
            told, over = close_notify(sock)
            if over:
                self._end()
        left = memoryview(told)
        while left:
            rest = left
            sent = self._attempt(
                lambda rest=rest: socket.socket.send(sock, rest),  # type: ignore[misc]
                select.POLLOUT,
                self._over,
            )
            if sent is None:
                return
            left = left[sent:]

    # --- both --------------------------------------------------------------------------------

    def _attempt(self, act: Callable[[], T], wanted: int, stop: Callable[[], bool]) -> T | None:
        """Try a call that never waits until it does something; None once ``stop`` says so.

        TLS allows one call at a time on a connection: so calls are made one by one, and the
        waiting is done outside of them.
        """
        while not stop():
            with self._calls:
                try:
                    return act()
                except (BlockingIOError, InterruptedError):
                    events = wanted
                except ssl.SSLWantReadError:
                    events = select.POLLIN
                except ssl.SSLWantWriteError:
                    events = select.POLLOUT
            poller = select.poll()
            poller.register(self._polled, events)
            poller.register(self._woken, select.POLLIN)
            poller.poll()
        return None

    def _release(self) -> None:
        # Something else may hold the connection too: it ends nevertheless.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
        self._sock.close()
        while self._own:
            os.close(self._own.pop())
        self._keep, self._held, self._pieces = None, b"", iter(())


def _lost(cause: str) -> ProviderUnreachable:
    return ProviderUnreachable(
        f"the connection to the engine broke: {cause}",
        next_step="See that the engine is up and can be reached, then repeat this.",
        details={"cause": cause},
    )


def _broken(cause: str) -> ProviderError:
    return ProviderError(
        f"the engine sends what is no stream: {cause}",
        next_step="Correct engine in the provider's options: what answers there is no Docker.",
        details={"cause": cause},
    )
