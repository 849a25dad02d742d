"""What goes to one client: gathered while its requests are handled, held back while it is full."""

from __future__ import annotations

import asyncio
from typing import Final

MAX_UNSENT: Final = 256 << 10
"""Bytes that the client may leave unread before its sources pause (DESIGN section 6)."""

_FLUSH_AT = 64 << 10


class Outgoing:
    """Bytes on their way to the client.

    Args:
        transport: Where they go; its buffer's limit is set.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._gathering = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended = False
        transport.set_write_buffer_limits(high=MAX_UNSENT)

    def write(self, data: bytes) -> None:
        """Send these; nothing once the connection has ended."""
        if self._gathering:
            self._gathered.append(data)
            self._gathered_bytes += len(data)
            if self._gathered_bytes >= _FLUSH_AT:
                self._flush()
        elif not self._ended:
            self._transport.write(data)

    def gather(self) -> None:
        """From now on keep what is written: one system call for the answers to many requests."""
        self._gathering = True

    def release(self) -> None:
        """Send what was gathered."""
        self._gathering = False
        self._flush()

    def _flush(self) -> None:
        if self._gathered and not self._ended:
            data = self._gathered[0] if len(self._gathered) == 1 else b"".join(self._gathered)
            self._transport.write(data)
        self._gathered.clear()
        self._gathered_bytes = 0

    def pause(self) -> None:
        """The client does not take what is sent."""
        self._writable.clear()

    def resume(self) -> None:
        """It took enough."""
        self._writable.set()

    def end(self) -> None:
        """The client is gone: whoever waits goes on, into nothing."""
        self._ended = True
        self._writable.set()

    @property
    def is_writable(self) -> bool:
        """Whether the client takes what is sent, or is gone."""
        return self._writable.is_set()

    async def drained(self) -> None:
        """Wait until the client has taken what was sent, but for 256 KiB."""
        while not self._writable.is_set():
            await self._writable.wait()
