"""Where an answer goes: onto the socket, or into the array of its batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from swarmd.api import wire
from swarmd.api.call import Stream
from swarmd.api.framing import MAX_FRAME


class Sink(Protocol):
    """Takes the answer to one request: exactly once."""

    def put(self, answer: bytes | None, then: Callable[[], None] | None = None) -> None:
        """The answer, None for a notification's; ``then`` runs once it is on its way."""


class Opened:
    """A handler's answer that opens a stream: chunks follow the reply, never precede it."""

    __slots__ = ("reply", "stream")

    def __init__(self, stream: Stream, reply: object) -> None:
        self.stream = stream
        self.reply = reply


class Batch:
    """Collects the answers of one batch and sends them as one array.

    Args:
        size: Requests in it.
        send: Where the array goes.
    """

    def __init__(self, size: int, send: Callable[[bytes | None], None]) -> None:
        self._missing = size
        self._send = send
        self._answers: list[bytes] = []
        self._bytes = 0
        self._after: list[Callable[[], None]] = []

    def put(self, answer: bytes | None, then: Callable[[], None] | None = None) -> None:
        """One answer; the last sends them all."""
        if answer is not None:
            self._keep(answer)
        if then is not None:
            self._after.append(then)
        self._missing -= 1
        if self._missing == 0:
            self._send(b"[" + b",".join(self._answers) + b"]" if self._answers else None)
            for follow in self._after:
                follow()

    def _keep(self, answer: bytes) -> None:
        if self._bytes + len(answer) > MAX_FRAME:
            answer = wire.encode_too_large(answer)
        self._answers.append(answer)
        self._bytes += len(answer)
