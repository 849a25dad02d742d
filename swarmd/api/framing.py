"""Bytes into lines, without IO: one JSON document per line, none of them too long."""

from __future__ import annotations

from enum import Enum

from swarmd.messages.wire import MAX_FRAME


class Oversize(Enum):
    """Stands for a line that was refused unread."""

    FRAME = "frame"


class Framer:
    """Cuts a stream of bytes at newlines; a line over the limit is discarded as it comes.

    It holds at most one line and what was fed last: whoever feeds it takes the lines out
    before feeding more.

    Args:
        limit: Bytes of the longest line that is let through, without its newline.
    """

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._scanned = 0
        self._discarding = False

    def feed(self, data: bytes) -> None:
        """Take what the transport gave."""
        self._buffer += data

    def next(self) -> bytes | Oversize | None:
        """The next line that is not blank; None until more is fed."""
        while (end := self._buffer.find(b"\n", self._scanned)) >= 0:
            frame = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._scanned = 0
            if self._discarding:
                self._discarding = False
            elif len(frame) > self._limit:
                return Oversize.FRAME
            elif frame and not frame.isspace():
                return frame
        return self._wait_for_more()

    def _wait_for_more(self) -> Oversize | None:
        self._scanned = len(self._buffer)
        if not self._discarding and self._scanned <= self._limit:
            return None
        self._buffer.clear()
        self._scanned = 0
        refused_now = not self._discarding
        self._discarding = True
        return Oversize.FRAME if refused_now else None

    def rest(self) -> bytes | None:
        """At the end of the stream: the line that lacks its newline, if there is one."""
        frame = b"" if self._discarding else bytes(self._buffer)
        self._buffer.clear()
        self._scanned = 0
        return frame if frame and not frame.isspace() else None

    @property
    def is_empty(self) -> bool:
        """Whether what is fed next begins a line."""
        return not self._buffer and not self._discarding


def is_one_object(data: bytes) -> bool:
    """Whether these bytes are one line, whole, that looks like an object."""
    last = len(data) - 1
    return data[0] == ord("{") and last <= MAX_FRAME and data.find(b"\n") == last
