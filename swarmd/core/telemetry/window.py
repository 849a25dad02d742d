"""From when, until when, in which steps: what people write, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from swarmd.errors import ValidationError
from swarmd.messages.requests import DaemonMetrics
from swarmd.messages.units import Duration

MOST_POINTS = 1000
"""Of one report: more are no table and no picture."""

_USUAL_POINTS = 30
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
_DAY = 86400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """A time in steps, both ends in it. ``since`` is a whole number of steps after 1970."""

    since: datetime
    until: datetime
    step: float

    @property
    def count(self) -> int:
        """How many steps there are; the last may end after ``until``."""
        return math.ceil(_seconds(self.until - self.since) / self.step)

    def number(self, moment: datetime) -> int | None:
        """In which step a moment lies; None if in none."""
        if not self.since <= moment <= self.until:
            return None
        return min(self.count - 1, int(_seconds(moment - self.since) / self.step))

    def begin(self, number: int) -> datetime:
        """When a step begins."""
        return self.since + timedelta(seconds=number * self.step)


def window_of(request: DaemonMetrics, now: datetime) -> Window:
    """The time that is asked for.

    Raises:
        ValidationError: It is no time, ends before it begins, or has too many steps.
    """
    until = now if request.until is None else _moment("until", request.until, now)
    since = _moment("since", request.since, now)
    if since >= until:
        raise ValidationError(
            f"since ({since.isoformat()}) is not before until ({until.isoformat()})",
            field="since",
            next_step="Give a time further back, such as 1h.",
        )
    step = _usual_step(_seconds(until - since)) if request.step is None else float(request.step)
    if step <= 0:
        raise ValidationError(
            "a step takes more than 0 s", field="step", next_step='Give one such as "1m".'
        )
    whole = math.floor(_seconds(since - _EPOCH) / step) * step
    window = Window(_EPOCH + timedelta(seconds=whole), until, step)
    if window.count > MOST_POINTS:
        least = _usual_step(_seconds(until - since), MOST_POINTS - 1)
        raise ValidationError(
            f"that would be {window.count} points, and {MOST_POINTS} are the most",
            field="step",
            next_step=f"Give a step of {Duration(least)} or more, or a shorter time.",
        )
    return window


def _moment(field: str, text: str, now: datetime) -> datetime:
    """``1h`` is so long ago; else a time with its zone."""
    try:
        return now - timedelta(seconds=Duration.parse(text))
    except ValueError:
        return _time(field, text)
    except OverflowError:
        raise _wrong(field, text) from None


def _time(field: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _wrong(field, text) from None
    if moment.tzinfo is None:
        raise _wrong(field, text)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise _wrong(field, text) from None


def _wrong(field: str, text: str) -> ValidationError:
    return ValidationError(
        f"{field} is neither how long ago nor a time with its zone: {text!r}",
        field=field,
        next_step="Write 30m, 7d or 2026-01-31T12:00:00Z.",
    )


def _usual_step(seconds: float, points: int = _USUAL_POINTS) -> float:
    """A round step that makes at most so many points of a time."""
    fits = (step for step in _STEPS if seconds <= step * points)
    return next(fits, math.ceil(seconds / points / _DAY) * _DAY)


def _seconds(span: timedelta) -> float:
    return span.total_seconds()
