"""What fails, is cancelled, pre-empted, late or lost: what is left of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from swarmd.core.course import Outcome, Step
from swarmd.core.steps import abandon, settle
from swarmd.core.tables import Change
from swarmd.errors import DeadlineExceeded, InstanceNotFound, ProviderUnreachable
from swarmd.messages.enums import (
    DesiredState,
    InstanceStatus,
    OperationKind,
    OperationState,
)
from swarmd.messages.instance import Failure, Instance
from tests.core.desk import (
    BROKEN,
    CANCELLED,
    CREATE,
    DELETE,
    IMPORT,
    PURGE,
    RESTART,
    START,
    STOP,
    UNDELETE,
    UPDATE,
    Desk,
    update_arguments,
)
from tests.core.samples import NOW, config, instance, make_id, observed

RUNNING, STOPPED = InstanceStatus.RUNNING, InstanceStatus.STOPPED
DELETED, ERROR, UNKNOWN = InstanceStatus.DELETED, InstanceStatus.ERROR, InstanceStatus.UNKNOWN
SUCCEEDED, FAILED = OperationState.SUCCEEDED, OperationState.FAILED
KEPT = Failure(type="provider_error", message="it did not work", details={"cause": "boom"})


def trashed(number: int = 1, **values: Any) -> Instance:
    defaults = {"status": DELETED, "desired": DesiredState.DELETED, "deleted_at": NOW}
    return instance(number, **defaults | values)


def stopped(**values: Any) -> Instance:
    return instance(1, **{"status": STOPPED, "desired": DesiredState.STOPPED} | values)


AFTER = config(env={"A": "2"}, metadata={"note": "x"})


# --- creations that are refused ---------------------------------------------------------------


@pytest.mark.parametrize("good", [0, 1])
@pytest.mark.parametrize("kind", [CREATE, IMPORT])
@pytest.mark.parametrize("error", [BROKEN, CANCELLED])
def test_a_refused_creation_leaves_no_instance(good: int, kind: OperationKind, error: Any) -> None:
    desk = Desk()
    operation = desk.create(kind=kind)
    for _ in range(good):
        desk.end(operation)
    desk.fail(operation, error)
    assert desk.of(operation).step == "undo"
    assert desk.record().status is InstanceStatus.DELETING
    assert ("ana", "web") in desk.tables.names
    desk.end(operation)
    assert desk.tables.instances == {}
    assert desk.tables.names == {}
    ended = desk.of(operation)
    cancelled = error is CANCELLED
    assert ended.state is (OperationState.CANCELLED if cancelled else FAILED)
    assert ended.error is not None
    assert (ended.error.type, ended.error.message) == (error.type, error.message)
    assert desk.told[-2:] == ["instance_purged", "operation_ended"]
    assert desk.events[-1].data["error"]["message"] == error.message
    assert desk.events[-1].ref == "ana/web"


def test_a_start_that_fails_after_a_creation_leaves_the_instance() -> None:
    desk = Desk()
    operation = desk.create()
    desk.end(operation)
    desk.end(operation)
    desk.fail(operation)
    assert desk.of(operation).state is FAILED
    assert (desk.record().status, desk.record().last_error) == (ERROR, KEPT)


def test_a_creation_that_cannot_be_undone_is_still_to_go() -> None:
    desk = Desk()
    operation = desk.create()
    desk.fail(operation, CANCELLED)
    desk.fail(operation)
    record, ended = desk.record(), desk.of(operation)
    assert (record.status, record.desired) == (ERROR, DesiredState.DELETED)
    assert ended.state is FAILED
    assert ended.error is not None
    assert ended.error == record.last_error
    assert ended.error.message == "cancelled while it ran; undoing it failed: it did not work"
    assert "swarmctl rm --force ana/web" in ended.error.details["next_step"]
    assert ended.error.details["cause"] == "it did not work"
    assert desk.steps(desk.automatic(DELETE)) == ["stop", "trash"]


def test_what_its_provider_has_no_more_is_deleted_by_force() -> None:
    gone = InstanceNotFound("nothing of it is at local")
    desk = Desk(instance(1))
    gentle = desk.ask(DELETE)
    desk.fail(gentle, gone)
    error = desk.of(gentle).error
    assert error is not None
    assert "swarmctl rm --force ana/web" in error.details["next_step"]
    forced = desk.ask(DELETE, force=True)
    desk.fail(forced, gone)
    assert (desk.of(forced).step, desk.of(forced).state) == ("purge", OperationState.RUNNING)
    desk.end(forced)
    assert desk.tables.instances == {}


def test_an_undo_without_a_known_reason() -> None:
    desk = Desk()
    operation = desk.create()
    desk.fail(operation)
    marked = msgspec.structs.replace(desk.of(operation), error=None)
    desk.apply(Change(operations=(marked,)))
    desk.fail(operation)
    assert desk.of(operation).reason == "the creation failed; undoing it failed: it did not work"


def test_an_undo_is_not_cut_off_by_the_cancel_that_brought_it() -> None:
    desk = Desk()
    operation = desk.cancel(desk.create())
    desk.fail(operation, CANCELLED)
    assert (desk.of(operation).step, desk.of(operation).cancel_requested) == ("undo", False)
    desk.end(operation)
    assert desk.of(operation).state is OperationState.CANCELLED
    assert desk.of(operation).reason == "cancelled by ana"


# --- other failures ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "kind", "good", "status", "desired"),
    [
        (stopped(), START, 0, ERROR, DesiredState.RUNNING),
        (instance(1), STOP, 0, ERROR, DesiredState.STOPPED),
        (instance(1), RESTART, 0, ERROR, DesiredState.RUNNING),
        (instance(1), RESTART, 1, ERROR, DesiredState.RUNNING),
        (instance(1), DELETE, 0, ERROR, DesiredState.STOPPED),
        (instance(1), DELETE, 1, ERROR, DesiredState.STOPPED),
        (trashed(), UNDELETE, 0, DELETED, DesiredState.DELETED),
    ],
)
def test_a_failure(
    found: Instance,
    kind: OperationKind,
    good: int,
    status: InstanceStatus,
    desired: DesiredState,
) -> None:
    desk = Desk(found)
    operation = desk.ask(kind)
    for _ in range(good):
        desk.end(operation)
    step = desk.of(operation).step
    desk.fail(operation)
    ended, record = desk.of(operation), desk.record()
    assert (ended.state, ended.error, ended.reason) == (FAILED, KEPT, "it did not work")
    assert (record.status, record.desired, record.last_error) == (status, desired, KEPT)
    assert desk.story[-1] == f"{step} did not succeed: it did not work"
    assert desk.events[-1].data["error"] == {"type": KEPT.type, "message": KEPT.message}


@pytest.mark.parametrize(
    ("found", "kind", "good", "status", "desired"),
    [
        (stopped(), START, 0, UNKNOWN, DesiredState.RUNNING),
        (instance(1), STOP, 0, UNKNOWN, DesiredState.STOPPED),
        (instance(1), RESTART, 1, UNKNOWN, DesiredState.RUNNING),
        (instance(1), DELETE, 1, UNKNOWN, DesiredState.DELETED),
        (instance(1), UPDATE, 1, RUNNING, DesiredState.RUNNING),
        (trashed(), UNDELETE, 0, DELETED, DesiredState.DELETED),
    ],
)
def test_a_provider_that_does_not_answer_has_said_nothing(
    found: Instance,
    kind: OperationKind,
    good: int,
    status: InstanceStatus,
    desired: DesiredState,
) -> None:
    desk = Desk(found)
    arguments = update_arguments(AFTER) if kind is UPDATE else {}
    operation = desk.ask(kind, **arguments)
    for _ in range(good):
        desk.end(operation)
    desk.fail(operation, ProviderUnreachable("the engine does not answer"))
    record = desk.record()
    assert desk.of(operation).state is FAILED
    assert (record.status, record.desired) == (status, desired)
    assert record.last_error is not None
    assert record.last_error.message == "the engine does not answer"


@pytest.mark.parametrize(
    ("found", "kind", "good", "status", "desired"),
    [
        (stopped(), START, 0, STOPPED, DesiredState.STOPPED),
        (instance(1), STOP, 0, UNKNOWN, DesiredState.RUNNING),
        (stopped(), STOP, 0, UNKNOWN, DesiredState.STOPPED),
        (instance(1), RESTART, 1, STOPPED, DesiredState.RUNNING),
        (instance(1), DELETE, 0, UNKNOWN, DesiredState.STOPPED),
        (instance(1), DELETE, 1, UNKNOWN, DesiredState.STOPPED),
        (trashed(), UNDELETE, 0, DELETED, DesiredState.DELETED),
    ],
)
def test_a_cancelled_step(
    found: Instance,
    kind: OperationKind,
    good: int,
    status: InstanceStatus,
    desired: DesiredState,
) -> None:
    desk = Desk(found)
    operation = desk.ask(kind)
    for _ in range(good):
        desk.end(operation)
    desk.cancel(operation)
    desk.fail(operation, CANCELLED)
    assert desk.of(operation).state is OperationState.CANCELLED
    assert desk.of(operation).reason == "cancelled by ana"
    record = desk.record()
    assert (record.status, record.desired, record.last_error) == (status, desired, None)


@pytest.mark.parametrize(
    ("kind", "arguments", "good", "status"),
    [
        (RESTART, {}, 0, STOPPED),
        (DELETE, {}, 0, STOPPED),
        (UPDATE, update_arguments(AFTER), 0, RUNNING),
        (UPDATE, update_arguments(AFTER, restart=True), 1, RUNNING),
        (UPDATE, update_arguments(AFTER, restart=True), 2, STOPPED),
    ],
)
def test_cancelled_between_two_steps(
    kind: OperationKind, arguments: dict[str, Any], good: int, status: InstanceStatus
) -> None:
    """The step that was under way went well all the same; the next one is not begun."""
    desk = Desk(instance(1))
    operation = desk.ask(kind, **arguments)
    for _ in range(good):
        desk.end(operation, observed=observed(), restart_required=("env",))
    desk.cancel(operation)
    desk.end(operation, observed=observed(), restart_required=("env",))
    assert desk.of(operation).state is OperationState.CANCELLED
    assert desk.record().status is status
    assert desk.record().desired is not DesiredState.DELETED
    assert desk.story[-1].startswith("ended after ")
    assert desk.story[-1].endswith(": cancelled by ana")


def test_a_creation_cancelled_between_two_steps() -> None:
    desk = Desk()
    operation = desk.cancel(desk.create())
    desk.end(operation)
    assert desk.of(operation).step == "undo"
    desk = Desk()
    operation = desk.create()
    desk.end(operation)
    desk.cancel(operation)
    desk.end(operation)
    assert desk.of(operation).step == "undo"
    desk.end(operation)
    assert desk.of(operation).state is OperationState.CANCELLED
    assert desk.tables.instances == {}


def test_cancelled_too_late() -> None:
    desk = Desk(instance(1))
    operation = desk.cancel(desk.ask(STOP))
    desk.end(operation)
    assert desk.of(operation).state is SUCCEEDED


def test_a_purge_that_fails_leaves_it_in_the_trash() -> None:
    desk = Desk(trashed(), instance(2))
    purge, delete = desk.automatic(PURGE), desk.ask(DELETE, force=True)
    desk.fail(purge)
    assert desk.of(delete).step == "purge"
    desk.fail(delete)
    record = desk.record()
    assert (record.status, record.desired) == (DELETED, DesiredState.DELETED)
    assert record.last_error == KEPT
    assert desk.tables.names[("ana", "web")] == make_id(2)
    assert desk.run(desk.ask(DELETE, force=True)).state is SUCCEEDED


def test_what_reconciliation_could_not_delete_is_still_to_go() -> None:
    desk = Desk(instance(1, status=UNKNOWN, desired=DesiredState.DELETED))
    desk.fail(desk.automatic(DELETE))
    assert (desk.record().status, desk.record().desired) == (ERROR, DesiredState.DELETED)


def test_undelete_under_another_name() -> None:
    desk = Desk(trashed(), instance(2))
    desk.run(desk.ask(UNDELETE, name="old"))
    record = desk.record()
    assert (record.name, record.config.name, record.deleted_at) == ("old", "old", None)
    assert (record.status, record.desired) == (STOPPED, DesiredState.STOPPED)
    assert desk.tables.names == {("ana", "web"): make_id(2), ("ana", "old"): make_id(1)}
    assert desk.story[-1] == "taken out of the trash: asked for by ana"


# --- pre-emption and what waits ---------------------------------------------------------------
# --- late and lost ----------------------------------------------------------------------------


def test_an_abandoned_step_raises_the_epoch() -> None:
    desk = Desk(stopped())
    operation = desk.ask(START)
    desk.abandon(operation, DeadlineExceeded("start did not end in time and was abandoned"))
    assert desk.of(operation).state is FAILED
    assert (desk.record().epoch, desk.record().status) == (2, ERROR)


def test_an_abandoned_creation_is_undone_under_the_next_epoch() -> None:
    desk = Desk()
    operation = desk.create()
    desk.end(operation)
    desk.abandon(operation)
    assert (desk.of(operation).step, desk.record().epoch) == ("undo", 2)


def test_an_abandoned_step_lets_the_next_operation_begin_once() -> None:
    desk = Desk(instance(1))
    stop, delete = desk.ask(STOP), desk.ask(DELETE)
    desk.abandon(stop)
    assert desk.of(delete).state is OperationState.RUNNING
    assert desk.record().epoch == 2


def test_stale_outcomes_change_nothing() -> None:
    desk = Desk(instance(1))
    operation = desk.ask(RESTART)
    desk.end(operation)
    for how in (settle, abandon):
        for stale in (Outcome(operation.id, Step.STOP), Outcome(make_id(999), Step.STOP)):
            assert how(desk.tables, stale, desk.now) == Change()
    desk.end(operation)
    assert settle(desk.tables, Outcome(operation.id, Step.START), desk.now) == Change()


@pytest.mark.parametrize(("kind", "state"), [(STOP, SUCCEEDED), (START, FAILED)])
def test_the_outcome_of_what_is_gone(kind: OperationKind, state: OperationState) -> None:
    desk = Desk(instance(1))
    operation = desk.ask(kind)
    desk.apply(Change(drop_instances=(make_id(1),)))
    desk.end(operation)
    assert desk.of(operation).state is state
    assert desk.events[-1].target == make_id(1)
    assert desk.events[-1].data["reason"] == desk.of(operation).reason
