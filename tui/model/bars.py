"""Bars: how much there is of a whole, full to an eighth of a cell. Pure."""

from __future__ import annotations

from typing import Final

_EIGHTHS: Final = " ▏▎▍▌▋▊▉"


def bar(part: float | None, whole: float | None, width: int) -> str:
    """A bar of so many cells, full to an eighth of a cell; empty if there is no whole."""
    if part is None or not whole:
        return " " * width
    eighths = round(min(1.0, max(0.0, part / whole)) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width, "·")


def progress(fraction: float | None, width: int = 12) -> str:
    """A bar with its share: ``██████······  50%``; nothing if nobody knows how far it is."""
    return "" if fraction is None else f"{bar(fraction, 1.0, width)} {fraction:4.0%}"
