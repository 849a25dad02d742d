"""From when, until when, in which steps: what people write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.telemetry.window import MOST_POINTS, Window, window_of
from swarmd.errors import ValidationError
from swarmd.messages.requests import DaemonMetrics
from swarmd.messages.units import Duration
from tests.core.samples import NOW


def asked(**fields: Any) -> Window:
    if "step" in fields:
        fields["step"] = Duration(fields["step"])
    return window_of(DaemonMetrics(**fields), NOW)


@pytest.mark.parametrize(
    ("fields", "since", "until", "step"),
    [
        ({}, NOW - timedelta(hours=1), NOW, 120),
        ({"since": "30m"}, NOW - timedelta(minutes=30), NOW, 60),
        ({"since": "24h"}, NOW - timedelta(days=1), NOW, 3600),
        ({"since": "10d", "until": "1d"}, NOW - timedelta(days=10), NOW - timedelta(days=1), 43200),
        ({"since": "365d"}, datetime(2025, 1, 23, tzinfo=UTC), NOW, 13 * 86400),
        ({"since": "2026-01-31T12:00:00+02:00"}, NOW - timedelta(hours=2), NOW, 300),
        ({"since": "90s", "step": 60}, NOW - timedelta(seconds=120), NOW, 60),
        ({"since": "1s", "step": 0.25}, NOW - timedelta(seconds=1), NOW, 0.25),
    ],
)
def test_windows(fields: dict[str, Any], since: datetime, until: datetime, step: float) -> None:
    assert asked(**fields) == Window(since, until, step)


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"since": "yesterday"}, "since", "yesterday"),
        ({"since": "2026-01-31T12:00:00"}, "since", "zone"),
        ({"since": "0001-01-01T00:00:00+23:00"}, "since", "zone"),
        ({"since": "99999999999d"}, "since", "99999999999d"),
        ({"since": "1e400d"}, "since", "1e400d"),
        ({"until": "tomorrow"}, "until", "tomorrow"),
        ({"since": "1h", "until": "2h"}, "since", "not before"),
        ({"since": "0s"}, "since", "not before"),
        ({"since": "1h", "step": 0}, "step", "more than 0"),
        ({"since": "1d", "step": 1}, "step", "86400 points"),
        ({"since": "1h", "step": 1e-9}, "step", "points"),
    ],
)
def test_what_is_no_window_is_refused_with_its_field(
    fields: dict[str, Any], field: str, says: str
) -> None:
    with pytest.raises(ValidationError, match=says) as refused:
        asked(**fields)
    assert refused.value.field == field
    assert refused.value.next_step


@given(st.integers(1, 10**8), st.integers(1, 10**6))
def test_every_moment_lies_in_the_step_that_begins_before_it(span: int, step: int) -> None:
    if span / step > MOST_POINTS:
        step = span // MOST_POINTS + 1
        span -= span % step
    window = asked(since=f"{span}s", step=step)
    assert 0 < window.count <= MOST_POINTS + 1
    assert window.since <= NOW - timedelta(seconds=span)
    for share in (0.0, 0.3, 0.999, 1.0):
        moment = window.since + (window.until - window.since) * share
        number = window.number(moment)
        assert number is not None
        assert window.begin(number) <= moment
        assert moment <= window.begin(number) + timedelta(seconds=step)
    assert window.number(window.since - timedelta(microseconds=1)) is None
    assert window.number(NOW + timedelta(microseconds=1)) is None


def test_the_step_that_is_proposed_is_taken() -> None:
    with pytest.raises(ValidationError) as refused:
        asked(since="300d", step=60)
    proposed = str(refused.value.next_step).split()[4]
    assert asked(since="300d", step=Duration.parse(proposed)).count <= MOST_POINTS
