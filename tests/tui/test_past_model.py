"""Moments as they are written, stretches of the journal, events in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from swarmd.core.past import Moment
from swarmd.messages.enums import EventType
from swarmd.messages.events import Event
from tests.tui import scene
from tui.model.happenings import Entry, details, entries, fits, tone_of, words
from tui.model.moments import moment_of
from tui.model.reel import reel_at
from tui.model.scrubbing import live_line, past_line
from tui.model.text import plain


def event(seq: int, what: EventType = EventType.INSTANCE_UPDATED, **data: Any) -> Event:
    return Event(
        seq=seq, journal="j", at=scene.ago(100 - seq), type=what, target="i1", ref="ana/web",
        owner="ana", data=data,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m ago", timedelta(minutes=10)),
        ("10m", timedelta(minutes=10)),
        ("1h 30m ago", timedelta(minutes=90)),
        ("1h30m", timedelta(minutes=90)),
        ("90 sec", timedelta(seconds=90)),
        ("2 days ago", timedelta(days=2)),
        ("11:50", timedelta(minutes=10)),
        ("11:59:30", timedelta(seconds=30)),
        ("12:30", timedelta(hours=23, minutes=30)),  # yesterday's
        ("2026-11-20 11:00", timedelta(hours=1)),
        ("2026-11-20T11:00:00+01:00", timedelta(hours=2)),
    ],
)
def test_moments(text: str, expected: timedelta) -> None:
    assert scene.NOW - moment_of(text, scene.NOW) == expected


@pytest.mark.parametrize("text", ["", "soon", "25:99", "10x ago", "2027-01-01 00:00", "m10"])
def test_what_is_no_moment_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match=r"Write 10m"):
        moment_of(text, scene.NOW)


def test_a_missing_number_is_shown_as_a_gap() -> None:
    found = entries([event(1), event(2), event(7)], gap_before=True)
    assert list(found) == ["gap1", "1", "2", "gap7", "7"]
    assert found["gap7"] == Entry(6, missing=4)


BASE = Moment(10, datetime(2026, 11, 20, tzinfo=UTC), {})


def test_a_stretch_is_walked_to_its_ends() -> None:
    events = [event(seq, status="running", provider="local") for seq in range(11, 15)]
    reel = reel_at(BASE, events, 12, 14)
    assert (reel.seq, reel.at, reel.is_first, reel.is_last) == (12, 2, False, False)
    ahead = reel.step(2)
    assert ahead is not None
    assert (ahead.seq, ahead.is_last, ahead.step(1)) == (14, True, None)
    behind = reel.step(-2)
    assert behind is not None
    assert (behind.seq, dict(behind.moment.rows), behind.step(-1)) == (10, {}, None)
    assert list(reel.moment.rows) == ["i1"]
    found = reel.to(14)
    assert found is not None
    assert (found.at, reel.to(99)) == (4, None)
    # The event that was asked for is missing: one stands behind the nearest before it.
    assert reel_at(BASE, [event(11), event(14)], 13, 14).seq == 11


@pytest.mark.parametrize(
    ("told", "said", "tone"),
    [
        (
            event(1, EventType.OPERATION_STARTED, kind="stop", state="running", status="stopping"),
            "stop running",
            "busy",
        ),
        (
            event(1, EventType.INSTANCE_HEALTH_CHANGED, health="unhealthy", before="healthy"),
            "healthy → unhealthy",
            "bad",
        ),
        (
            event(1, EventType.OPERATION_ENDED, kind="stop", state="failed",
                  error={"type": "x", "message": "no disk"}),
            "stop failed  no disk",
            "bad",
        ),
        (event(1, EventType.ACTOR_RESTARTED, restarts=2), "restarts=2", "warn"),
        (event(1, EventType.PROVIDER_UPDATED, ok=False, message="gone"), "gone  ok=False", "bad"),
        (event(1, EventType.CONFIG_RELOADED), "-", ""),
        (
            event(1, EventType.ALERT, state="raised", severity="error", message="no room"),
            "raised  no room  severity=error",
            "bad",
        ),
        (event(1, EventType.ALERT, state="resolved", severity="error"), "resolved  severity=error",
         "good"),
    ],
)  # fmt: skip
def test_an_event_in_words(told: Event, said: str, tone: str) -> None:
    assert (words(told), tone_of(told)) == (said, tone)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", True),
        ("type:health", True),
        ("type:operation", False),
        ("target:WEB", True),
        ("target:docs", False),
        ("type:health target:web", True),
        ("type:health target:docs", False),
        ("not:health", False),
        ("not:docs", True),
        ("unhlthy", True),
        ("type:health unhlthy", True),
        ("zzz", False),
    ],
)
def test_filters(text: str, found: bool) -> None:
    told = event(1, EventType.INSTANCE_HEALTH_CHANGED, health="unhealthy", before="healthy")
    assert fits(Entry(1, told), text) is found
    assert fits(Entry(0, missing=3), text)


def test_all_of_an_event() -> None:
    told = event(7, EventType.OPERATION_ENDED, error={"type": "x", "message": "no disk"}, items=[1])
    text = [plain(line) for line in details(told, 60)]
    assert any(line.startswith("error.message") and "no disk" in line for line in text)
    assert any("7 of journal j" in line for line in text)


def test_what_stands_above() -> None:
    (line,) = live_line(12, 3, "web")
    assert plain(line) == (
        "● live 12 events · 3 new below, G goes there · only web, escape shows all"
    )
    reel = reel_at(BASE, [event(11), event(13)], 13, 20)
    first, gap = past_line(reel, scene.NOW, 0)
    assert "event 13 of 20" in plain(first)
    assert "missing" in plain(gap)
    (lost,) = live_line(12, 0, "", online=False)
    assert "live" not in plain(lost)
    assert "connection was lost" in plain(lost)
