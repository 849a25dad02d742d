"""Sessions and uploads that are kept in memory."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable

from swarmd.errors import (
    ResourceLimitError,
)


class BytesSession:
    """A session over pieces that are there already; input is what was written to it.

    Args:
        pieces: Output as (stream name, bytes).
        exit_code: What ``result`` gives; None for a log.
        endless: After the pieces ``read`` blocks until ``close``, as a followed log does.
        echo: What is written comes out again, until the input is closed, as ``cat`` does.
    """

    def __init__(
        self,
        pieces: Iterable[tuple[str, bytes]],
        exit_code: int | None = None,
        *,
        endless: bool = False,
        echo: bool = False,
    ) -> None:
        self._pieces = iter(pieces)
        self._exit_code = exit_code
        self._waits = endless or echo
        self._echo = echo
        self._more: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        self.written = b""
        self.reads = 0
        self.bytes_read = 0
        self.closed = threading.Event()
        self.input_closed = threading.Event()

    def read(self) -> tuple[str, bytes] | None:
        if self.closed.is_set():
            return None
        self.reads += 1
        piece = next(self._pieces, None)
        if piece is None and self._waits:
            piece = self._more.get()
        self.bytes_read += len(piece[1]) if piece else 0
        return piece

    def write(self, data: bytes) -> None:
        self.written += data
        if self._echo:
            self._more.put(("stdout", data))

    def close_input(self) -> None:
        self.input_closed.set()
        if self._echo:
            self._more.put(None)

    def result(self) -> int | None:
        return self._exit_code

    def close(self) -> None:
        self.closed.set()
        self._more.put(None)


class DeafSession(BytesSession):
    """A command that never reads its input: ``write`` blocks until ``close``."""

    def __init__(self) -> None:
        super().__init__([], endless=True)
        self.writing = threading.Event()

    def write(self, data: bytes) -> None:
        self.writing.set()
        self.closed.wait()


class MemoryUpload:
    """An upload that is kept in memory.

    While ``full`` a write fails; if ``slow`` it waits until ``go`` is set.
    """

    def __init__(self, name: str, finished: dict[str, bytes]) -> None:
        self.full = False
        self.slow = False
        self.go = threading.Event()
        self.writing = threading.Event()
        self.aborted_while_writing = False
        self._name = name
        self._finished = finished
        self._data = b""
        self.aborted = threading.Event()

    def write(self, data: bytes) -> int:
        if self.full:
            raise ResourceLimitError("no space left")
        self.writing.set()
        if self.slow:
            self.go.wait(10)
        self._data += data
        self.writing.clear()
        return len(self._data)

    def finish(self) -> str:
        self._finished[self._name] = self._data
        return self._name

    def abort(self) -> None:
        self.aborted_while_writing = self.writing.is_set()
        self.aborted.set()
