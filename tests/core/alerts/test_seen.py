"""What the tables show: who needs a human, and when that is over."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from swarmd.core.alerts.condition import SEEN, Condition
from swarmd.core.alerts.seen import judge
from swarmd.core.health.ailments import Ailment
from swarmd.core.recovery.held import hold
from swarmd.core.recovery.remedy import Hold
from swarmd.core.sight import lost_failure
from swarmd.core.tables import Change, ProviderView, Tables
from swarmd.messages.alert import AlertKey
from swarmd.messages.enums import AlertType, DesiredState, HealthStatus, InstanceStatus
from swarmd.messages.health import Illness
from swarmd.messages.instance import Failure, Instance
from swarmd.messages.provider import ProviderHealth
from tests.core.alerts.samples import AT, LOCAL, instance, tables_of

HELD: AlertKey = (AlertType.INSTANCE_HELD, "i1")
LOST: AlertKey = (AlertType.INSTANCE_LOST, "i1")
STARVED: AlertKey = (AlertType.INSTANCE_STARVED, "i1")
DOWN: AlertKey = (AlertType.PROVIDER_DOWN, "local")
ILL, ERROR = HealthStatus.UNHEALTHY, InstanceStatus.ERROR
FAILED = Failure(type="provider_error", message="it ended at once", details={})


def with_ailment(row: Instance, illness: Illness, **more: Any) -> Tables:
    ailment = Ailment(illness, f"it is {illness}", **more)
    return tables_of(row).apply(Change(ailments={row.id: ailment}))


def seen(
    tables: Tables, *active: AlertKey, watched: bool = True
) -> tuple[set[AlertKey], set[AlertKey]]:
    """What holds, and what goes on because nothing is known."""
    sight = judge(tables, set(active), watched=watched)
    assert sight.judged == SEEN
    assert {key[0] for key in sight.unsure} <= SEEN
    return set(sight.conditions), set(sight.unsure)


def one(tables: Tables) -> Condition:
    [condition] = judge(tables, set(), watched=True).conditions.values()
    return condition


def held(row: Instance, remedy: Hold) -> Tables:
    tables = tables_of(row)
    return tables.apply(hold(tables, row.id, remedy, AT))


def viewed(ok: bool, **changes: Any) -> Tables:
    record = msgspec.structs.replace(LOCAL, **changes)
    view = ProviderView(ProviderHealth(ok=ok, message="no engine"))
    return tables_of(providers=[record]).apply(Change(views={"local": view}))


def test_a_provider_that_does_not_work() -> None:
    found = one(viewed(ok=False))
    assert found.key == DOWN
    assert found.message == "Provider local does not work: no engine"
    assert found.details["next_step"]
    assert seen(viewed(ok=True), DOWN) == (set(), set())
    assert seen(viewed(ok=False, enabled=False), DOWN) == (set(), set())
    # Since the daemon's start it was not asked: nothing is known.
    assert seen(tables_of(), DOWN) == (set(), {DOWN})
    assert seen(tables_of(providers=[]), DOWN) == (set(), set())


def test_a_crash_loop_is_held_with_its_reason_and_next_step() -> None:
    row = instance(status=InstanceStatus.STOPPED, health=ILL)
    found = one(held(row, Hold("a crash loop: it ended 5 times", "Look at its log.")))
    assert found.key == HELD
    assert (found.subject, found.owner) == ("ana/web1", "ana")
    assert found.details["reason"] == "a crash loop: it ended 5 times"
    assert found.message == "Instance ana/web1 is held: a crash loop: it ended 5 times"
    assert found.details["next_step"] == "Look at its log."


def test_one_that_runs_ill_and_is_held_by_its_monitor() -> None:
    row = instance(health=ILL)
    more = {"held": "out of memory, once more", "next_step": "Raise resources.memory."}
    found = one(with_ailment(row, Illness.OUT_OF_MEMORY, **more))
    assert found.key == HELD
    assert found.details["next_step"] == "Raise resources.memory."
    assert seen(with_ailment(row, Illness.HUNG)) == (set(), set())


def test_one_whose_start_failed_waits_for_a_human_too() -> None:
    row = instance(status=ERROR, health=ILL, last_error=FAILED)
    found = one(tables_of(row))
    assert (found.key, found.details["reason"]) == (HELD, "it ended at once")
    assert found.details["next_step"]


def test_one_that_was_only_just_seen_in_error_is_not_held_yet() -> None:
    """Else one that is lost would be held for a moment first: two alerts for one thing."""
    row = instance(status=ERROR, health=ILL)
    assert seen(tables_of(row)) == (set(), set())
    assert seen(tables_of(row), HELD) == (set(), {HELD})
    assert seen(tables_of(row), watched=False) == ({HELD}, set())
    assert one(with_ailment(row, Illness.EXITED)).details["reason"] == "it is exited"
    assert seen(with_ailment(row, Illness.LOST)) == ({LOST}, set())


@pytest.mark.parametrize(
    "tables",
    [
        tables_of(
            instance(
                status=ERROR,
                health=ILL,
                last_error=Failure(type="instance_not_found", message="no folder", details={}),
            )
        ),
        tables_of(instance(status=ERROR, health=ILL, last_error=lost_failure(instance()))),
        with_ailment(instance(health=ILL), Illness.LOST),
        held(
            instance(status=InstanceStatus.STOPPED, health=ILL),
            Hold("its folder is gone", "Look for it.", Illness.LOST),
        ),
    ],
)
def test_one_that_is_lost_is_not_also_held(tables: Tables) -> None:
    assert seen(tables, HELD) == ({LOST}, set())
    assert one(tables).details["next_step"]


def test_one_with_little_memory_or_disk_left() -> None:
    row = instance(health=HealthStatus.DEGRADED)
    found = one(with_ailment(row, Illness.STARVED, value=0.97, limit=0.9))
    assert found.key == STARVED
    assert (found.details["value"], found.details["threshold"]) == (0.97, 0.9)


@pytest.mark.parametrize(
    ("changes", "over"),
    [
        ({}, {HELD, LOST, STARVED}),
        ({"health": HealthStatus.DEGRADED}, {HELD, LOST}),
        ({"health": HealthStatus.RECOVERING}, set()),
        ({"health": HealthStatus.UNKNOWN}, set()),
        ({"health": ILL}, set()),
        ({"health": ILL, "desired": DesiredState.STOPPED}, {HELD, LOST, STARVED}),
        ({"health": ILL, "desired": DesiredState.DELETED}, {HELD, LOST, STARVED}),
        ({"health": ILL, "status": InstanceStatus.UNKNOWN}, set()),
    ],
)
def test_it_is_over_when_the_instance_is_well_or_not_to_run(
    changes: dict[str, Any], over: set[AlertKey]
) -> None:
    every = {HELD, LOST, STARVED}
    assert seen(tables_of(instance(**changes)), *every) == (set(), every - over)


def test_it_is_over_when_the_instance_is_gone() -> None:
    assert seen(tables_of(), HELD, LOST, STARVED) == (set(), set())


def test_without_health_one_that_runs_is_well() -> None:
    row = instance(health=HealthStatus.UNKNOWN)
    assert seen(tables_of(row), HELD, watched=False) == (set(), set())
    down = instance(health=HealthStatus.UNKNOWN, status=InstanceStatus.STOPPED)
    assert seen(tables_of(down), HELD, watched=False) == (set(), {HELD})


def test_what_the_others_judge_is_left_alone() -> None:
    """Else nothing of theirs would ever end: this look would call it unsure."""
    other: AlertKey = (AlertType.PROVIDER_UTILIZATION, "local")
    assert seen(tables_of(), other, (AlertType.DISK_FULL, "state")) == (set(), set())
