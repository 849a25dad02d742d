"""What a server sends back, taken in piece by piece; no socket is in it (RFC 9112)."""

from __future__ import annotations

import re

MOST = 65536
"""Bytes that are read of an answer; whatever comes after them changes nothing."""

_SHOWN = 200  # characters of its first line that are told
_START = b"HTTP/"
_STATUS = re.compile(rb"HTTP/[0-9.]+ ([0-9]{3})(?![0-9])")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\ntransfer-encoding:[^\r\n]*chunked", re.IGNORECASE)
_LAST_CHUNK = b"0\r\n\r\n"
_BODILESS = frozenset({204, 304})
_SWITCHING = 101  # the one status below 200 that nothing follows


class BadReply(Exception):
    """What came is no whole answer; its text says why."""


class Reply:
    """One answer. Feed it until it wants no more, then ask for its status and its words."""

    __slots__ = ("_body", "_chunked", "_length", "_raw", "_seen", "status")

    def __init__(self) -> None:
        self.status = 0
        self._raw = bytearray()
        self._seen = 0
        self._body: int | None = None  # where it begins, once the head is there
        self._chunked = False
        self._length: int | None = None

    def feed(self, piece: bytes) -> bool:
        """Take in a piece; an empty one is the end. True if nothing more is wanted.

        Raises:
            BadReply: It is not HTTP, or it ended too early.
        """
        if not piece:
            self._ended()
            return True
        searched = max(0, len(self._raw) - 3)
        self._raw += piece
        self._seen += len(piece)
        if self._body is None:
            self._read_head(searched)
        return self._is_whole() or self._is_enough()

    def words(self) -> str:
        """The status and the first line of the body, made fit for a terminal."""
        line = self._first_line()
        return f"status {self.status}: {line}" if line else f"status {self.status}"

    def _read_head(self, searched: int) -> None:
        if not self._raw.startswith(_START[: len(self._raw)]):
            raise BadReply("the answer is not HTTP")
        found = _HEAD_END.search(self._raw, searched)
        if found is None:
            return
        status = _STATUS.match(self._raw)
        if status is None:
            raise BadReply("the answer is not HTTP")
        self.status = int(status[1])
        if self.status < 200 and self.status != _SWITCHING:  # more to come: the answer follows
            del self._raw[: found.end()]
            self._read_head(0)
            return
        self._body = found.end()
        self._read_length(found.end())

    def _read_length(self, end: int) -> None:
        if self.status in _BODILESS or self.status == _SWITCHING:
            self._length = 0
        elif _CHUNKED.search(self._raw, 0, end):
            self._chunked = True
        elif length := _LENGTH.search(self._raw, 0, end):
            self._length = int(length[1])

    def _is_whole(self) -> bool:
        if self._body is None:
            return False
        if self._chunked:
            return self._raw.endswith(_LAST_CHUNK, self._body)
        return self._length is not None and len(self._raw) - self._body >= self._length

    def _is_enough(self) -> bool:
        if self._seen < MOST:
            return False
        if self._body is None:
            raise BadReply(f"the answer is not HTTP: its head is longer than {MOST} bytes")
        return True

    def _ended(self) -> None:
        if not self._seen:
            raise BadReply("the connection was closed without an answer")
        announced = self._chunked or self._length is not None
        if self._body is None or (announced and not self._is_whole()):
            raise BadReply("the answer broke off")

    def _first_line(self) -> str:
        body = bytes(self._raw[self._body : (self._body or 0) + 4 * _SHOWN])
        if self._chunked:
            body = body.partition(b"\r\n")[2].partition(b"\r\n")[0]
        lines = body.decode(errors="replace").strip().splitlines()
        line = lines[0][:_SHOWN] if lines else ""
        if line.isprintable():
            return line
        return "".join(each if each.isprintable() else " " for each in line)
