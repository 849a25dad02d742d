"""An operation on its way, and the lines that stand above everything of one instance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from swarmd.messages.instance import Instance
from swarmd.messages.operation import Operation
from tui.model.rows import Row
from tui.model.text import Line, clean, line
from tui.model.words import HEALTH_TONES, since, tone_of_status

_WIDTH: Final = 12


def bar(fraction: float | None, width: int = _WIDTH) -> str:
    """A bar with its share: ``████░░░░  50%``; nothing if nobody knows how far it is."""
    if fraction is None:
        return ""
    full = round(max(0.0, min(1.0, fraction)) * width)
    return "█" * full + "░" * (width - full) + f" {fraction:4.0%}"


def doing(operation: Operation) -> str:
    """What an operation does, or how it ended, in words."""
    if operation.error is not None:
        return clean(operation.error.message.replace("\n", " "))
    if operation.state.ended:
        return clean(operation.reason)
    asked = "to be cancelled; " if operation.cancel_requested else ""
    return asked + clean(operation.progress.message or operation.step or "waits for its turn")


def header(
    row: Row | None,
    record: Instance | None,
    running: Sequence[Operation],
    *,
    now: datetime,
    title: str,
) -> Iterator[Line]:
    """Who it is and how, and below it what is being done to it.

    Args:
        row: What the table knows of it; None: it is gone, or not there yet.
        record: What was read of it last.
        running: Its operations that are under way.
        now: The time, UTC.
        title: What it is called as long as nothing else is known.
    """
    known = row if row is not None else record
    if known is None:
        yield line(title or "an instance", "strong")
        return
    gone = row is None
    up = f"  up {since(known.started_at, now)}" if known.started_at is not None else ""
    yield (
        (clean(known.ref), "strong"),
        (f"  {'gone' if gone else known.status}", tone_of_status(known.status)),
        (f"  {known.health}", HEALTH_TONES[known.health]),
        (f"  at {clean(known.provider)}{up}", "dim"),
    )
    for each in running[:2]:
        took = since(each.started_at or each.created_at, now)
        yield (
            (f"{each.kind} ", "busy"),
            (" ".join(filter(None, (bar(each.progress.fraction), doing(each)))), ""),
            (f"  {took} · X cancels", "dim"),
        )
