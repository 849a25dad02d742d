"""Moments as people write them: ``10m ago``, ``12:30``, ``2026-11-20 12:30``. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)[a-z]*\s*", re.IGNORECASE)
_CLOCK: Final = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
WRITE: Final = "Write 10m, 1h 30m ago, 12:30, 12:30:15 or 2026-11-20 12:30."


def moment_of(text: str, now: datetime) -> datetime:
    """The moment that somebody means; a time of day is the last that has passed.

    Args:
        text: What was typed.
        now: The time, with its zone.

    Raises:
        ValueError: It is no moment, or none that has passed; the message says what to write.
    """
    words = text.strip().lower().removesuffix("ago").strip()
    if (seconds := _span(words)) is not None:
        return now - timedelta(seconds=seconds)
    here = now.astimezone()
    if (found := _CLOCK.fullmatch(words)) is not None:
        hour, minute, second = (int(part or 0) for part in found.groups())
        try:
            at = here.replace(hour=hour, minute=minute, second=second, microsecond=0)
        except ValueError:
            raise ValueError(f"{text!r} is no time of day. {WRITE}") from None
        return at if at <= here else at - timedelta(days=1)
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is no moment. {WRITE}") from None
    at = at if at.tzinfo is not None else at.replace(tzinfo=here.tzinfo)
    if at > now:
        raise ValueError(f"{text!r} has not come yet. {WRITE}")
    return at


def _span(text: str) -> float | None:
    """Seconds; None if it is no time span."""
    parts = list(_PART.finditer(text))
    if not parts or "".join(each.group() for each in parts) != text:
        return None
    return sum(float(each.group(1)) * _UNITS[each.group(2).lower()] for each in parts)
