"""How values read: ages, sizes, times; nothing that could steer a terminal."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

_AGES = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_SIZES = ((1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K"))


def safe(value: object) -> str:
    """One line of text: control characters are shown, not sent."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def safe_lines(text: str) -> str:
    """The same for several lines, which stay several."""
    return "\n".join(map(safe, text.split("\n")))


def age(moment: str | None, now: datetime | None = None) -> str:
    """How long ago an RFC 3339 time was: ``3d``, ``5m``; a dash without one."""
    if not moment:
        return "-"
    return _length(int(((now or datetime.now(UTC)) - parse_time(moment)).total_seconds()))


def _length(seconds: int) -> str:
    for length, unit in _AGES:
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return "0s"


def left(moment: str | None, now: datetime | None = None) -> str:
    """How long until an RFC 3339 time: ``1h 59m``, ``12s``; nothing if it is over.

    A second that has begun counts: what is to last for two hours does so for ``2h`` at first.
    """
    if not moment:
        return ""
    seconds = math.ceil((parse_time(moment) - (now or datetime.now(UTC))).total_seconds())
    parts = []
    for length, unit in _AGES:
        if seconds >= length:
            parts.append(f"{seconds // length}{unit}")
            seconds %= length
    return " ".join(parts[:2])


def clock(moment: str | None) -> str:
    """An RFC 3339 time in the reader's zone: ``2026-01-31 12:00:00``."""
    return parse_time(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else "-"


def parse_time(moment: str) -> datetime:
    """An RFC 3339 time."""
    return datetime.fromisoformat(moment)


def size(count: float | None) -> str:
    """Bytes in the largest unit that leaves at least one: ``1.5G``; a dash for unknown."""
    if count is None:
        return "-"
    for factor, unit in _SIZES:
        if count >= factor:
            number = count / factor
            return f"{number:.0f}{unit}" if number >= 10 else f"{number:.1f}{unit}"
    return f"{count:.0f}B"


def took(seconds: float | None) -> str:
    """A latency in one word: ``12ms``, ``1.5s``; a dash for none."""
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.0f}ms" if seconds < 1 else f"{seconds:.1f}s"


def yes(value: object) -> str:
    """A truth in a table."""
    return "yes" if value else "no"


def dash(value: object) -> str:
    """Text, or a dash where there is none."""
    return "-" if value is None or value == "" else safe(value)


def pairs(value: dict[str, Any] | None) -> str:
    """``a=1,b=2``; a dash if empty."""
    return ",".join(f"{key}={safe(item)}" for key, item in (value or {}).items()) or "-"
