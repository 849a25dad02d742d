"""An operation on its way, and the lines that stand above everything of one instance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from rich.text import Text

from swarmd.messages.instance import Instance
from swarmd.messages.operation import Operation
from tui.model.rows import Row
from tui.model.text import clean
from tui.model.words import HEALTH_TONES, since, tone_of_status

_WIDTH: Final = 12
_COLOURS: Final = {
    "good": "green",
    "warn": "yellow",
    "bad": "bold red",
    "busy": "cyan",
    "dim": "dim",
}


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
) -> Text:
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
        return Text(clean(title) or "an instance", style="bold", no_wrap=True)
    gone = row is None
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(clean(known.ref), "bold")
    text.append("  ")
    text.append("gone" if gone else str(known.status), _COLOURS[tone_of_status(known.status)])
    text.append(f"  {known.health}", _COLOURS[HEALTH_TONES[known.health]])
    text.append(f"  at {clean(known.provider)}", "dim")
    if known.started_at is not None:
        text.append(f"  up {since(known.started_at, now)}", "dim")
    for each in running[:2]:
        took = since(each.started_at or each.created_at, now)
        text.append(f"\n{each.kind} ", "cyan bold")
        text.append(" ".join(filter(None, (bar(each.progress.fraction), doing(each)))))
        text.append(f"  {took} · X cancels", "dim")
    return text
