"""Health as text: the four checks, and the history as a chart that any terminal can show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from swarmd.messages.enums import HealthStatus
from swarmd.messages.health import Check, CheckKind, HealthPoint, InstanceHealth
from tui.model.text import BLANK, Line, Piece, folded, line, plain, titled
from tui.model.words import HEALTH_TONES, clock, duration, since

_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_WORST: Final = (
    HealthStatus.UNHEALTHY,
    HealthStatus.RECOVERING,
    HealthStatus.DEGRADED,
    HealthStatus.UNKNOWN,
    HealthStatus.HEALTHY,
)
_SIGNS: Final = {
    HealthStatus.HEALTHY: "▔",
    HealthStatus.DEGRADED: "▪",
    HealthStatus.UNHEALTHY: "█",
    HealthStatus.RECOVERING: "◆",
    HealthStatus.UNKNOWN: "·",
}
"""Told apart without colours as well."""

_QUESTIONS: Final = {
    CheckKind.EXISTS: "is it there?",
    CheckKind.STATUS: "is it as wished?",
    CheckKind.RESPONDS: "does it answer?",
    CheckKind.RESOURCES: "has it room?",
}
_LATEST: Final = 20


def checkup(health: InstanceHealth, *, now: datetime, width: int, height: int) -> Iterator[Line]:
    """The conclusion, the checks, the chart, the latest points that were not well.

    Args:
        health: How it is.
        now: The time, UTC.
        width: Cells of a line.
        height: Lines that are seen at once: the chart takes what is left over.
    """
    lasts = "" if health.since is None else f" for {since(health.since, now)}"
    asked = (
        "never asked" if health.last_checked is None else f"asked at {clock(health.last_checked)}"
    )
    tone = HEALTH_TONES[health.status]
    yield ((f"{health.status}{lasts}", tone), (f"  {asked}; a asks again", "dim"))
    for part in folded(health.details, width):
        yield line(part)
    yield BLANK
    yield from check_lines(health.checks, width)
    if health.history:
        yield BLANK
        yield from chart(health.history, width=width, height=max(4, min(12, height - 16)))
        yield from _not_well(health.history, width)


def check_lines(checks: Sequence[Check], width: int) -> Iterator[Line]:
    """One check in a line, its words below it where they do not fit beside."""
    yield ((f"{'CHECK':<28}{'VERDICT':<11}{'VALUE':>18}  {'LIMIT':<16}", "title"),)
    for check in checks:
        head = f"{check.kind}: {_QUESTIONS[check.kind]}"
        value, limit = figure(check, check.value), figure(check, check.limit)
        yield (
            (f"{head:<28}", ""),
            (f"{check.verdict:<11}", HEALTH_TONES[check.verdict]),
            (f"{value:>18}", ""),
            (f"  {limit:<16}", "dim"),
        )
        for part in folded(check.message, width - 4):
            yield line(f"    {part}", "dim")


def figure(check: Check, value: float | str | None) -> str:
    """What a check found, or its limit, with its unit."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if check.kind is CheckKind.RESOURCES:
        return f"{value:.0%}"
    return duration(value) if check.kind is CheckKind.RESPONDS else f"{value:g}"


def chart(points: Sequence[HealthPoint], *, width: int, height: int) -> Iterator[Line]:
    """How long answers took, and how it was, from the oldest point on the left to now.

    Each column is a span of time: its slowest answer, and its worst status. A span in which
    nothing was asked is empty.

    Args:
        points: Oldest first, at least one.
        width: Cells of a line.
        height: Lines of the bars.
    """
    room = max(10, width - 9)
    spans = columns(points, room)
    top = max((s.seconds for s in points if s.seconds is not None), default=0.0) or 1e-3
    yield titled("Answers took")
    for row in range(height - 1, -1, -1):
        label = duration(top) if row == height - 1 else "0" if row == 0 else ""
        cells = [_bar(column, top, row, height) for column in spans]
        yield ((f"{label:>7} ", "dim"), *_joined(cells))
    yield ((f"{'status':>7} ", "dim"), *_joined([_status(column) for column in spans]))
    yield from _times(points, len(spans))


