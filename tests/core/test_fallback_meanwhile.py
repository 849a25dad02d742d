"""What changes between two attempts of a creation: providers, wishes, the daemon itself."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.course import PLACEMENT, Outcome, Step
from swarmd.core.fallback import planned
from swarmd.core.housekeeping import tidy
from swarmd.core.intake import decide
from swarmd.core.placement import Rules
from swarmd.core.steps import settle
from swarmd.core.tables import Change, ProviderView, Tables
from swarmd.errors import (
    SwarmError,
)
from swarmd.messages.enums import DesiredState, OperationState
from swarmd.messages.provider import ProviderHealth, ProviderRecord
from swarmd.messages.replies import Placement, RankedProvider
from swarmd.messages.requests import CreateInstance
from tests.core.attempts import Attempt, three
from tests.core.desk import BROKEN, DELETE, LOCAL, READY, STOP, Desk
from tests.core.samples import NOW, caps, config, instance
from tests.core.world import cut

FULL = ProviderView(ProviderHealth(ok=True), caps(max_instances=1))


# --- what changes meanwhile ------------------------------------------------------------------


def test_who_does_not_take_it_any_more_is_passed_over() -> None:
    desk = Attempt()
    operation = desk.make()
    desk.apply(Change(instances=(instance(2, name="x", provider="box1"),), views={"box1": FULL}))
    desk.break_at(operation)
    assert desk.at()[0] == "box2"
    assert "not placed at box1: provider box1 has 1 instances, its most" in desk.story
    desk.break_at(operation)
    error = desk.of(operation).error
    assert error is not None
    assert [(each["provider"], each["type"]) for each in error.details["attempts"]] == [
        ("local", "provider_error"), ("box1", "resource_limit_error"), ("box2", "provider_error"),
    ]  # fmt: skip


def test_nobody_is_left() -> None:
    desk = Attempt()
    operation = desk.make()
    desk.apply(Change(providers=(LOCAL, ProviderRecord(name="box1", type="docker", enabled=False))))
    desk.break_at(operation)
    error = desk.of(operation).error
    assert error is not None
    assert error.message.endswith(
        "local: it did not work; box1: provider box1 is disabled; box2: box2 is gone"
    )
    assert desk.tables.instances == {}


def test_who_was_not_heard_of_since_the_start_says_so_itself() -> None:
    """A daemon that was killed has not asked anyone when the undo has ended."""
    desk = Attempt()
    operation = desk.make()
    desk.apply(Change(views={"box1": None}))
    desk.break_at(operation)
    assert desk.at()[0] == "box1"
    desk.apply(Change(views={"box2": ProviderView(ProviderHealth(ok=False, message="no answer"))}))
    desk.break_at(operation)
    error = desk.of(operation).error
    assert error is not None
    assert error.message.endswith("box2: provider box2 is not ready: no answer")


def test_the_rules_are_those_under_which_it_was_accepted() -> None:
    """Whether the region is weighed, and whether the network is trusted."""
    tables = three()
    desk = Attempt(tables, strategy="geographic", insecure=True)
    operation = desk.make(region="mars")
    desk.break_at(operation)
    assert desk.at()[0] == "box1"
    assert desk.plan(operation)["strategy"] == "geographic"


# --- other wishes ----------------------------------------------------------------------------


def test_a_delete_between_two_attempts_ends_it() -> None:
    desk = Attempt()
    operation = desk.make()
    desk.to(operation, Step.CREATE)
    desk.fail(operation)
    delete = desk.ask(DELETE, force=True)
    desk.end(operation)
    ended = desk.of(operation)
    assert ended.state is OperationState.CANCELLED
    assert ended.error is not None
    assert ended.error.details["winner"] == delete.id
    assert ended.error.details["cause"] == "it did not work"
    assert desk.of(delete).state is OperationState.SUCCEEDED
    assert desk.tables.instances == {}


def test_a_cancel_between_two_attempts_ends_it() -> None:
    desk = Attempt()
    operation = desk.make()
    desk.break_at(operation)
    desk.to(operation, Step.CREATE)
    desk.fail(operation)
    assert desk.cancel(operation).cancel_requested
    desk.end(operation)
    ended = desk.of(operation)
    assert (ended.state, ended.reason) == (OperationState.CANCELLED, "cancelled by ana")
    assert ended.error is not None
    assert [each["provider"] for each in ended.error.details["attempts"]] == ["local", "box1"]


def test_a_cancel_that_meets_a_failure_ends_it() -> None:
    """The provider said no before it heard of the cancel: nobody wants another attempt."""
    desk = Attempt()
    operation = desk.make()
    desk.to(operation, Step.CREATE)
    desk.cancel(operation)
    desk.fail(operation)
    assert desk.of(operation).step == Step.UNDO
    desk.end(operation)
    assert desk.of(operation).state is OperationState.FAILED
    assert desk.tables.instances == {}


def test_the_last_undo_is_not_cut_off() -> None:
    desk = Attempt(fallback=False)
    operation = desk.make()
    desk.to(operation, Step.CREATE)
    desk.fail(operation)
    assert not desk.cancel(operation).cancel_requested


def test_a_stop_between_two_attempts_waits_for_the_creation() -> None:
    desk = Attempt()
    operation = desk.make()
    desk.to(operation, Step.CREATE)
    desk.fail(operation)
    stop = desk.ask(STOP)
    desk.end(operation)
    assert desk.at()[0] == "box1"
    desk.run(stop)
    assert desk.of(operation).state is OperationState.SUCCEEDED
    assert (desk.record().provider, desk.record().desired) == ("box1", DesiredState.STOPPED)


# --- crashes and late answers ----------------------------------------------------------------


@pytest.mark.parametrize("files", range(3))
def test_a_crash_between_undo_and_the_next_attempt(files: int) -> None:
    """Whatever of that change is on disk, it goes on: with the undo, or with the next one."""
    desk = Attempt()
    operation = desk.make()
    desk.to(operation, Step.CREATE)
    desk.fail(operation)
    before = desk.tables
    change = desk.end(operation)
    instances, operations = cut(before, change, files)
    fresh = Tables.build(
        instances.values(), operations.values(), before.providers.values(), before.seq
    )
    again = Attempt(fresh.apply(tidy(fresh, desk.now)))
    again.apply(Change(views={"local": READY, "box1": READY, "box2": READY}))
    if files == 0:
        assert (again.at()[0], again.of(operation).step) == ("local", Step.UNDO)
        again.end(operation)
    assert again.at() == ("box1", "docker", 2, "creating")
    assert again.run(operation).state is OperationState.SUCCEEDED
    assert again.record().provider == "box1"


def test_the_late_answer_of_the_one_before_changes_nothing() -> None:
    desk = Attempt()
    operation = desk.make()
    desk.break_at(operation)
    late = Outcome(operation.id, Step.VALIDATE, error=BROKEN, provider="local")
    assert settle(desk.tables, late, desk.now) == Change()
    now = Outcome(operation.id, Step.VALIDATE, provider="box1")
    assert settle(desk.tables, now, desk.now) != Change()


def test_a_record_of_before_has_no_plan() -> None:
    """Operations that an older version wrote end as they did."""
    desk = Desk(tables=three())
    operation = desk.create()
    desk.end(operation)
    desk.fail(operation)
    desk.end(operation)
    assert desk.of(operation).state is OperationState.FAILED


def test_what_is_kept_of_a_placement() -> None:
    def ranked(*names: str) -> Placement:
        each = tuple(RankedProvider(provider=name, score=1.0) for name in names)
        return Placement(chosen=names[0], strategy="cost", ranked=each)

    assert planned(ranked("a"), Rules()) == {}
    assert planned(ranked("a", "b"), Rules(fallback=False)) == {}
    plan = planned(ranked("a", "b", "c"), Rules(insecure=True))[PLACEMENT]
    assert plan == {"strategy": "cost", "insecure": True, "tried": [], "next": ["b", "c"]}


def test_the_times_of_the_attempts_are_in_order() -> None:
    desk = Attempt()
    operation = desk.make()
    times = [desk.record().updated_at]
    for _ in range(2):
        desk.break_at(operation)
        times.append(desk.record().updated_at)
    assert times == sorted(set(times))
    assert times[0] >= NOW


# --- whatever happens ------------------------------------------------------------------------

CAPS = st.builds(
    caps, max_instances=st.integers(0, 2), max_instances_per_user=st.integers(0, 2)
).map(lambda able: ProviderView(ProviderHealth(ok=True), able))


def within_limits(tables: Tables) -> bool:
    """No provider has more instances than it takes, of all and of each owner."""
    for name, view in tables.views.items():
        able = view.capabilities
        owners = [row.owner for row in tables.instances.values() if row.provider == name]
        most = Counter(owners).most_common(1)
        if able is None:
            continue
        if able.max_instances and len(owners) > able.max_instances:
            return False
        if able.max_instances_per_user and most and most[0][1] > able.max_instances_per_user:
            return False
    return True


@given(st.tuples(CAPS, CAPS, CAPS), st.sampled_from(("", "local")), st.data())
def test_no_provider_ever_has_more_than_it_takes(
    views: tuple[ProviderView, ...], default: str, data: st.DataObject
) -> None:
    """However many are created by whomever, and wherever they fail and go on."""
    found = dict(zip(("local", "box1", "box2"), views, strict=True))
    desk = Attempt(three().apply(Change(views=found)), default_provider=default)
    for number in range(1, 7):
        request = CreateInstance(
            config=config(f"n{number}"), owner=data.draw(st.sampled_from(("ana", "bo")))
        )
        intake = desk.intake(number)
        try:
            operation = desk.take(decide(desk.tables, request, intake))
        except SwarmError:
            continue
        assert within_limits(desk.tables)
        for _ in range(data.draw(st.integers(0, 12))):
            if desk.of(operation).state.ended:
                break
            desk.end(operation, error=data.draw(st.sampled_from((None, BROKEN))))
            assert within_limits(desk.tables)
