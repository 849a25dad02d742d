"""Streams in pieces of a good size: not a packet for every file, not a copy of every block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

_ENOUGH = 1 << 17


def gathered(pieces: Iterable[bytes | memoryview], enough: int = _ENOUGH) -> Iterator[bytes]:
    """The same bytes, small pieces put together until they are enough.

    Args:
        pieces: Of any size; large ones are not put together with others.
        enough: Bytes. Every piece but the last has at least half as many.
    """
    waiting: list[bytes | memoryview] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= enough:
            if len(waiting) > 1 and len(piece) >= enough and size - len(piece) >= enough // 2:
                yield b"".join(waiting[:-1])  # no need to copy the large one
                yield bytes(piece)
            else:
                yield bytes(piece) if len(waiting) == 1 else b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
