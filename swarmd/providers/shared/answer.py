"""Asking a server whether it answers: ``GET /healthz``, nothing more than sockets.

We bound the port, so a connection stands before the server runs: the question waits in the
backlog and is answered the moment the server reads it. Nothing is polled while it starts.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from swarmd.messages.provider import Address

if TYPE_CHECKING:
    import ssl

T = TypeVar("T")

PATH = "/healthz"
"""Needs no login, and unlike every other path does not count as activity."""

_SLICE = 0.05  # seconds between looks at whether the call was cancelled
_PAUSE = 0.02  # seconds after a refused connection
_MOST = 65536
_STATUS = re.compile(rb"[0-9]{3}")


class Ended(Exception):
    """The process ended before it answered."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to ask."""

    host: str
    port: int
    tls: bool = False

    @property
    def reachable(self) -> str:
        """The host to connect to."""
        return Address(host=self.host, port=self.port, tls=self.tls).reachable


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: str

    @property
    def ok(self) -> bool:
        """Whether the server is alive; ``expired`` in its words only means nobody looks."""
        return self.status == 200


class Asker:
    """Asks one server, as long as its caller lets it.

    Args:
        endpoint: Where.
        check: Called at least every 50 ms; what it raises ends the asking.
        watch: A descriptor (a pidfd) that becomes readable when there is no hope left.
    """

    def __init__(
        self, endpoint: Endpoint, check: Callable[[], None], watch: int | None = None
    ) -> None:
        self._endpoint = endpoint
        self._check = check
        self._watch = watch

    def until_ok(self) -> Answer:
        """Ask until the answer is 200. Raises ``Ended`` or what ``check`` raises."""
        while True:
            with contextlib.suppress(OSError):
                answer = self.once()
                if answer.ok:
                    return answer
            self._pause()

    def once(self) -> Answer:
        """Ask once. Raises ``OSError`` if nobody answers, ``Ended``, or what ``check`` raises."""
        with self._connected() as connection:
            request = f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            self._try(lambda: connection.sendall(request.encode()), connection)
            return _parse(self._read_all(connection))

    @contextlib.contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        host = self._endpoint.reachable
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        plain = socket.socket(family, socket.SOCK_STREAM)
        plain.setblocking(False)
        with contextlib.closing(plain):
            code = plain.connect_ex((host, self._endpoint.port))
            if code == errno.EINPROGRESS:
                self._wait(plain.fileno(), select.POLLOUT)
                code = plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code))
            if not self._endpoint.tls:
                yield plain
                return
            with contextlib.closing(self._wrap(plain)) as wrapped:
                yield wrapped

    def _wrap(self, plain: socket.socket) -> ssl.SSLSocket:
        """TLS to our own process: its certificate is for those who come from outside."""
        import ssl  # takes memory that a daemon without TLS need not have

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        wrapped = context.wrap_socket(plain, do_handshake_on_connect=False)
        self._try(wrapped.do_handshake, wrapped)
        return wrapped

    def _read_all(self, connection: socket.socket) -> bytes:
        read = bytearray()
        while len(read) < _MOST:
            piece = self._try(lambda: connection.recv(4096), connection)
            if not piece:
                break
            read += piece
        return bytes(read)

    def _try(self, step: Callable[[], T], connection: socket.socket) -> T:
        while True:
            try:
                return step()
            except OSError as error:
                events = _wanted(error)
                if not events:
                    raise
                self._wait(connection.fileno(), events)

    def _pause(self) -> None:
        """A moment, unless the process ends in it."""
        poller = select.poll()
        if self._watch is not None:
            poller.register(self._watch, select.POLLIN)
        if poller.poll(_PAUSE * 1000):
            raise Ended
        self._check()

    def _wait(self, descriptor: int, events: int) -> None:
        poller = select.poll()
        poller.register(descriptor, events)
        if self._watch is not None:
            poller.register(self._watch, select.POLLIN)
        while True:
            ready = {found for found, _ in poller.poll(_SLICE * 1000)}
            if descriptor in ready:
                return
            if ready:
                raise Ended
            self._check()


def _wanted(error: OSError) -> int:
    """What a socket that would block waits for; 0 if it is another error."""
    if isinstance(error, BlockingIOError) or type(error).__name__ == "SSLWantReadError":
        return select.POLLIN
    return select.POLLOUT if type(error).__name__ == "SSLWantWriteError" else 0


def _parse(raw: bytes) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not _STATUS.fullmatch(words[1]):
        raise ConnectionError(errno.EPROTO, "the answer is not HTTP")
    return Answer(int(words[1]), body.decode(errors="replace").strip()[:500])


def within(seconds: float) -> Callable[[], None]:
    """A ``check`` that ends the asking after so many seconds with ``TimeoutError``."""
    deadline = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() >= deadline:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))

    return check
