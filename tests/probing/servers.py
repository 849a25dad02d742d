"""Loopback servers that answer as a test wants, and what collects the answers."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator

from swarmd.messages.provider import Address
from swarmd.ports.probe import Answer, Question
from tests.support import wait_until

Behaviour = Callable[[socket.socket], None]

ALIVE = b'{"status":"alive","lastHeartbeat":1760000000000}'


def http(status: str = "200 OK", body: bytes = ALIVE, *headers: str) -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def says(*pieces: bytes) -> Behaviour:
    """Read the question, send these, and close."""

    def behave(connection: socket.socket) -> None:
        read_question(connection)
        for piece in pieces:
            connection.sendall(piece)

    return behave


def read_question(connection: socket.socket) -> bytes:
    """The request up to its empty line."""
    told = bytearray()
    while told.find(b"\r\n\r\n", -4099) < 0:  # in the last piece and what may end before it
        piece = connection.recv(4096)
        if not piece:
            break
        told += piece
    return bytes(told)


def never(connection: socket.socket) -> None:
    """Read whatever comes, and never answer."""
    while connection.recv(65536):
        pass


def reset(connection: socket.socket) -> None:
    """Close so that the peer sees a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Server:
    """A server with a thread for every connection.

    Args:
        behave: What it does with one; the connection is closed afterwards.
        host: Where it listens.
        tls: Its certificate, loaded.
    """

    def __init__(
        self, behave: Behaviour, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=1024)
        self._behave, self._tls = behave, tls
        self.address = Address(host=host, port=self._listener.getsockname()[1], tls=tls is not None)
        self.met = 0
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.met += 1
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError), self._wrapped(connection) as ours:
            self._behave(ours)

    def _wrapped(self, connection: socket.socket) -> socket.socket:
        if self._tls is None:
            return connection
        return self._tls.wrap_socket(connection, server_side=True)


@contextlib.contextmanager
def server(
    behave: Behaviour, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[Server]:
    """A server for the length of a block."""
    made = Server(behave, host, tls)
    try:
        yield made
    finally:
        made.close()


class Heard:
    """What was answered, in the order in which it came."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.threads: set[str] = set()

    def __call__(self, answer: Answer) -> None:
        self.threads.add(threading.current_thread().name)
        self.answers.append(answer)

    def one(self) -> Answer:
        """The first, when it is there."""
        return self.all(1)[0]

    def all(self, count: int, timeout: float = 20.0) -> list[Answer]:
        """The first so many, when they are there."""
        wait_until(
            lambda: len(self.answers) >= count,
            timeout=timeout,
            describe=lambda: f"{len(self.answers)} answers: {self.answers[-3:]}",
        )
        return self.answers[:count]


def question(
    address: Address, path: str | None = "/healthz", any_below: int = 201, timeout: float = 10.0
) -> Question:
    """A question as the monitor puts it to a code-server."""
    return Question(address=address, path=path, any_below=any_below, timeout=timeout)
