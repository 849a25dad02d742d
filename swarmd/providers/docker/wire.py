"""One HTTP request of our own on a connection of its own, for what streams.

The SDK's answers are whole; those of exec, logs, events, pull and archives go on for as long as
they like, must be ended from other threads, and some turn into raw connections.
"""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from swarmd.providers.docker.sockets import PatientSocket

_PIECE = 256 << 10
_HEAD_BYTES = 64 << 10
_LINE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an answer, and the connection that the rest comes on.

    Args:
        status: HTTP's.
        headers: By lower-case name.
        rest: What came with the head already.
    """

    sock: PatientSocket
    status: int
    headers: Mapping[str, str]
    rest: bytes

    @property
    def chunked(self) -> bool:
        """Whether the body comes in HTTP's chunks."""
        return "chunked" in self.headers.get("transfer-encoding", "").lower()

    def body(self) -> Iterator[bytes]:
        """The body, as it comes, in pieces of at most 256 KiB.

        Raises:
            http.client.IncompleteRead: The connection ended before the body did.
            OSError: As the socket's.
        """
        if self.chunked:
            return self._chunks()
        length = self.headers.get("content-length")
        if length is not None and not length.isdecimal():
            raise http.client.BadStatusLine(f"Content-Length: {length}")
        return self._pieces(None if length is None else int(length))

    def _chunks(self) -> Iterator[bytes]:
        dechunker, data = Dechunker(), self.rest
        while not dechunker.ended:
            yield from dechunker.feed(data)
            if not dechunker.ended and not (data := self.sock.recv(_PIECE)):
                raise http.client.IncompleteRead(b"")

    def _pieces(self, left: int | None) -> Iterator[bytes]:
        data = self.rest
        while left is None or left > 0:
            if data:
                yield data if left is None else data[:left]
                left = None if left is None else left - len(data)
            if (left is None or left > 0) and not (data := self.sock.recv(_PIECE)):
                if left is None:
                    return
                raise http.client.IncompleteRead(b"", left)


class Dechunker:
    """Takes HTTP's chunk marks off a stream; fed with whatever arrives."""

    def __init__(self) -> None:
        self.ended = False
        self._left = 0
        self._line = b""
        self._state = self._size

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The payload in these bytes.

        Raises:
            http.client.HTTPException: They are no chunks.
        """
        at = 0
        while at < len(data) and not self.ended:
            if self._left:
                piece = data[at : at + self._left]
                self._left -= len(piece)
                at += len(piece)
                yield piece
            else:
                at = self._take_line(data, at)

    def _take_line(self, data: bytes, at: int) -> int:
        end = data.find(b"\n", at)
        stop = len(data) if end < 0 else end + 1
        self._line += data[at:stop]
        if len(self._line) > _LINE_BYTES:
            raise http.client.LineTooLong("chunk size")
        if end >= 0:
            line, self._line = self._line.strip(), b""
            self._state(line)
        return stop

    def _size(self, line: bytes) -> None:
        try:
            self._left = int(line.partition(b";")[0], 16)
        except ValueError:
            raise http.client.BadStatusLine(repr(line)) from None
        if self._left < 0:
            raise http.client.BadStatusLine(repr(line))
        self._state = self._after if self._left else self._trailer

    def _after(self, line: bytes) -> None:
        if line:
            raise http.client.BadStatusLine(repr(line))
        self._state = self._size

    def _trailer(self, line: bytes) -> None:
        self.ended = not line


def exchange(
    sock: PatientSocket,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes = b"",
) -> Answer:
    """Send a request and read the head of its answer.

    Args:
        sock: A fresh connection.
        method: HTTP's.
        path: With its query, quoted.
        headers: Further ones.
        body: All of it.

    Raises:
        http.client.HTTPException: What answers does not speak HTTP.
        OSError: As the socket's.
    """
    lines = {"Host": "docker", "Content-Length": str(len(body)), **headers}
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in lines.items()
    )
    with contextlib.suppress(BrokenPipeError):  # then it has said why, and that is read
        sock.sendall(head.encode("latin-1") + b"\r\n" + body)
    return read_head(sock)


def read_head(sock: PatientSocket) -> Answer:
    """Read the head of an answer; interim ones (100 and the like) are passed over."""
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            if data and not data.startswith(b"HTTP/"[: len(data)]):
                raise http.client.BadStatusLine(repr(data[:80]))
            if len(data) > _HEAD_BYTES:
                raise http.client.LineTooLong("head")
            more = sock.recv(_PIECE)
            if not more:
                raise http.client.RemoteDisconnected("closed without an answer")
            data += more
        head, _, data = data.partition(b"\r\n\r\n")
        status, headers = _parse(head)
        if status >= 200 or status == 101:
            return Answer(sock, status, headers, data)


def _parse(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    try:
        protocol, status, *_ = first.split(" ", 2)
        number = int(status)
    except ValueError:
        raise http.client.BadStatusLine(first[:80]) from None
    if not protocol.startswith("HTTP/1."):
        raise http.client.BadStatusLine(first[:80])
    pairs = (line.partition(":") for line in lines)
    return number, {name.strip().lower(): value.strip() for name, _, value in pairs}
