from __future__ import annotations

import gc
import sys
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.health.facts import Seen, Usage, Verdict
from swarmd.core.health.track import Track
from swarmd.messages.enums import HealthStatus
from swarmd.messages.health import Illness, InstanceHealth
from tests.core.health.samples import FAR, asked, judged, outcome
from tests.core.samples import NOW, instance, later

GB = 1 << 30


def concluded(status: HealthStatus, illness: Illness | None = None, words: str = "") -> Verdict:
    return Verdict(status, illness, words or str(status), ())


HEALTHY, UNKNOWN = concluded(HealthStatus.HEALTHY), concluded(HealthStatus.UNKNOWN)
HUNG = concluded(HealthStatus.UNHEALTHY, Illness.HUNG)


def test_answers_in_a_row_are_counted() -> None:
    assert asked(True, True).successes == 2
    track = asked(True, False, False)
    assert (track.failures, track.successes) == (2, 0)
    assert (track.words, track.seconds) == ("connection refused", 0.01)
    assert track.answered_at == later(30)
    better = asked(True, False, False, True)
    assert (better.failures, better.successes, better.words) == (0, 1, "200")


def test_the_last_five_good_answers_tell_how_slow_it_is() -> None:
    assert Track().p95 is None
    track = Track()
    for number, seconds in enumerate((9.0, 0.1, 0.2, 3.0, 0.3)):
        track.answered(True, seconds, "", later(number))
    track.answered(False, 5.0, "timed out", later(6))
    assert track.p95 == 9.0
    track.answered(True, 0.4, "", later(7))
    assert track.latencies == (0.1, 0.2, 3.0, 0.3, 0.4)
    assert track.p95 == 3.0


def test_a_new_life_begins_anew() -> None:
    track = asked(False, False)
    track.used(Usage(memory_bytes=1), NOW)
    track.started(later(100))
    assert (track.failures, track.successes, track.answered_at, track.usage) == (0, 0, None, None)
    assert track.p95 is None


def test_the_same_life_told_again_changes_nothing() -> None:
    track = asked(False, False)
    track.started(NOW)
    assert track.failures == 2


def test_failures_in_the_grace_count_once_it_has_answered() -> None:
    track = Track()
    track.started(NOW, grace=30)
    track.answered(False, 0.0, "refused", later(5))
    assert (track.failures, track.words) == (0, "refused")
    track.answered(True, 0.0, "", later(10))
    track.answered(False, 0.0, "refused", later(15))
    assert track.failures == 1


def test_failures_after_the_grace_count() -> None:
    track = Track()
    track.started(NOW, grace=30)
    track.answered(False, 0.0, "refused", later(29))
    track.answered(False, 0.0, "refused", later(30))
    assert track.failures == 1


def test_long_words_are_cut() -> None:
    track = Track()
    track.answered(False, 0.0, "x" * 1000, NOW)
    assert track.words == "x" * 200


def test_concluding_tells_whether_the_status_changed_and_since_when() -> None:
    track = Track()
    assert track.conclude(UNKNOWN, NOW) is False
    assert track.since == NOW
    assert track.conclude(HEALTHY, later(1)) is True
    assert track.conclude(HEALTHY, later(2)) is False
    assert (track.status, track.since, track.checked_at) == (
        HealthStatus.HEALTHY, later(1), later(2)
    )  # fmt: skip


def test_the_history_has_each_answer_and_each_change_and_nothing_else() -> None:
    track = Track()
    track.conclude(UNKNOWN, NOW)
    track.answered(True, 0.5, "", later(1))
    track.conclude(HEALTHY, later(1))
    track.conclude(HEALTHY, later(2))
    track.answered(True, 0.25, "", later(3))
    track.conclude(HEALTHY, later(3))
    track.conclude(HUNG, later(4))
    track.conclude(concluded(HealthStatus.UNHEALTHY, Illness.EXITED, "gone"), later(5))
    assert [(p.at, p.status, p.seconds, p.message) for p in track.history.points()] == [
        (later(1), HealthStatus.HEALTHY, 0.5, "healthy"),
        (later(3), HealthStatus.HEALTHY, 0.25, "healthy"),
        (later(4), HealthStatus.UNHEALTHY, None, "unhealthy"),
        (later(5), HealthStatus.UNHEALTHY, None, "gone"),
    ]


def test_it_mends_until_it_is_healthy() -> None:
    track = Track()
    track.conclude(HUNG, NOW)
    track.conclude(concluded(HealthStatus.RECOVERING), NOW)
    track.started(later(1))
    track.conclude(UNKNOWN, NOW)
    assert track.mending
    track.conclude(HEALTHY, NOW)
    assert not track.mending


# --- over a restart of the daemon --------------------------------------------------------------


