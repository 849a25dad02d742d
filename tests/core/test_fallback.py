"""A creation that one provider cannot carry out goes on at the next one, or says why not."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.course import PLACEMENT, Outcome, Step
from swarmd.core.fallback import planned
from swarmd.core.housekeeping import tidy
from swarmd.core.intake import Intake, decide
from swarmd.core.placement import Rules
from swarmd.core.steps import settle
from swarmd.core.tables import Change, ProviderView, Tables
from swarmd.errors import (
    DeadlineExceeded,
    OperationCancelled,
    ProviderError,
    ProviderUnreachable,
    ResourceLimitError,
    SwarmError,
    Unavailable,
    ValidationError,
)
from swarmd.messages.enums import DesiredState, InstanceStatus, OperationKind, OperationState
from swarmd.messages.operation import Operation
from swarmd.messages.provider import ProviderHealth, ProviderRecord
from swarmd.messages.replies import Placement, RankedProvider
from swarmd.messages.requests import CreateInstance, ImportInstance
from tests.core.desk import ANA, BROKEN, DELETE, LOCAL, READY, STOP, Desk, tables_of
from tests.core.samples import NODE, NOW, caps, config, instance, make_id
from tests.core.world import cut

BOX1 = ProviderRecord(name="box1", type="docker")
BOX2 = ProviderRecord(name="box2", type="docker", priority=-1.0)
FULL = ProviderView(ProviderHealth(ok=True), caps(max_instances=1))


def three() -> Tables:
    """Local first, then box1, then box2."""
    views = {"box1": READY, "box2": READY}
    return tables_of().apply(Change(providers=(LOCAL, BOX1, BOX2), views=views))


class Attempt(Desk):
    """A desk at which a creation is placed as a request is."""

    def __init__(self, tables: Tables | None = None, **rules: Any) -> None:
        super().__init__(tables=tables or three())
        self.rules = Rules(**{"default_provider": "local"} | rules)

    def make(self, *, archive: str | None = None, **fields: Any) -> Operation:
        wanted = config(**fields)
        request = (
            CreateInstance(config=wanted)
            if archive is None
            else ImportInstance(config=wanted, upload=archive)
        )
        return self.take(decide(self.tables, request, self.intake(1)))

    def intake(self, number: int) -> Intake:
        return Intake(
            operation_id=make_id(900 + number),
            instance_id=make_id(number),
            caller=ANA,
            now=self.now,
            node=NODE,
            password="fresh",
            digest="d",
            lasts=60.0,
            rules=self.rules,
        )

    def to(self, operation: Operation, step: Step) -> None:
        """Everything goes well up to this step."""
        while self.of(operation).step != step:
            self.end(operation)

    def break_at(self, operation: Operation, error: SwarmError = BROKEN) -> None:
        """It is made as far as that, fails, and is undone."""
        making = Step.IMPORT if operation.kind is OperationKind.IMPORT else Step.CREATE
        self.to(operation, making)
        self.fail(operation, error)
        assert self.of(operation).step == Step.UNDO
        self.end(operation)

    def at(self) -> tuple[str, str, int, str]:
        row = self.record()
        return row.provider, row.provider_type, row.epoch, str(row.status)

    def plan(self, operation: Operation) -> Any:
        return self.of(operation).arguments[PLACEMENT]


@pytest.mark.parametrize("archive", [None, "u1"])
def test_it_goes_on_in_the_order_of_the_ranking(archive: str | None) -> None:
    desk = Attempt()
    operation = desk.make(archive=archive)
    assert desk.at() == ("local", "local", 1, "creating")
    desk.break_at(operation)
    assert desk.at() == ("box1", "docker", 2, "creating")
    going_on = desk.of(operation)
    assert (going_on.step, going_on.state) == (Step.VALIDATE, OperationState.RUNNING)
    assert going_on.error is None
    assert going_on.progress.message == "local could not make it, trying box1"
    assert desk.plan(operation) == {
        "strategy": "balanced",
        "insecure": False,
        "tried": [{"provider": "local", "type": "provider_error", "message": "it did not work"}],
        "next": ["box2"],
        "at": {"provider": "box1", "type": "docker"},
    }
    desk.break_at(operation)
    assert desk.at() == ("box2", "docker", 3, "creating")
    ended = desk.run(operation)
    assert ended.state is OperationState.SUCCEEDED
    assert (desk.record().status, desk.record().provider) == (InstanceStatus.RUNNING, "box2")
    assert ended.arguments.get("upload") == archive
    assert "create at box1: local could not: it did not work" in desk.story
    assert "create at box2: box1 could not: it did not work" in desk.story
    told = [each.data for each in desk.events if each.type == "operation_progress"]
    assert [each["provider"] for each in told] == ["box1", "box2"]
    assert "instance_purged" not in desk.told
    assert desk.told.count("operation_started") == desk.told.count("operation_ended") == 1


def test_all_that_fail_are_told_with_their_causes() -> None:
    desk = Attempt()
    operation = desk.make()
    desk.break_at(operation, ProviderError("the disk is broken"))
    desk.break_at(operation, Unavailable("it was switched off"))
    desk.break_at(operation, ResourceLimitError("no port is free"))
    ended = desk.of(operation)
    assert ended.state is OperationState.FAILED
    assert ended.error is not None
    assert ended.error.type == "provider_error"
    assert ended.error.message == (
        "ana/web could be made at no provider: local: the disk is broken; "
        "box1: it was switched off; box2: no port is free"
    )
    attempts = ended.error.details["attempts"]
    assert [(each["provider"], each["type"]) for each in attempts] == [
        ("local", "provider_error"), ("box1", "unavailable"), ("box2", "resource_limit_error"),
    ]  # fmt: skip
    assert ended.reason == ended.error.message
    assert desk.tables.instances == {}
    assert desk.told[-2:] == ["instance_purged", "operation_ended"]


@pytest.mark.parametrize(
    "error",
    [
        ValidationError("no such folder", field="config.workspace"),
        DeadlineExceeded("the time for this step ran out"),
        OperationCancelled("cancelled while it ran"),
    ],
)
def test_what_another_provider_cannot_mend_ends_it(error: SwarmError) -> None:
    desk = Attempt()
    operation = desk.make()
    desk.break_at(operation, error)
    ended = desk.of(operation)
    assert ended.state.ended
    assert ended.error is not None
    assert ended.error.type == error.type
    assert "attempts" not in ended.error.details
    assert desk.tables.instances == {}


def test_an_error_of_the_second_that_ends_it_keeps_the_first() -> None:
    desk = Attempt()
    operation = desk.make()
    desk.break_at(operation)
    desk.break_at(operation, DeadlineExceeded("the time ran out"))
    error = desk.of(operation).error
    assert error is not None
    assert error.type == "provider_error"
    assert error.message.endswith("local: it did not work; box1: the time ran out")


@pytest.mark.parametrize(
    ("rules", "fields"), [({"fallback": False}, {}), ({}, {"provider": "local"})]
)
def test_who_is_named_or_without_fallback_it_ends(
    rules: dict[str, Any], fields: dict[str, Any]
) -> None:
    desk = Attempt(**rules)
    operation = desk.make(**fields)
    assert PLACEMENT not in operation.arguments
    desk.break_at(operation)
    ended = desk.of(operation)
    assert ended.error is not None
    assert (ended.state, ended.error.message) == (OperationState.FAILED, "it did not work")
    assert desk.tables.instances == {}


def test_a_refusal_before_anything_was_made_is_not_undone() -> None:
    """So that an engine that does not answer holds up nothing."""
    desk = Attempt()
    operation = desk.make()
    desk.fail(operation, ProviderUnreachable("no answer"))
    assert desk.at() == ("box1", "docker", 2, "creating")
    assert desk.of(operation).step == Step.VALIDATE
    assert "validate did not succeed: no answer" in desk.story
    assert "create at box1: local could not: no answer" in desk.story


def test_the_last_one_that_refuses_is_undone_and_told() -> None:
    desk = Attempt()
    operation = desk.make()
    for message in ("one", "two", "three"):
        desk.fail(operation, ProviderUnreachable(message))
    assert desk.of(operation).step == Step.UNDO
    desk.end(operation)
    error = desk.of(operation).error
    assert error is not None
    assert error.message.endswith("local: one; box1: two; box2: three")


def test_what_cannot_be_undone_is_tried_nowhere_else() -> None:
    desk = Attempt()
    operation = desk.make()
    desk.to(operation, Step.CREATE)
    desk.fail(operation)
    desk.fail(operation, ProviderUnreachable("no answer"))
    ended, row = desk.of(operation), desk.record()
    assert ended.state is OperationState.FAILED
    assert ended.error is not None
    assert ended.error.message == (
        "it did not work; undoing it failed: no answer, so that no other provider was tried"
    )
    assert (row.provider, row.desired) == ("local", DesiredState.DELETED)


def test_the_second_that_cannot_be_undone_tells_of_both() -> None:
    desk = Attempt()
    operation = desk.make()
    desk.break_at(operation)
    desk.to(operation, Step.CREATE)
    desk.fail(operation)
    desk.fail(operation, ProviderError("stuck"))
    error = desk.of(operation).error
    assert error is not None
    assert [each["provider"] for each in error.details["attempts"]] == ["local", "box1"]
    assert desk.record().provider == "box1"


def test_a_failed_start_is_no_failed_creation() -> None:
    """It is there, and can be looked at and started again."""
    desk = Attempt()
    operation = desk.make()
    desk.to(operation, Step.START)
    desk.fail(operation)
    assert desk.of(operation).state is OperationState.FAILED
    assert (desk.record().provider, desk.record().status) == ("local", InstanceStatus.ERROR)


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