def _times(points: Sequence[HealthPoint], room: int) -> Iterator[Line]:
    """When it began and ended, what the signs mean between the two or, without room, below."""
    seen = {point.status for point in points}
    signs: list[Piece] = []
    for status in (status for status in reversed(_WORST) if status in seen):
        signs += [(_SIGNS[status], HEALTH_TONES[status]), (f" {status} ", "dim")]
    first, last = clock(points[0].at), clock(points[-1].at)
    free = room - len(first) - len(last) - len(plain(tuple(signs)))
    pad = " " * (max(1, free // 2))
    if free >= 2:
        rest = " " * (free - len(pad))
        yield ((f"{'':8}{first}{pad}", "dim"), *signs, (f"{rest}{last}", "dim"))
    else:
        yield ((f"{'':8}{first}{last.rjust(max(9, room - len(first)))}", "dim"),)
        yield (("        ", ""), *signs)


def columns(points: Sequence[HealthPoint], room: int) -> list[tuple[HealthPoint, ...]]:
    """The points of each span of time; where there are few, each has a column of its own."""
    if len(points) <= room:
        return [(point,) for point in points]
    first, last = points[0].at, points[-1].at
    length = (last - first).total_seconds() / room or 1.0
    found: list[list[HealthPoint]] = [[] for _ in range(room)]
    for point in points:
        found[min(room - 1, int((point.at - first).total_seconds() / length))].append(point)
    return [tuple(each) for each in found]


def worst(points: Sequence[HealthPoint]) -> HealthStatus:
    """The worst status of some points, at least one."""
    return min((point.status for point in points), key=_WORST.index)


def _bar(column: Sequence[HealthPoint], top: float, row: int, height: int) -> tuple[str, str]:
    slowest = max((p.seconds for p in column if p.seconds is not None), default=None)
    if slowest is None:
        return " ", ""
    eighths = max(1, round(slowest / top * height * 8)) - row * 8
    return _EIGHTHS[max(0, min(8, eighths))], HEALTH_TONES[worst(column)]


def _status(column: Sequence[HealthPoint]) -> tuple[str, str]:
    if not column:
        return " ", ""
    status = worst(column)
    return _SIGNS[status], HEALTH_TONES[status]


def _joined(cells: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Neighbours of one tone are one piece."""
    found: list[tuple[str, str]] = []
    for text, tone in cells:
        if found and found[-1][1] == tone:
            found[-1] = found[-1][0] + text, tone
        else:
            found.append((text, tone))
    return found


def _not_well(points: Sequence[HealthPoint], width: int) -> Iterator[Line]:
    ill = [run for run in runs(points) if run[0].status is not HealthStatus.HEALTHY][-_LATEST:]
    if not ill:
        return
    yield BLANK
    yield titled("Not well")
    for first, last, count in reversed(ill):
        until = f" to {clock(last.at)}" if count > 1 else ""
        head = f"{clock(first.at)}{until:<12}  {first.status:<11}"
        for number, part in enumerate(folded(first.message, max(20, width - len(head)))):
            shown = head if number == 0 else " " * len(head)
            yield ((shown, HEALTH_TONES[first.status]), (part, ""))


def runs(points: Sequence[HealthPoint]) -> list[tuple[HealthPoint, HealthPoint, int]]:
    """Points that say the same one after the other: the first, the last, how many."""
    found: list[tuple[HealthPoint, HealthPoint, int]] = []
    for point in points:
        first, _, count = found[-1] if found else (point, point, 0)
        if count and (first.status, first.message) == (point.status, point.message):
            found[-1] = first, point, count + 1
        else:
            found.append((point, point, 1))
    return found
