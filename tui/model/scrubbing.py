"""What stands above the events: what is shown, and where in time one is. Pure."""

from __future__ import annotations

from datetime import datetime

from tui.model.reel import Reel
from tui.model.text import Line
from tui.model.words import since


def live_line(count: int, new: int, narrowed: str, *, online: bool = True) -> tuple[Line, ...]:
    """Of the events as they come.

    Args:
        count: How many are at hand.
        new: How many came since one scrolled up.
        narrowed: The filter.
        online: Whether more can come.
    """
    state = ("● live ", "good") if online else ("● up to when the connection was lost ", "warn")
    pieces: list[tuple[str, str]] = [state, (f"{count} events", "dim")]
    if new:
        pieces.append((f" · {new} new below, G goes there", "warn"))
    if narrowed:
        pieces.append((f" · only {narrowed}, escape shows all", "busy"))
    return (tuple(pieces),)


def past_line(reel: Reel, now: datetime, new: int) -> tuple[Line, ...]:
    """Of a moment that has passed.

    Args:
        reel: Where one stands.
        now: The time, UTC.
        new: How many events came meanwhile.
    """
    moment = reel.moment
    at = moment.at.astimezone()
    day = f"{at:%Y-%m-%d} " if at.date() != now.astimezone().date() else ""
    first: list[tuple[str, str]] = [
        ("◀ as it was ", "warn"),
        (f"{day}{at:%H:%M:%S}", "title"),
        (f", {since(moment.at, now)} ago", ""),
        (f" · event {reel.seq} of {max(reel.last_seq, reel.seq)}", "dim"),
    ]
    if new:
        first.append((f" · {new} new since", "dim"))
    lines: list[Line] = [tuple(first)]
    if reel.oldest and reel.at == 0:
        lines.append((("Earlier events are not kept: this is the oldest table.", "warn"),))
    elif moment.gap:
        lines.append((("Events are missing that led here: some rows may be older.", "warn"),))
    return tuple(lines)