def kept(track: Track) -> InstanceHealth:
    """What comes back from the disk."""
    told = track.to_health(instance(started_at=NOW))
    return msgspec.json.decode(msgspec.json.encode(told), type=InstanceHealth)


def test_what_is_told_of_it() -> None:
    track = asked(True, False)
    track.conclude(judged(track), later(20))
    told = track.to_health(instance())
    assert (told.ref, told.status, told.failures) == ("ana/web", HealthStatus.DEGRADED, 1)
    assert told.last_checked == told.since == later(20)
    assert told.details == "it did not answer lately: connection refused"
    assert len(told.checks) == 4
    assert [p.seconds for p in told.history] == [0.01]


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ((True, True), HealthStatus.HEALTHY),
        ((True, False), HealthStatus.DEGRADED),
        ((True, False, False, False), HealthStatus.UNHEALTHY),
    ],
)
def test_a_restart_of_the_daemon_is_no_event_of_the_instance(
    answers: tuple[bool, ...], status: HealthStatus
) -> None:
    before = asked(*answers)
    before.conclude(judged(before), FAR)
    after = Track()
    after.restore(kept(before))
    after.started(NOW, grace=30)
    assert after.to_health(instance()) == before.to_health(instance())
    assert judged(after).status is status
    assert after.conclude(judged(after), later(4000)) is False
    assert len(after.history) == len(before.history)
    assert after.mending is (status is HealthStatus.UNHEALTHY)


def test_what_hung_before_hangs_without_being_suspected_again() -> None:
    before = asked(False, False, False)
    before.conclude(judged(before), FAR)
    after = Track()
    after.restore(kept(before))
    after.started(NOW)
    after.answered(False, 0.1, "refused", later(4000))
    assert not after.suspected(3, 50.0)
    assert outcome(judged(after, seen=Seen(present=True, runs=True, at=1.0))) == (
        HealthStatus.UNHEALTHY,
        Illness.HUNG,
    )


def test_a_life_that_began_while_the_daemon_was_away_is_a_new_one() -> None:
    before = asked(True)
    before.conclude(judged(before), FAR)
    after = Track()
    after.restore(kept(before))
    after.started(later(9999))
    assert after.answered_at is None
    assert judged(after).status is HealthStatus.UNKNOWN


@pytest.mark.parametrize(
    "change",
    [{"checks": ()}, {"last_checked": None}],
)
def test_what_was_never_asked_is_not_taken_for_asked(change: dict[str, Any]) -> None:
    before = asked(True)
    before.conclude(judged(before), FAR)
    after = Track()
    after.restore(msgspec.structs.replace(kept(before), **change))
    assert after.answered_at is None
    assert len(after.history) == 1


def test_one_that_never_answered_well_is_restored_without_an_answer_time() -> None:
    before = asked(False)
    before.conclude(judged(before), FAR)
    after = Track()
    after.restore(kept(before))
    assert (after.failures, after.p95, after.words) == (1, None, "connection refused")


def test_only_so_much_history_is_restored_as_is_kept() -> None:
    before = Track(100)
    for number in range(100):
        before.answered(True, 0.01, "", later(number))
        before.conclude(HEALTHY, later(number))
    after = Track(10)
    after.restore(kept(before))
    assert [p.at for p in after.history.points()] == [later(n) for n in range(90, 100)]


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 10)), max_size=30))
def test_concluding_is_deterministic(answers: list[tuple[bool, float]]) -> None:
    told = []
    for _ in range(2):
        track = Track(10)
        track.started(NOW)
        for number, (ok, seconds) in enumerate(answers):
            track.answered(ok, seconds, "words", later(number))
            first, second = judged(track), judged(track)
            assert first == second
            track.conclude(first, later(number))
        told.append(track.to_health(instance()))
    assert told[0] == told[1]


def test_thousands_of_them_take_little_memory() -> None:
    def one(number: int) -> Track:
        track = Track(100)
        record = instance(number, started_at=NOW)
        track.started(NOW)
        for at in range(100):
            ok = at % 10 != 0
            words = f"200 {number}" if ok else f"connection refused {number}"
            track.answered(ok, 0.01 * at, words, later(at))
            track.used(Usage(memory_bytes=at, memory_limit_bytes=GB, cpu_share=0.5), later(at))
            track.conclude(judged(track, record), later(at))
        return track

    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracks = [one(number) for number in range(50)]
        gc.collect()
        each = (tracemalloc.get_traced_memory()[0] - before) / len(tracks)
    finally:
        tracemalloc.stop()
    assert {len(track.history) for track in tracks} == {100}
    assert each < 6 * 1024
    assert not hasattr(tracks[0], "__dict__")
    assert sys.getsizeof(tracks[0]) < 300
