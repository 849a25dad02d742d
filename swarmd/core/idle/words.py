"""How lengths of time and moments are told."""

from __future__ import annotations

from datetime import datetime

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def length(seconds: float) -> str:
    """A length of time in its two largest units: ``2 h``, ``1 h 30 min``, ``40 s``."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for size, unit in _UNITS:
        if left >= size and len(parts) < 2:
            parts.append(f"{left // size} {unit}")
            left %= size
        elif parts:
            break
    return " ".join(parts) or "0 s"


def moment(at: datetime) -> str:
    """A moment to the second, UTC: a story is read by people in several zones."""
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")
