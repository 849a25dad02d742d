"""Alerts in a table: those that nobody has taken over first. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from swarmd.messages.alert import Alert
from swarmd.messages.enums import AlertSeverity, AlertState
from tui.model.fuzzy import fuzzy
from tui.model.text import BLANK, Line, facts
from tui.model.words import span

_RANKS: Final = {AlertState.ACTIVE: 0, AlertState.ACKNOWLEDGED: 1, AlertState.RESOLVED: 2}


def urgency(alert: Alert) -> tuple[int, bool, float]:
    """What the table is sorted by: state, how bad it is, then the newest first."""
    newest = alert.resolved_at or alert.raised_at
    milder = alert.state is AlertState.ACTIVE and alert.severity is not AlertSeverity.ERROR
    return _RANKS[alert.state], milder, -newest.timestamp()


def tone_of(alert: Alert) -> str:
    """The colour of an alert."""
    if alert.state is AlertState.RESOLVED:
        return "dim"
    if alert.state is AlertState.ACKNOWLEDGED:
        return "busy"
    return "bad" if alert.severity is AlertSeverity.ERROR else "warn"


def lasts(alert: Alert, now: datetime) -> str:
    """How long it went on, or has gone on so far."""
    return span(((alert.resolved_at or now) - alert.raised_at).total_seconds())


def fits(alert: Alert, text: str) -> bool:
    """Whether an alert fits a filter."""
    return fuzzy(text)(
        f"{alert.type} {alert.severity} {alert.state} {alert.subject} {alert.message}"
    )


def counts(alerts: Mapping[str, Alert], *, past: bool) -> Line:
    """How many there are, by how they are.

    Args:
        alerts: Those that are known.
        past: Whether those that ended are among them: nobody is told of none before.
    """
    states = [each.state for each in alerts.values()]
    active = states.count(AlertState.ACTIVE)
    resolved = f" · {states.count(AlertState.RESOLVED)} resolved lately" if past else ""
    return (
        (f"{active} active", "bad" if active else "good"),
        (f" · {states.count(AlertState.ACKNOWLEDGED)} acknowledged", "dim"),
        (resolved, "dim"),
    )


def details(alert: Alert, now: datetime, width: int) -> Iterator[Line]:
    """Everything of an alert.

    Args:
        alert: It.
        now: The time, UTC.
        width: Cells of a line.
    """
    pairs = [
        ("what", alert.message, tone_of(alert)),
        ("type", f"{alert.type} ({alert.severity})", ""),
        ("about", alert.subject or "everything", ""),
        ("raised", _when(alert.raised_at, now), ""),
    ]
    if alert.acknowledged_at is not None:
        by = f" by {alert.acknowledged_by}" if alert.acknowledged_by else ""
        note = f": {alert.note}" if alert.note else ""
        pairs.append(("taken over", f"{_when(alert.acknowledged_at, now)}{by}{note}", "busy"))
    if alert.resolved_at is not None:
        pairs.append(("resolved", _when(alert.resolved_at, now), "good"))
    if (step := alert.details.get("next_step")) is not None:
        pairs.append(("do", str(step), ""))
    yield from facts(pairs, width, 16)
    rest = [(key, _shown(value), "") for key, value in alert.details.items() if key != "next_step"]
    if rest:
        yield BLANK
        yield from facts(rest, width, 16)


def _when(moment: datetime, now: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}, {span((now - moment).total_seconds())} ago"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
