"""A monitor's messages, one by one: what it hears, asks, concludes, keeps and has done."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.actors.base import Start, Tick, provider_actor
from swarmd.actors.heard import Noticed
from swarmd.actors.provider import Looked, LookNow
from swarmd.errors import ProviderError, ProviderUnreachable, Unavailable
from swarmd.messages.enums import (
    DesiredState,
    HealthStatus,
    InstanceStatus,
    OperationKind,
    Origin,
    ProbeKind,
)
from swarmd.messages.health import HealthPoint, Illness, InstanceHealth
from swarmd.messages.instance import HealthCheck, InstanceConfig, InstanceStats
from swarmd.ports import Answer
from tests.actors.health_kit import (
    NO,
    WELL,
    YES,
    Bench,
    ask,
    found,
    later,
    look,
    running,
    shown,
    watched,
)
from tests.actors.kit import AT, instance, operation

HEALTHY, UNHEALTHY = HealthStatus.HEALTHY, HealthStatus.UNHEALTHY
DEGRADED, UNKNOWN = HealthStatus.DEGRADED, HealthStatus.UNKNOWN


def test_it_begins_with_a_look() -> None:
    bench = Bench(running())
    bench.settle(Start())
    assert bench.directory.take(provider_actor("local")) == [LookNow()]


def test_before_the_first_look_nothing_is_asked_or_concluded() -> None:
    bench = Bench(running())
    bench.settle(Tick(1e9), Noticed("i1"))
    assert not bench.probe.open
    assert bench.changes == []


def test_what_answers_is_healthy() -> None:
    bench = watched()
    assert bench.row().health is HEALTHY
    assert bench.store.read == ["i1"]


def test_only_what_runs_is_asked() -> None:
    none = InstanceConfig(name="n", health=HealthCheck(probe=ProbeKind.NONE))
    bench = Bench(
        running(1),
        instance(2),
        running(3, status=InstanceStatus.STARTING),
        running(4, config=none),
        running(5, provider="box1"),
    )
    look(bench, running(1), running(3), running(4))
    assert ask(bench, YES) == 1
    assert bench.row(1).health is HEALTHY
    assert bench.row(4).health is HEALTHY  # it runs; it is never asked
    assert bench.row(2).health is UNKNOWN
    assert bench.row(5).health is UNKNOWN
    bench.change(replace(bench.row(1), status=InstanceStatus.STOPPED, desired=DesiredState.STOPPED))
    bench.settle(Noticed("i1"))
    assert ask(bench, YES) == 0


def test_what_hangs_is_restarted_after_so_many_probes() -> None:
    bench = watched(failures=3)
    assert ask(bench, NO) == 1
    assert bench.row().health is DEGRADED
    ask(bench, NO)
    assert bench.wishes() == []
    ask(bench, NO)
    assert bench.directory.take(provider_actor("local")) == [LookNow()]
    look(bench, bench.row())
    assert bench.row().health is UNHEALTHY
    [submit] = bench.wishes()
    assert submit.decide(bench.published.tables).change.operations
    assert bench.story == ["health: healthy → degraded", "health: degraded → unhealthy"]


def test_one_that_ended_is_not_taken_for_one_that_hangs() -> None:
    """What died does not answer either, and its provider may tell of it only later."""
    bench = watched(failures=2)
    ask(bench, NO)
    earlier = time.monotonic()
    ask(bench, NO)
    assert bench.directory.take(provider_actor("local")) == [LookNow()]
    bench.settle(Looked("local", earlier, (shown(bench.row()),), WELL))
    ask(bench, NO)
    assert (bench.row().health, bench.wishes()) == (DEGRADED, [])
    assert bench.directory.take(provider_actor("local")) == []  # it was asked to look already
    look(bench, bench.row(), status=InstanceStatus.STOPPED, exit="the memory limit was reached")
    ask(bench, NO)
    assert (bench.row().health, bench.wishes()) == (DEGRADED, [])
    look(bench, bench.row())  # it was a mistake of the list
    ask(bench, NO)
    assert bench.row().health is UNHEALTHY
    assert len(bench.wishes()) == 1


def test_one_that_waits_for_its_time_is_thought_of_at_a_tick() -> None:
    bench = watched(failures=1)
    ask(bench, NO)
    look(bench, bench.row())
    assert len(bench.wishes()) == 1
    ask(bench, NO)
    assert bench.wishes() == []
    bench.clock.forward(6.0)
    later(bench)
    assert len(bench.wishes()) == 1


def test_it_is_asked_once_at_a_time() -> None:
    bench = watched()
    later(bench)
    later(bench)
    assert len(bench.probe.open) == 1


def test_what_could_not_be_asked_says_nothing() -> None:
    bench = watched(failures=1)
    ask(bench, Answer(ok=False, seconds=0.0, message="no descriptor left", asked=False))
    assert bench.row().health is HEALTHY
    assert bench.wishes() == []


@pytest.mark.parametrize("change", ["restarted", "stopped", "gone"])
def test_an_answer_of_an_earlier_life_does_not_count(change: str) -> None:
    bench = watched(failures=1)
    later(bench)
    row = bench.row()
    if change == "gone":
        bench.change(drop_instances=("i1",))
    elif change == "restarted":
        bench.change(replace(row, started_at=AT + timedelta(minutes=59)))
    else:
        bench.change(replace(row, status=InstanceStatus.STOPPED))
    bench.probe.answer(NO)
    bench.settle()
    assert bench.wishes() == []
    if change == "restarted":
        assert bench.row().health is UNKNOWN  # not asked yet in this life


def test_a_provider_that_does_not_answer_is_not_the_instances_illness() -> None:
    bench = watched(failures=1)
    look(bench, ok=False)
    assert bench.row().health is UNKNOWN
    health = found(bench)
    assert health.illness is Illness.PROVIDER
    assert "no such socket" in health.details
    ask(bench, NO)
    assert bench.wishes() == []
    look(bench, bench.row())
    assert bench.row().health is not UNKNOWN


def test_a_provider_that_was_not_there_since_the_daemon_began_is_survived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone() -> None:
        raise ProviderUnreachable("no such socket")

    bench = Bench(running())
    monkeypatch.setattr(bench.provider, "capabilities", gone)
    look(bench, ok=False)
    later(bench)
    assert bench.row().health is UNKNOWN


def test_what_the_list_lacks_is_looked_for_and_not_restarted() -> None:
    bench = watched(failures=1)
    bench.provider.said = ProviderError("connection refused")
    look(bench)
    later(bench)  # without an address its provider is asked
    assert bench.row().health is DEGRADED
    assert bench.wishes() == []


def test_one_that_is_newer_than_the_list_is_not_missed_there() -> None:
    bench = watched(running(started_at=AT + timedelta(hours=2)))
    look(bench)
    assert "was not asked for it yet" in found(bench).checks[0].message


def test_what_somebody_works_on_keeps_its_health() -> None:
    bench = watched(failures=1)
    bench.change(operations=(operation("o1", bench.row(), kind=OperationKind.RESTART),))
    look(bench, bench.row())
    ask(bench, NO)
    assert bench.row().health is HEALTHY
    assert bench.wishes() == []


def test_what_is_brought_back_is_recovering() -> None:
    bench = watched()
    active = operation("o1", bench.row(), kind=OperationKind.RESTART, origin=Origin.RECOVERY)
    bench.change(operations=(active,))
    look(bench, bench.row())
    assert bench.row().health is HealthStatus.RECOVERING


def test_what_has_just_been_started_is_asked_at_once() -> None:
    bench = watched(instance(1))
    assert not bench.probe.open
    bench.change(running())
    bench.settle(Noticed("i1"))
    bench.settle()
    assert bench.probe.answer(YES) == 1
    bench.settle()
    assert bench.row().health is HEALTHY
    bench.settle(Noticed("unknown"))


def test_what_is_gone_is_forgotten() -> None:
    bench = watched()
    bench.change(drop_instances=("i1",))
    look(bench)
    assert ask(bench, YES) == 0
    assert "i1" not in bench.monitor._wards


# --- figures ------------------------------------------------------------------------------------


def stats(**values: Any) -> InstanceStats:
    return InstanceStats(id="i1", taken_at=AT + timedelta(hours=1), **values)


def test_a_full_disk_degrades_and_is_left() -> None:
    bench = watched()
    bench.provider.figures = [stats(disk_bytes=99, disk_limit_bytes=100), stats()]
    bench.provider.figures = [stats(disk_bytes=99, disk_limit_bytes=100)]
    later(bench)
    assert bench.row().health is DEGRADED
    assert found(bench).illness is Illness.STARVED
    ailment = bench.published.tables.ailments["i1"]
    assert (ailment.illness, ailment.value, ailment.limit) == (Illness.STARVED, 0.99, 0.9)
    assert bench.wishes() == []
    bench.provider.figures = [stats(disk_bytes=9, disk_limit_bytes=100)]
    later(bench)
    bench.probe.answer(YES)
    bench.settle()
    assert bench.row().health is HEALTHY
    assert bench.published.tables.ailments == {}


def test_figures_of_what_is_gone_or_unknown_are_passed_over() -> None:
    bench = watched()
    gone = InstanceStats(id="gone", taken_at=AT)
    bench.provider.figures = [gone, stats(memory_bytes=1, memory_limit_bytes=2)]
    later(bench)
    assert found(bench).checks[3].value == 0.5


def test_where_nothing_runs_nothing_is_measured() -> None:
    bench = watched(instance(1))
    later(bench)
    assert not hasattr(bench.provider, "measured")


# --- keeping ------------------------------------------------------------------------------------


def test_what_is_new_is_handed_to_the_store_now_and_then() -> None:
    bench = watched()
    assert bench.store.kept == {}
    later(bench)
    assert bench.store.kept["i1"].status is HEALTHY
    bench.store.kept.clear()
    bench.probe.open.clear()
    later(bench)
    assert bench.store.kept == {}


def test_the_last_of_it_is_kept_at_the_end() -> None:
    bench = watched()
    bench.monitor.on_stop()
    assert len(bench.store.kept["i1"].history) >= 1


def test_the_next_one_takes_up_what_was_kept() -> None:
    bench = Bench(running(health=DEGRADED))
    points = (HealthPoint(at=AT, status=DEGRADED, message="slow"),)
    bench.store.kept["i1"] = InstanceHealth(
        id="i1", ref="ana/web1", status=DEGRADED, since=AT, history=points
    )
    look(bench, running())
    bench.probe.answer(YES)
    bench.settle()
    assert found(bench).history[0] == points[0]


def test_the_store_is_asked_once_and_again_if_no_thread_was_there() -> None:
    bench = Bench(running())
    bench.lanes.error = Unavailable("closed")
    look(bench, running())
    assert bench.store.read == []
    bench.lanes.error = None
    look(bench, running())
    look(bench, running())
    assert bench.store.read == ["i1"]


def test_one_that_went_while_its_file_was_read_is_passed_over() -> None:
    bench = Bench(running())
    bench.monitor.handle(Looked("local", time.monotonic(), (shown(running()),), WELL))
    bench.change(drop_instances=("i1",))
    bench.settle()
    assert "i1" not in bench.monitor._wards


def test_a_monitor_that_began_anew_knows_what_was_held() -> None:
    """What it remedied is not its own memory: a crash of it starts no new bout."""
    bench = watched(failures=1, max_recovery_attempts=1)
    ask(bench, NO)
    look(bench, bench.row())
    assert len(bench.wishes()) == 1
    ask(bench, NO)
    bench.clock.forward(400)
    later(bench)
    assert "held" in bench.story
    bench.monitor = bench.new_monitor()
    bench.probe.open.clear()
    look(bench, bench.row())
    for _ in range(3):
        ask(bench, NO)
    assert bench.wishes() == []
    assert bench.story.count("held") == 1


@pytest.mark.parametrize("again", [False, True], ids=["the same life", "started anew"])
def test_a_daemon_that_began_anew_knows_what_was_held(again: bool) -> None:
    """What runs and is ill has no status that tells of it: it is kept with its health."""
    before = watched(failures=1, max_recovery_attempts=1)
    ask(before, NO)
    look(before, before.row())
    ask(before, NO)
    before.clock.forward(400)
    later(before)
    assert "held" in before.story
    before.settle(Tick(1e9))
    row = before.row()
    if again:
        assert row.started_at is not None
        row = replace(row, started_at=row.started_at + timedelta(minutes=30))
    bench = Bench(row, failures=1, max_recovery_attempts=1)
    bench.store.kept = before.store.kept
    look(bench, row)
    ask(bench, NO)
    look(bench, row)
    assert len(bench.wishes()) == again
    ailment = bench.published.tables.ailments["i1"]
    assert (ailment.held is None) is again
    assert bench.story.count("held") == 0, "it was told before"
    bench.settle(Tick(2e9))
    assert (bench.store.kept["i1"].hold is None) is again
