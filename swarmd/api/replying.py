"""Where an answer goes: onto the socket, or into the array of its batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from swarmd.api import wire
from swarmd.api.opened import Stream
from swarmd.messages.wire import MAX_FRAME


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

    The array is no longer than a line may be: room for the error that says so is kept for
    every request that is still to be answered.

    Args:
        request_ids: Of its requests, as they are echoed.
        send: Where the array goes.
    """

    def __init__(self, request_ids: Sequence[bytes], send: Callable[[bytes | None], None]) -> None:
        self.sinks = tuple(_Place(self, request_id) for request_id in request_ids)
        self._missing = len(self.sinks)
        self._send = send
        self._answers: list[bytes] = []
        self._bytes = sum(place.kept for place in self.sinks)
        self._after: list[Callable[[], None]] = []

    @property
    def fits(self) -> bool:
        """Whether there is room for the shortest answers; long ids can take it all."""
        return self._bytes <= MAX_FRAME

    def take(self, place: _Place, answer: bytes | None, then: Callable[[], None] | None) -> None:
        """One answer; the last sends them all."""
        self._bytes -= place.kept
        if answer is not None:
            self._keep(place, answer)
        if then is not None:
            self._after.append(then)
        self._missing -= 1
        if self._missing == 0:
            self._send(b"[" + b",".join(self._answers) + b"]" if self._answers else None)
            for follow in self._after:
                follow()

    def _keep(self, place: _Place, answer: bytes) -> None:
        if self._bytes + len(answer) + _COMMA > MAX_FRAME:
            answer = place.too_large()
        self._answers.append(answer)
        self._bytes += len(answer) + _COMMA


class _Place:
    """The sink of one request of a batch."""

    __slots__ = ("_batch", "_request_id", "kept")

    def __init__(self, batch: Batch, request_id: bytes) -> None:
        self._batch = batch
        self._request_id = request_id
        self.kept = _SHORTEST + len(request_id) + _COMMA

    def put(self, answer: bytes | None, then: Callable[[], None] | None = None) -> None:
        self._batch.take(self, answer, then)

    def too_large(self) -> bytes:
        """The error that stands for an answer that would make the array too long."""
        return wire.encode_too_large(self._request_id)


_COMMA = 1
_SHORTEST = len(wire.encode_too_large(b""))
