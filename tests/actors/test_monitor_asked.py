"""A monitor that is asked how an instance is: when it answers, and with what."""

from __future__ import annotations

import pytest

from swarmd.actors.heard import CheckNow
from swarmd.messages.enums import (
    HealthStatus,
    InstanceStatus,
)
from swarmd.messages.health import HealthPoint, Illness, InstanceHealth
from tests.actors.health_kit import (
    ME,
    NO,
    YES,
    Bench,
    found,
    later,
    look,
    running,
    watched,
)
from tests.actors.kit import AT, instance

HEALTHY, UNKNOWN = HealthStatus.HEALTHY, HealthStatus.UNKNOWN


def test_who_asks_before_the_first_look_waits_for_it() -> None:
    bench = Bench(running())
    told: list[InstanceHealth] = []
    bench.settle(CheckNow("i1", told.append), CheckNow("i1", told.append))
    assert told == []
    look(bench, running())
    assert bench.probe.answer(YES) == 1
    bench.settle()
    assert [each.status for each in told] == [HEALTHY, HEALTHY]


def test_an_answer_to_the_monitor_before_this_one_tells_nothing() -> None:
    """Nothing was concluded yet: who asks waits for the first look."""
    before = watched()
    later(before)
    bench, told = Bench(running()), list[InstanceHealth]()
    bench.settle(CheckNow("i1", told.append))
    before.probe.answer(YES)
    late = [each for each in before.directory.take(ME) if type(each).__name__ == "Answered"]
    assert len(late) == 1
    bench.settle(*late)
    assert told == []
    look(bench, running())
    bench.probe.answer(YES)
    bench.settle()
    assert [len(each.checks) for each in told] == [4]


@pytest.mark.parametrize("ok", [True, False])
def test_who_asks_for_one_that_hangs_is_told_once_it_is_sure(ok: bool) -> None:
    """A provider that does not answer the look tells nothing of it, and keeps nobody waiting."""
    bench = watched(failures=1)
    told: list[InstanceHealth] = []
    bench.settle(CheckNow("i1", told.append))
    bench.probe.answer(NO)
    bench.settle()
    assert told == []
    look(bench, bench.row(), ok=ok)
    assert [each.illness for each in told] == [Illness.HUNG if ok else Illness.PROVIDER]
    assert not bench.probe.open, "it was asked already"


def test_who_asks_for_one_that_goes_meanwhile_is_forgotten() -> None:
    bench = watched(failures=1)
    told: list[InstanceHealth] = []
    bench.settle(CheckNow("i1", told.append))
    bench.change(drop_instances=("i1",))
    bench.probe.answer(NO)
    bench.settle()
    look(bench)
    assert told == []


def test_who_asks_for_one_that_does_not_run_is_told_at_once() -> None:
    bench = watched(instance(1))
    health = found(bench)
    assert (health.status, health.details) == (UNKNOWN, "it is not to run")
    assert [each.kind.value for each in health.checks] == [
        "exists",
        "status",
        "responds",
        "resources",
    ]


def test_who_asks_for_one_that_does_not_run_is_told_what_was_kept_of_it() -> None:
    bench = Bench(instance(1))
    point = HealthPoint(at=AT, status=HEALTHY, message="it answers")
    bench.store.kept["i1"] = InstanceHealth(
        id="i1", ref="ana/web1", status=UNKNOWN, history=(point,)
    )
    look(bench, bench.row(), status=InstanceStatus.STOPPED)
    assert found(bench).history[0] == point


def test_who_asks_while_it_is_asked_gets_that_answer() -> None:
    bench = watched()
    later(bench)
    told: list[InstanceHealth] = []
    bench.settle(CheckNow("i1", told.append))
    assert told == []
    assert bench.probe.answer(YES) == 1
    bench.settle()
    assert len(told) == 1


@pytest.mark.parametrize("when", ["before", "meanwhile", "unseen"])
def test_nobody_is_told_of_one_that_is_gone(when: str) -> None:
    bench = Bench(running()) if when == "unseen" else watched()
    told: list[InstanceHealth] = []
    if when == "before":
        bench.change(drop_instances=("i1",))
    bench.settle(CheckNow("i1", told.append))
    bench.change(drop_instances=("i1",))
    bench.probe.answer(YES)
    look(bench)
    assert told == []
