"""The lines that stand above everything of one instance: how it is, what is done to it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from swarmd.messages.instance import Instance
from swarmd.messages.operation import Operation
from tui.model.doing import progressing
from tui.model.rows import Row, runs_since
from tui.model.text import Line, clean, line
from tui.model.words import HEALTH_TONES, since, tone_of_status


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
    begun = runs_since(known)
    up = f"  up {since(begun, now)}" if begun is not None else ""
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
            (progressing(each), ""),
            (f"  {took} · X cancels", "dim"),
        )
