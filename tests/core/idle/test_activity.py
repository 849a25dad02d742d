"""What is remembered of an instance's use, over answers, starts, clocks and restarts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.idle.activity import (
    A_BROWSER,
    A_COMMAND,
    FIRST_SEEN,
    ITS_START,
    LEFT_RUNNING,
    Activity,
    Moment,
)
from swarmd.core.idle.heartbeat import Beat, beat_of
from swarmd.core.idle.words import length
from swarmd.messages import codec
from swarmd.messages.activity import LastActivity
from tests.core.samples import NOW, later

LIFE = later(-10)


def at(seconds: float, *, wall: float | None = None) -> Moment:
    """So many seconds later, on both clocks unless the wall clock jumped."""
    return Moment(later(seconds if wall is None else wall), 100.0 + seconds)


def begun() -> Activity:
    return Activity(at(0), LIFE)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ('{"status":"expired","lastHeartbeat":0}', Beat(False, 0)),
        ('status 200: {"status":"alive","lastHeartbeat":1764456000000}', Beat(True, 1764456000000)),
        ('{ "lastHeartbeat" : 5, "status" : "alive" }', Beat(True, 5)),
        ('{"status":"alive"}', None),
        ('{"lastHeartbeat":null}', None),
        ('{"lastHeartbeat":12345678901234567890123}', None),
        ("it is well", None),
        ("", None),
    ],
)
def test_the_heartbeat_in_a_servers_words(words: str, wanted: Beat | None) -> None:
    assert beat_of(words) == wanted


@pytest.mark.parametrize(
    ("beats", "used_at"),
    [
        ([], 0),
        ([(30, "expired", 0)], 0),  # nobody ever came
        ([(30, "alive", 5)], 30),
        ([(30, "alive", 5), (60, "alive", 5)], 60),  # within the minute of its heartbeat
        ([(30, "alive", 5), (60, "expired", 5)], 30),
        ([(30, "expired", 5)], 30),  # came and went before it was asked first
        ([(30, "expired", 5), (60, "expired", 5)], 30),
        ([(30, "expired", 5), (90, "expired", 7)], 90),  # came and went between two questions
        ([(30, "alive", 7), (60, "expired", 0)], 30),
    ],
)
def test_when_a_browser_used_it_last(beats: list[tuple[float, str, int]], used_at: float) -> None:
    activity = begun()
    for seconds, status, last in beats:
        activity.answered(Beat(status == "alive", last), at(seconds))
    assert activity.last == at(used_at)
    assert activity.by == (A_BROWSER if used_at else FIRST_SEEN)
    assert activity.hears is (True if beats else None)


def test_a_server_without_heartbeats_tells_nothing() -> None:
    activity = begun()
    activity.answered(None, at(30))
    assert activity.hears is False
    assert activity.heard is None
    assert activity.idle(at(40)) == 40


def test_quiet_begins_with_the_first_such_answer_and_ends_with_any_use() -> None:
    activity = begun()
    activity.answered(Beat(False, 0), at(10))
    activity.answered(Beat(False, 0), at(40))
    assert (activity.quiet, activity.heard) == (110.0, 140.0)
    activity.used("update by ana", at(50))
    assert activity.quiet is None
    activity.answered(Beat(False, 0), at(70))
    assert activity.quiet == 170.0


def test_a_command_is_use_until_it_ends() -> None:
    activity = begun()
    activity.runs(1, at(10))
    activity.runs(2, at(500))
    assert activity.idle(at(500)) == 0
    activity.runs(0, at(510))
    assert activity.idle(at(510)) == 10
    assert activity.by == A_COMMAND
    assert not activity.busy


def test_a_start_begins_anew() -> None:
    activity = begun()
    activity.answered(Beat(False, 5), at(10))
    activity.warned = True
    activity.lives(LIFE, at(20))
    activity.lives(None, at(20))
    assert activity.age(at(20)) == 20
    activity.lives(later(30), at(31))
    assert (activity.by, activity.age(at(41)), activity.idle(at(41))) == (ITS_START, 10, 10)
    assert (activity.hears, activity.heard, activity.heartbeat) == (None, None, None)
    assert not activity.warned


def test_a_jump_of_the_wall_clock_changes_nothing() -> None:
    activity = begun()
    year = 365 * 86400.0
    assert activity.idle(at(60, wall=year)) == 60
    assert activity.age(at(60, wall=-year)) == 60


def test_a_lease_is_not_shortened_by_a_clock_that_is_set_forward() -> None:
    activity, until = begun(), later(100)
    assert activity.lease(None, at(0)) == 0
    assert activity.lease(until, at(0)) == 100
    assert activity.lease(until, at(60, wall=5000)) == 40
    assert activity.lease(until, at(60, wall=-500)) == 600
    assert activity.lease(until, at(101)) == 0
    assert activity.lease(later(200), at(101)) == 99
    assert activity.lease(None, at(101)) == 0


# --- over a restart of the daemon ------------------------------------------------------------


def over(activity: Activity, now: Moment, *, boot: str = "b1", life: Any = LIFE) -> Activity:
    """The same after a restart of the daemon: what was kept, read by another."""
    wire = codec.encode(activity.to_keep("b1"))
    again = Activity(now, life)
    again.restore(codec.decoder(LastActivity).decode(wire), boot, now)
    return again


def test_seconds_go_on_over_a_restart_of_the_daemon() -> None:
    activity = begun()
    activity.answered(Beat(False, 5), at(50))
    again = over(activity, at(200))
    assert (again.idle(at(200)), again.age(at(200))) == (150, 200)
    assert again.hears is None  # it has to be heard before it may be stopped
    again.answered(Beat(False, 5), at(210))
    assert again.idle(at(210)) == 160
    again.answered(Beat(False, 6), at(220))
    assert again.idle(at(220)) == 0


def test_who_came_while_the_daemon_was_away_has_used_it() -> None:
    again = over(begun(), at(9000))
    again.answered(Beat(False, 77), at(9001))
    assert again.idle(at(9001)) == 0


def test_a_command_that_ran_at_the_end_is_use_until_now() -> None:
    activity = begun()
    activity.runs(1, at(10))
    again = over(activity, at(5000))
    assert (again.idle(at(5000)), again.by) == (0, LEFT_RUNNING)


@pytest.mark.parametrize(
    ("values", "now"),
    [
        ({"boot": "b2"}, 5000),  # the host was started anew
        ({"life": later(70)}, 5000),  # and so was the instance
        ({}, -50),  # seconds that have not been yet
    ],
)
def test_what_was_kept_of_another_time_is_counted_anew(values: Any, now: float) -> None:
    again = over(begun(), at(now), **values)
    assert (again.idle(at(now + 5)), again.age(at(now + 5))) == (5, 5)


def test_a_life_that_nobody_knows_is_not_taken_up() -> None:
    activity = Activity(at(0), None)
    assert over(activity, at(90), life=None).idle(at(90)) == 0


def test_what_was_told_is_not_told_again() -> None:
    activity = begun()
    activity.warned = True
    assert over(activity, at(5)).warned


steps = st.lists(
    st.tuples(
        st.floats(0, 500),
        st.sampled_from(("beat", "quiet", "command", "used", "start", "restart", "reboot", "jump")),
    ),
    max_size=30,
)


@given(steps)
def test_it_never_takes_it_for_idle_longer_than_it_was(happened: list[tuple[float, str]]) -> None:
    """Whatever happens: the seconds counted are at most those since the last real use."""
    activity, now, wall, used, beat, life = begun(), 0.0, 0.0, 0.0, 0, LIFE
    for passed, what in happened:
        now, wall = now + passed, wall + passed
        moment = at(now, wall=wall)
        match what:
            case "beat":
                beat, used = beat + 1, now
                activity.answered(Beat(True, beat), moment)
            case "quiet":
                activity.answered(Beat(False, beat), moment)
            case "command":
                used = now
                activity.runs(1, moment)
                activity.runs(0, moment)
            case "used":
                used = now
                activity.used("x", moment)
            case "start":
                used, beat, life = now, 0, NOW if life is LIFE else later(now + 1)
                activity.lives(life, moment)
            case "restart" | "reboot":
                activity = over(
                    activity, moment, life=life, boot="b1" if what == "restart" else "b2"
                )
            case "jump":
                wall += 10_000 if len(happened) % 2 else -10_000
        assert activity.idle(at(now, wall=wall)) <= now - used + 1e-6


def test_lengths() -> None:
    told = {0: "0 s", 59.6: "1 min", 90: "1 min 30 s", 7200: "2 h", 5400: "1 h 30 min"}
    told |= {86400 * 2 + 3600 * 5 + 60: "2 d 5 h", 3601: "1 h", -5: "0 s"}
    assert {each: length(each) for each in told} == told


def test_what_is_kept_is_small() -> None:
    assert len(msgspec.json.encode(begun().to_keep("b" * 36))) < 400
