from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from swarmd.core.reconcile import (
    Facts,
    Found,
    Plan,
    Undo,
    next_attempt,
    reconcile,
)
from swarmd.core.recovery.again import failed_by_itself
from swarmd.core.sight import follow, is_lost, lost_failure, settle
from swarmd.messages.enums import DesiredState, InstanceStatus
from swarmd.messages.instance import Failure, Instance, replace
from swarmd.messages.provider import Address, Observed
from tests.core.samples import NODE, NOW, instance, later, make_id, observed

ID = make_id(1)
OTHER = "node-b"
STATUS = InstanceStatus
RUNNING, STOPPED, DELETED = DesiredState.RUNNING, DesiredState.STOPPED, DesiredState.DELETED


def plan_for(
    record: Instance | None,
    *seen: Observed,
    elsewhere: tuple[Observed, ...] = (),
    silent: bool = False,
    **facts: Any,
) -> Plan:
    defaults: dict[str, Any] = {
        "records": {} if record is None else {record.id: record},
        "busy": frozenset(),
        "observed": {"local": None if silent else seen, "box1": elsewhere},
        "absences": {},
        "confirmed_absent": frozenset(),
        "tombstones": frozenset(),
        "attempts": {},
        "node": NODE,
        "now": NOW,
        "trash_retention": 3600.0,
        "chance": 0.5,
    }
    return reconcile(Facts(**defaults | facts))


def record(**values: Any) -> Instance:
    return instance(1, **values)


def seen(status: InstanceStatus = STATUS.RUNNING, **values: Any) -> Observed:
    return observed(1, status=status, **values)


def test_nothing_to_do() -> None:
    plan = plan_for(record(), seen())
    assert plan.empty
    assert plan.counts() == {}


def test_a_crash_is_seen_and_the_instance_started_in_one_round() -> None:
    down = seen(STATUS.STOPPED)
    plan = plan_for(record(), down)
    assert plan == Plan(observe=((ID, down),), start=(ID,))
    assert plan.counts() == {"observe": 1, "start": 1}


def test_one_whose_start_failed_is_held() -> None:
    held = record(status=STATUS.ERROR)
    assert plan_for(held, seen(STATUS.STOPPED)).start == ()


def test_one_whose_automatic_start_failed_is_started_again_when_its_pause_is_over() -> None:
    failure = failed_by_itself(Failure(type="provider_error", message="the port is taken"))
    failed, down = record(status=STATUS.ERROR, last_error=failure), seen(STATUS.STOPPED)
    assert plan_for(failed, down) == Plan(start=(ID,))
    assert plan_for(failed, down, attempts={ID: (1, NOW)}).wait
    assert plan_for(replace(failed, desired=STOPPED), down).empty
    assert plan_for(failed, seen(STATUS.RUNNING)).start == ()


@pytest.mark.parametrize("status", [STATUS.STOPPED, STATUS.CREATED])
def test_start_what_is_to_run(status: InstanceStatus) -> None:
    assert plan_for(record(status=status), seen(status)).start == (ID,)


@pytest.mark.parametrize("wish", [STOPPED, DELETED])
def test_stop_what_is_not_to_run(wish: DesiredState) -> None:
    assert plan_for(record(desired=wish), seen()).stop == (ID,)


def test_a_start_waits_for_its_backoff() -> None:
    down = record(status=STATUS.STOPPED)
    attempts = {ID: (3, NOW)}
    plan = plan_for(down, seen(STATUS.STOPPED), attempts=attempts)
    assert plan.start == ()
    ((waiting, when),) = plan.wait
    assert waiting == ID
    assert later(2) <= when <= later(4)
    assert plan.empty
    after = plan_for(down, seen(STATUS.STOPPED), attempts=attempts, now=when)
    assert after.start == (ID,)


def test_a_clock_that_was_set_back_makes_no_pause() -> None:
    attempts = {ID: (3, later(3600))}
    plan = plan_for(record(status=STATUS.STOPPED), seen(STATUS.STOPPED), attempts=attempts)
    assert plan.start == (ID,)


@pytest.mark.parametrize("status", [STATUS.UNKNOWN, STATUS.ERROR])
def test_adopt_what_is_there_again(status: InstanceStatus) -> None:
    before = record(status=status)
    if status == STATUS.ERROR:
        before = replace(before, last_error=lost_failure(before))
    plan = plan_for(before, seen())
    assert plan == Plan(adopt=((ID, seen()),))
    after = settle(before, seen(), now=NOW)
    assert (after.status, after.last_error) == (STATUS.RUNNING, None)


def test_a_lost_one_that_is_there_again_and_does_not_run_is_stopped() -> None:
    before = record(status=STATUS.ERROR, desired=STOPPED)
    lost = replace(before, last_error=lost_failure(before))
    assert plan_for(lost, seen(STATUS.STOPPED)).adopt == ((ID, seen(STATUS.STOPPED)),)
    assert settle(lost, seen(STATUS.STOPPED), now=NOW).status == STATUS.STOPPED


