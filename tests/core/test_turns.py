"""Who waits too long behind another operation of the instance, and what is then said and kept."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from swarmd.core.housekeeping import tidy
from swarmd.core.steps import Step
from swarmd.core.tables import Change
from swarmd.core.turns import late
from swarmd.errors import (
    CircuitOpen,
    OperationCancelled,
    ProviderError,
    ProviderUnreachable,
    SwarmError,
)
from swarmd.messages.enums import DesiredState, InstanceStatus, OperationKind, OperationState
from swarmd.messages.operation import Operation
from tests.core.desk import CREATE, DELETE, START, STOP, Desk, tables_of
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
    ("kind", "good", "status"),
    [
        (STOP, 0, InstanceStatus.RUNNING),
        (DELETE, 0, InstanceStatus.RUNNING),
        (DELETE, 1, InstanceStatus.STOPPED),
        (OperationKind.RESTART, 0, InstanceStatus.RUNNING),
        (OperationKind.RESTART, 1, InstanceStatus.STOPPED),
    ],
)
def test_what_was_not_sent_leaves_the_instance_as_it_was_last_seen(
    kind: OperationKind, good: int, status: InstanceStatus
) -> None:
    desk = Desk(instance(1))
    operation = desk.ask(kind)
    for _ in range(good):
        desk.end(operation)
    desk.fail(operation, CircuitOpen("it is left alone"))
    assert desk.of(operation).state is FAILED
    assert (desk.record().status, desk.record().last_error) == (status, None)


def test_a_creation_of_which_nothing_was_sent_leaves_nothing() -> None:
    desk = Desk()
    creation = desk.create()
    desk.fail(creation, CircuitOpen("it is left alone"))
    assert desk.of(creation).state is FAILED
    assert desk.tables.instances == {}


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


@pytest.mark.parametrize(
    ("error", "desired"),
    [
        (ProviderUnreachable("no answer"), DesiredState.DELETED),
        (ProviderError("it said no"), DesiredState.STOPPED),
    ],
)
def test_a_crash_between_the_two_files_of_its_end_loses_no_wish(
    error: SwarmError, desired: DesiredState
) -> None:
    desk = Desk(instance(1))
    operation = desk.ask(DELETE)
    before = desk.record()
    desk.fail(operation, error)
    torn = tables_of(before, operations=(desk.of(operation),))
    mended = torn.apply(tidy(torn, desk.now))
    assert mended.instances[before.id].desired is desired is desk.record().desired


def test_a_start_outlives_it_too_and_is_taken_back_by_a_stop() -> None:
    ended = {"status": InstanceStatus.STOPPED, "started_at": NOW}  # it exited by itself
    desk = Desk(instance(1, desired=DesiredState.STOPPED, **ended))
    start = desk.ask(START)
    desk.fail(start, CircuitOpen("it is left alone"))
    error = desk.of(start).error
    assert error is not None
    assert "ana/web is started once provider local answers again" in error.details["next_step"]
    assert "swarmctl stop ana/web" in error.details["next_step"]
    record = desk.record()
    assert (record.desired, record.status) == (DesiredState.RUNNING, InstanceStatus.STOPPED)
    assert record.started_at is None  # for this wish: so it is no recovery to carry it out


def test_a_creation_is_not_kept() -> None:
    desk = Desk()
    creation = desk.create(kind=CREATE)
    desk.end(creation)
    desk.fail(creation, ProviderUnreachable("no answer"))
    error = desk.of(creation).error
    assert error is not None
    assert "kept" not in error.details
