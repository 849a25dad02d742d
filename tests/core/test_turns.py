"""Who waits too long behind another operation of the instance, and what is then said and kept."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from swarmd.core.housekeeping import tidy
from swarmd.core.steps import Step
from swarmd.core.tables import Change
from swarmd.core.turns import late
from swarmd.errors import OperationCancelled, ProviderUnreachable
from swarmd.messages.enums import DesiredState, InstanceStatus, OperationKind, OperationState
from swarmd.messages.operation import Operation
from tests.core.desk import CREATE, DELETE, START, STOP, Desk
from tests.core.samples import NOW, instance

FAILED = OperationState.FAILED


def wait(desk: Desk, seconds: float = 30.0, since: datetime = NOW) -> Change:
    """So much later, all that waited too long has ended."""
    desk.now += timedelta(seconds=seconds)
    return desk.apply(late(desk.tables, desk.now, 30.0, since))


def behind_a_create(kind: OperationKind) -> tuple[Desk, Operation, Operation]:
    """What waits for the end of a creation that goes on."""
    desk = Desk()
    creation = desk.create()
    desk.end(creation)  # validated: now it is made
    return desk, creation, desk.ask(kind)


def test_a_stop_that_waits_too_long_names_who_holds_the_instance_and_stays_wished() -> None:
    desk, creation, stop = behind_a_create(STOP)
    assert wait(desk, 20) == Change()
    wait(desk, 12)
    ended = desk.of(stop)
    assert (ended.state, ended.error and ended.error.type) == (FAILED, "timeout")
    assert ended.error is not None
    assert f"behind create {creation.id}" in ended.error.message
    details = ended.error.details
    assert (details["operation"], details["kind"], details["step"]) == (
        creation.id, "create", "create",
    )  # fmt: skip
    assert 32 <= details["age_seconds"] <= 40
    assert "is stopped after that" in details["next_step"]
    # The creation goes on, and does not start what is to be stopped.
    assert desk.steps(creation) == ["create"]
    assert desk.of(creation).state is OperationState.SUCCEEDED
    assert (desk.record().status, desk.record().desired) == (
        InstanceStatus.CREATED,
        DesiredState.STOPPED,
    )
    assert desk.tables.active == {}


def test_what_an_undo_holds_up_for_too_long_is_still_to_go() -> None:
    desk = Desk()
    creation = desk.create()
    desk.end(creation)
    desk.fail(creation)
    assert desk.of(creation).step == Step.UNDO
    delete = desk.ask(DELETE)
    wait(desk)
    assert desk.of(delete).state is FAILED
    desk.fail(creation)  # it cannot be undone
    assert desk.record().desired is DesiredState.DELETED


def test_a_holder_that_was_told_to_end_has_its_own_deadline() -> None:
    desk = Desk(instance(1, status=InstanceStatus.STOPPED, desired=DesiredState.STOPPED))
    start, stop = desk.ask(START), desk.ask(STOP)
    assert desk.of(start).cancel_requested
    assert wait(desk, 300) == Change()
    desk.fail(start, OperationCancelled("it heard"))
    assert desk.of(stop).state is OperationState.RUNNING


def test_one_that_was_cancelled_while_it_waited_ends_as_cancelled() -> None:
    desk, _creation, stop = behind_a_create(STOP)
    desk.cancel(stop)
    wait(desk)
    assert desk.of(stop).state is OperationState.CANCELLED


def test_the_time_in_which_no_daemon_ran_does_not_count() -> None:
    desk, _creation, stop = behind_a_create(STOP)
    assert wait(desk, 600, since=desk.now + timedelta(seconds=599)) == Change()
    assert desk.of(stop).state is OperationState.PENDING


def test_its_end_leaves_nothing_to_tidy_and_is_told_once() -> None:
    desk, _creation, stop = behind_a_create(STOP)
    before = len(desk.events)
    wait(desk)
    assert desk.told[before:] == ["operation_ended"]
    assert "waited in vain" in desk.story[-1]
    assert tidy(desk.tables, desk.now) == Change()
    assert wait(desk, 300) == Change()
    assert desk.of(stop).state is FAILED


@pytest.mark.parametrize(
    ("kind", "word", "desired"),
    [(STOP, "is stopped", DesiredState.STOPPED), (DELETE, "trash", DesiredState.DELETED)],
)
def test_a_stop_or_delete_outlives_the_silence_of_its_provider(
    kind: OperationKind, word: str, desired: DesiredState
) -> None:
    desk = Desk(instance(1))
    operation = desk.ask(kind)
    desk.fail(operation, ProviderUnreachable("no answer"))
    error = desk.of(operation).error
    assert error is not None
    assert error.details["kept"] is True
    assert word in error.details["next_step"]
    assert "swarmctl start ana/web" in error.details["next_step"]
    assert desk.record().desired is desired
    # Who starts it takes that back.
    desk.run(desk.ask(START))
    assert desk.record().desired is DesiredState.RUNNING


def test_kind_of_create_is_not_kept() -> None:
    desk = Desk()
    creation = desk.create(kind=CREATE)
    desk.end(creation)
    desk.fail(creation, ProviderUnreachable("no answer"))
    error = desk.of(creation).error
    assert error is not None
    assert "kept" not in error.details