def test_an_incomplete_creation_is_completed() -> None:
    half = seen(STATUS.CREATED, complete=False)
    assert plan_for(record(status=STATUS.ERROR), half) == Plan(recreate=(ID,))
    assert plan_for(record(desired=STOPPED), half).recreate == (ID,)
    assert plan_for(record(desired=DELETED), half) == Plan(delete=(ID,))
    assert plan_for(record(), half, attempts={ID: (9, NOW)}).wait


def test_a_late_start_of_an_older_epoch_is_undone() -> None:
    late = seen(epoch=1)
    plan = plan_for(record(epoch=2, status=STATUS.ERROR), late)
    assert plan == Plan(undo=(Undo("local", late, remove=False),))


def test_an_older_mark_on_what_does_not_run_is_the_instance_itself() -> None:
    plan = plan_for(record(epoch=2, status=STATUS.STOPPED), seen(STATUS.STOPPED, epoch=1))
    assert plan == Plan(start=(ID,))


def test_of_two_that_run_only_the_newest_goes_on() -> None:
    old, new = seen(epoch=1), seen(epoch=2)
    here = plan_for(record(epoch=2), old, new)
    assert here == Plan(undo=(Undo("local", old, remove=False),))
    there = plan_for(record(epoch=2), new, elsewhere=(old,))
    assert there == Plan(undo=(Undo("box1", old, remove=False),))


def test_a_newer_epoch_than_the_records_is_taken_over() -> None:
    plan = plan_for(record(), seen(epoch=5))
    assert [i for i, _ in plan.observe] == [ID]
    assert settle(record(), seen(epoch=5), now=NOW).epoch == 5


@pytest.mark.parametrize(
    "left",
    [
        seen(STATUS.STOPPED, epoch=1),
        seen(epoch=2),
        seen(epoch=3, node=OTHER),
        seen(STATUS.CREATED, epoch=3, complete=False),
    ],
)
def test_copies_elsewhere_are_listed_and_left_alone(left: Observed) -> None:
    plan = plan_for(record(epoch=2), seen(epoch=2), elsewhere=(left,))
    assert plan == Plan(stray=(Found("box1", left),))
    assert plan.empty


def test_a_newer_one_elsewhere_is_the_instance_and_the_record_follows() -> None:
    """An old backup of the state was put back: the instance has moved since."""
    here, there = seen(epoch=2), seen(epoch=3)
    plan = plan_for(record(epoch=2), here, elsewhere=(there,))
    assert plan == Plan(follow=(Found("box1", there),))
    after = follow(record(epoch=2), "box1", "docker", there, later(1))
    assert (after.provider, after.provider_type, after.epoch) == ("box1", "docker", 3)
    again = plan_for(after, here, elsewhere=(there,))
    assert again == Plan(undo=(Undo("local", here, remove=False),))


def test_copies_are_found_by_the_look_of_the_other_provider_alone() -> None:
    """Each provider tells for itself: that of the record is not asked at that moment."""
    late, left, newer = seen(epoch=1), seen(STATUS.STOPPED, epoch=1), seen(epoch=3)
    for there, plan in (
        (late, Plan(undo=(Undo("box1", late, remove=False),))),
        (left, Plan(stray=(Found("box1", left),))),
        (newer, Plan(follow=(Found("box1", newer),))),
    ):
        assert plan_for(record(epoch=2), observed={"box1": (there,)}) == plan
    busy = frozenset({ID})
    assert plan_for(record(epoch=2), observed={"box1": (late,)}, busy=busy) == Plan()
    assert plan_for(record(epoch=2, node=OTHER), observed={"box1": (late,)}) == Plan()


def test_one_absence_proves_nothing() -> None:
    assert plan_for(record(), absences={ID: 1}).empty


def test_two_absences_ask_and_a_no_is_lost() -> None:
    assert plan_for(record(), absences={ID: 2}) == Plan(confirm=(ID,))
    sure: dict[str, Any] = {"absences": {ID: 2}, "confirmed_absent": frozenset({ID})}
    assert plan_for(record(), **sure) == Plan(lost=(ID,))
    before = record()
    gone = replace(before, status=STATUS.ERROR, last_error=lost_failure(before))
    assert is_lost(gone)
    assert plan_for(gone, **sure).empty


def test_a_silent_provider_proves_nothing() -> None:
    facts: dict[str, Any] = {"absences": {ID: 9}, "confirmed_absent": frozenset({ID})}
    assert plan_for(record(), silent=True, **facts).counts() == {}
    assert plan_for(record(provider="gone"), **facts).counts() == {}


def test_strays() -> None:
    assert plan_for(None, seen()) == Plan(stray=(Found("local", seen()),))
    foreign = seen(node=OTHER)
    tombstones = frozenset({ID})
    assert plan_for(None, foreign, tombstones=tombstones).stray == (Found("local", foreign),)


