"""Chunks that came and were not read yet, without IO: never more than a stream may pile up.

While only other streams are waited for, a full backlog stops the reading of the socket, which
slows the daemon down. While an answer is waited for, or when the full stream's reader seems to
have gone, it is read on: then the stream is cut off once it is too far behind.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from swarmd.errors import SwarmError, Unavailable
from swarmd.messages.wire import Chunk

MAX_WAITING: Final = 512
"""Chunks that make a backlog full."""

MAX_WAITING_BYTES: Final = 1 << 20
"""Bytes that make a backlog full."""

MAX_BACKLOG: Final = 4 << 20
"""Bytes at which a stream is cut off."""

PATIENCE_SECONDS: Final = 10.0
"""How long others wait for the reader of a full backlog to take something."""


class Backlog:
    """What one stream has waiting.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.bytes = 0
        self._clock = clock
        self._touched = clock()
        self._chunks: deque[Chunk] = deque()
        self._cut: SwarmError | None = None

    def __len__(self) -> int:
        return len(self._chunks)

    @property
    def is_full(self) -> bool:
        """Whether no more should be read for it."""
        return len(self._chunks) >= MAX_WAITING or self.bytes >= MAX_WAITING_BYTES

    @property
    def is_stalled(self) -> bool:
        """Whether nobody has taken anything for a while."""
        return self._clock() - self._touched >= PATIENCE_SECONDS

    def put(self, chunk: Chunk) -> None:
        """Keep a chunk; a stream that is too far behind loses everything."""
        if self._cut is not None:
            return
        self._chunks.append(chunk)
        self.bytes += size_of(chunk)
        if self.bytes > MAX_BACKLOG:
            self._cut = _too_slow(chunk.stream)
            self._chunks.clear()
            self.bytes = 0

    def take(self) -> Chunk | None:
        """The next chunk; None if none waits.

        Raises:
            Unavailable: It was not read for so long that it was cut off.
        """
        self._touched = self._clock()
        if self._cut is not None:
            raise self._cut
        if not self._chunks:
            return None
        chunk = self._chunks.popleft()
        self.bytes -= size_of(chunk)
        return chunk


def size_of(chunk: Chunk) -> int:
    """Bytes that a chunk takes, near enough."""
    if chunk.data_b64 is not None:
        return len(chunk.data_b64)
    return len(chunk.data) if isinstance(chunk.data, str) else len(msgspec.json.encode(chunk.data))


def _too_slow(stream_id: str) -> Unavailable:
    return Unavailable(
        f"the stream {stream_id} was not read while {MAX_BACKLOG} bytes of it came",
        next_step="Read it as fast as it comes, or give it a connection of its own.",
        details={"limit": MAX_BACKLOG},
    )
