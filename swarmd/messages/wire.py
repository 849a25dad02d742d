"""What both ends of the socket must agree on: how long a line is, what a stream's chunk holds."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

PROTOCOL: Final = 1
"""Raised when a client of before would no longer be understood."""

MAX_FRAME: Final = 1 << 20
"""Bytes of one line, in either direction (DESIGN section 6)."""

PIECE: Final = 128 << 10
"""Bytes that one chunk or one ``stream.write`` carries at most.

As text each may need six bytes, and a line has room for ``MAX_FRAME``.
"""


class Chunk(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The params of a ``stream`` notification.

    ``data`` is text, an event or any JSON; ``data_b64`` is bytes. ``channel`` tells stdout
    from stderr. The last one has ``end`` and, of a command, ``exit_code``, or ``error``.
    """

    stream: str
    seq: int
    data: Any = None
    data_b64: str | None = None
    channel: str | None = None
    end: bool = False
    exit_code: int | None = None
    error: dict[str, Any] | None = None

    @property
    def bytes(self) -> bytes:
        """What it carries, however it was spelled; nothing for an event."""
        if self.data_b64 is not None:
            import base64  # few commands get bytes

            return base64.b64decode(self.data_b64)
        return self.data.encode() if isinstance(self.data, str) else b""