def test_a_foreign_thing_under_our_id_is_not_ours_and_not_an_absence() -> None:
    plan = plan_for(record(), seen(node=OTHER), absences={ID: 2})
    assert plan == Plan(stray=(Found("local", seen(node=OTHER)),))


def test_what_has_a_tombstone_goes() -> None:
    tombstones = frozenset({ID})
    whole, half = seen(STATUS.STOPPED), seen(STATUS.CREATED, complete=False)
    assert plan_for(None, whole, tombstones=tombstones) == Plan(sweep=(Found("local", whole),))
    assert plan_for(None, half, tombstones=tombstones) == Plan(
        undo=(Undo("local", half, remove=True),)
    )


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(("age", "over"), [(3599, False), (3600, True)])
def test_the_trash_is_emptied_in_time(age: float, over: bool, there: bool) -> None:
    gone = record(desired=DELETED, status=STATUS.DELETED, deleted_at=NOW - timedelta(seconds=age))
    things = (seen(STATUS.DELETED),) if there else ()
    assert plan_for(gone, *things).purge == ((ID,) if over else ())
    assert plan_for(gone, *things, busy=frozenset({ID})).purge == ()


def test_an_undelete_that_was_cut_off_goes_on() -> None:
    plan = plan_for(
        record(desired=STOPPED, status=STATUS.DELETED, deleted_at=NOW), seen(STATUS.DELETED)
    )
    assert plan == Plan(restore=(ID,))


def test_a_delete_that_was_cut_off_goes_on() -> None:
    before = record(desired=DELETED, status=STATUS.UNKNOWN)
    down = seen(STATUS.STOPPED)
    assert plan_for(before, down) == Plan(adopt=((ID, down),), delete=(ID,))
    assert plan_for(before, down, attempts={ID: (2, NOW)}).wait


def test_what_is_busy_or_another_nodes_is_left_alone() -> None:
    assert plan_for(record(), seen(STATUS.STOPPED), busy=frozenset({ID})).counts() == {}
    assert plan_for(None, seen(), busy=frozenset({ID})).counts() == {}
    assert plan_for(record(node=OTHER), seen(STATUS.STOPPED)).counts() == {}


def test_many_that_failed_together_do_not_come_back_together() -> None:
    times = {next_attempt(make_id(n), (5, NOW), 0.5) for n in range(20)}
    assert len(times) == 20


@pytest.mark.parametrize(("count", "low", "high"), [(1, 0.5, 1), (4, 4, 8), (50, 150, 300)])
def test_next_attempt(count: int, low: float, high: float) -> None:
    when = next_attempt(ID, (count, NOW), 0.3)
    assert when is not None
    assert later(low) <= when <= later(high)
    assert next_attempt(ID, (0, NOW), 0.3) is None


# --- settle ----------------------------------------------------------------------------------


def test_settle_takes_over_status_url_and_start() -> None:
    address = Address(host="127.0.0.1", port=8080)
    what = seen(address=address, started_at=later(-5))
    after = settle(record(status=STATUS.STARTING), what, now=later(1))
    assert after.status == STATUS.RUNNING
    assert after.url == "http://127.0.0.1:8080/"
    assert (after.started_at, after.updated_at) == (later(-5), later(1))
    assert plan_for(after, what).empty


def test_an_error_stays_until_it_is_as_it_is_to_be() -> None:
    failed = record(
        desired=STOPPED, status=STATUS.ERROR, last_error=Failure(type="timeout", message="late")
    )
    assert plan_for(failed, seen(STATUS.STOPPED)).empty
    assert settle(failed, seen(STATUS.STOPPED), now=NOW).last_error == failed.last_error
    assert settle(failed, seen(), now=NOW).last_error is None
    unheard = replace(failed, status=STATUS.UNKNOWN)  # its provider did not answer a step
    assert settle(unheard, seen(), now=NOW).last_error is None
    assert settle(unheard, seen(STATUS.STOPPED), now=NOW).last_error is None, "as it is to be"
    wanted = replace(unheard, desired=RUNNING)
    assert settle(wanted, seen(STATUS.STOPPED), now=NOW).last_error == failed.last_error


@pytest.mark.parametrize("before", list(STATUS))
@pytest.mark.parametrize(
    "status", [STATUS.CREATED, STATUS.RUNNING, STATUS.STOPPED, STATUS.DELETED, STATUS.ERROR]
)
def test_whatever_is_seen_can_be_recorded(before: InstanceStatus, status: InstanceStatus) -> None:
    deleted_at: datetime | None = NOW if before == STATUS.DELETED else None
    start = record(status=before, deleted_at=deleted_at)
    after = settle(start, seen(status), now=later(1))
    kept = before == STATUS.ERROR and status in (STATUS.CREATED, STATUS.STOPPED)
    assert after.status == (before if kept else status)
    assert (after.deleted_at is not None) == (after.status == STATUS.DELETED)
    assert settle(after, seen(status), now=later(1)) == after
