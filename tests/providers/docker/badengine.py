"""Sockets that misbehave as no real engine can be made to."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from swarmd.providers.docker.engine import Engine, Where

Behaviour = Callable[[socket.socket], None]


class BadEngine:
    """Listens on a Unix socket and treats each connection as it is told to.

    Args:
        folder: Where its socket lies.
        behaviour: What it does with a connection; the connection is closed afterwards.
    """

    def __init__(self, folder: Path, behaviour: Behaviour) -> None:
        self.path = folder / "bad.sock"
        self.behaviour = behaviour
        self.connections = 0
        self.over = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    def __enter__(self) -> Self:
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for sock in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()
        self._listener.close()

    def _spawn(self, act: Callable[[], None]) -> None:
        thread = threading.Thread(target=act, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            self._spawn(lambda sock=sock: self._treat(sock))  # type: ignore[misc]

    def _treat(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            self.behaviour(sock)

    def hold(self, _: socket.socket) -> None:
        """Never answer."""
        self.over.wait()

    def drip(self, sock: socket.socket) -> None:
        """Answer, a byte at a time: no single wait is long."""
        sock.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not self.over.wait(0.02):
            sock.sendall(b"x")


@contextlib.contextmanager
def against(folder: Path, behaviour: Behaviour | None = None) -> Iterator[tuple[Engine, BadEngine]]:
    """Ours, connected to one that behaves like this; by itself it hangs up at once."""
    with BadEngine(folder, behaviour or (lambda sock: None)) as bad:
        engine = Engine("box", Where(bad.url))
        try:
            yield engine, bad
        finally:
            engine.close()


def requests_on(sock: socket.socket) -> Iterator[tuple[str, bytes]]:
    """The requests of one connection: first line, and all of it; bodies must be short."""
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            more = sock.recv(65536)
            if not more:
                return
            data += more
        head, _, data = data.partition(b"\r\n\r\n")
        yield head.split(b"\r\n")[0].decode(), head


def answer(status: str, body: bytes, kind: str = "application/json", more: str = "") -> bytes:
    """An answer in HTTP, whole."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def refusal(status: str, message: str) -> bytes:
    """What an engine answers when it will not."""
    return answer(status, json.dumps({"message": message}).encode())


def version(api: str = "1.41") -> bytes:
    """What an engine answers when asked for its version."""
    said = {"Version": "1", "ApiVersion": api, "Os": "linux", "Components": [{"Name": "Engine"}]}
    return answer("200 OK", json.dumps(said).encode())


def only_its_version(sock: socket.socket) -> None:
    """Answers that, and nothing else."""
    for first, _ in requests_on(sock):
        if first.startswith("GET /version"):
            sock.sendall(version())


def scripted(*answers: bytes) -> Behaviour:
    """Tells its version when asked, and else the next of these; after the last it hangs up."""
    left = list(answers)

    def behave(sock: socket.socket) -> None:
        for first, _ in requests_on(sock):
            if first.startswith("GET /version"):
                sock.sendall(version())
            elif left:
                sock.sendall(left.pop(0))
            else:
                return

    return behave
