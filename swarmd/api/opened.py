"""The streams that one connection has open, and the threads that feed its commands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar

from swarmd.api.threads import Threads
from swarmd.errors import ResourceLimitError, SwarmError, ValidationError

T = TypeVar("T")

MAX_STREAMS: Final = 64
MAX_INPUTS: Final = 8
"""Commands of one connection that may block on their input at a time."""


class Stream(Protocol):
    """One stream of a connection."""

    id: str

    def start(self) -> None:
        """The client knows the id now: chunks may follow."""

    async def write(self, data: bytes, *, end: bool) -> Any:
        """Take bytes from the client; answers ``Written``."""

    def close(self, error: SwarmError | None = None) -> None:
        """End it now: the client wants no more, or ``error`` tells why."""

    def drop(self) -> None:
        """The client is gone: let go of everything. Idempotent."""


class OpenStreams:
    """A connection's streams by their ids.

    Args:
        on_forgotten: Told when one has ended.
    """

    def __init__(self, on_forgotten: Callable[[], None]) -> None:
        self._on_forgotten = on_forgotten
        self._by_id: dict[str, Stream] = {}
        self._count = 0
        self._inputs: Threads | None = None

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, make: Callable[[str], Stream]) -> Stream:
        """Keep a new stream; raises ``ResourceLimitError`` if there are too many."""
        if len(self._by_id) >= MAX_STREAMS:
            raise ResourceLimitError(
                f"this connection has {MAX_STREAMS} streams open",
                next_step="Close one with stream.close, or open another connection.",
            )
        self._count += 1
        stream = make(f"s{self._count}")
        self._by_id[stream.id] = stream
        return stream

    def find(self, stream_id: str) -> Stream:
        """One of this connection's streams; raises ``ValidationError``."""
        stream = self._by_id.get(stream_id)
        if stream is None:
            raise ValidationError(
                f"this connection has no stream {stream_id!r}: it has ended or was never opened",
                field="stream",
                next_step="Use the id that the reply to the opening request gave.",
            )
        return stream

    def get(self, stream_id: str) -> Stream | None:
        """The same, None if there is none."""
        return self._by_id.get(stream_id)

    def forget(self, stream_id: str) -> None:
        """It has ended."""
        self._by_id.pop(stream_id, None)
        self._on_forgotten()

    async def feed(self, function: Callable[[], T]) -> T:
        """Run what hands bytes to a command: it blocks while the command does not read.

        The threads are the connection's own: commands that read nothing hold up no other
        client. They are woken when their sessions are closed, at the latest when the client
        disconnects.

        Raises:
            ResourceLimitError: No thread can be started.
        """
        if self._inputs is None:
            self._inputs = Threads("swarmd-input", MAX_INPUTS)
        try:
            work = self._inputs.submit(function)
        except RuntimeError as error:
            raise no_thread(error) from error
        return await asyncio.wrap_future(work)

    def close_all(self, error: SwarmError) -> None:
        """End them and say why."""
        for stream in list(self._by_id.values()):
            stream.close(error)

    def drop_all(self) -> None:
        """The client is gone: let go of everything, also of who is told."""
        for stream in list(self._by_id.values()):
            stream.drop()
        self._by_id.clear()
        self._on_forgotten = _nobody
        if self._inputs is not None:
            self._inputs.end(cancel=True)


def _nobody() -> None:
    """Told when streams end whose connection is gone: it would else be a ring with them."""


def no_thread(error: RuntimeError) -> ResourceLimitError:
    """A pool could not start a thread."""
    return ResourceLimitError(
        "no thread can be started for this",
        next_step="Close some streams, or raise the limit on processes (ulimit -u).",
        details={"cause": str(error)},
    )
