"""What the tests of channels share: frames, and what came of them."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TypeVar

import pytest

from swarmd.providers.docker.channel import Channel

T = TypeVar("T")
SECONDS = 20
"""What must happen has happened by then."""


def frame(number: int, data: bytes) -> bytes:
    """A piece of a stream with its head; 1 is output, 2 errors, 3 the engine's own trouble."""
    return bytes([number, 0, 0, 0]) + len(data).to_bytes(4) + data


def everything(channel: Channel) -> list[tuple[str, bytes]]:
    """What comes out until the end."""
    return list(iter(channel.read, None))


def joined(pieces: list[tuple[str, bytes]]) -> dict[str, bytes]:
    """The same by stream, however it was cut."""
    told = {"stdout": b"", "stderr": b""}
    for stream, data in pieces:
        told[stream] += data
    return told


def blocked(future: Future[T]) -> bool:
    """Whether a call still has not come back after a moment."""
    with pytest.raises(TimeoutError):
        future.result(0.05)
    return True
