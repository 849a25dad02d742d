"""Operations that are pre-empted, and those that wait behind another."""

from __future__ import annotations

import msgspec

from swarmd.core.tables import Change
from swarmd.messages.enums import DesiredState, InstanceStatus, OperationState
from tests.core.desk import (
    CANCELLED,
    CREATE,
    DELETE,
    START,
    STOP,
    UPDATE,
    Desk,
    update_arguments,
)
from tests.core.samples import config, instance, make_id

RUNNING, STOPPED = InstanceStatus.RUNNING, InstanceStatus.STOPPED
DELETED, ERROR = InstanceStatus.DELETED, InstanceStatus.ERROR
SUCCEEDED, FAILED = OperationState.SUCCEEDED, OperationState.FAILED
AFTER = config(env={"A": "2"})


def test_a_stop_lets_a_creation_finish_without_starting() -> None:
    desk = Desk()
    create = desk.create()
    desk.end(create)
    stop = desk.ask(STOP)
    assert not desk.of(create).cancel_requested
    desk.end(create)
    assert desk.of(create).state is SUCCEEDED
    assert desk.of(stop).state is OperationState.RUNNING
    desk.end(stop)
    assert desk.record().status is STOPPED


def test_a_delete_cuts_a_creation_off() -> None:
    desk = Desk()
    create = desk.create()
    delete = desk.ask(DELETE)
    assert desk.of(create).cancel_requested
    desk.fail(create, CANCELLED)
    desk.end(create)
    assert desk.of(create).state is OperationState.CANCELLED
    assert desk.of(create).reason == f"delete {delete.id} took precedence"
    assert desk.of(delete).state is SUCCEEDED
    assert desk.tables.instances == {}
    assert desk.told[-2:] == ["operation_ended", "operation_ended"]


def test_a_user_s_start_lets_an_automatic_creation_finish() -> None:
    """Cut off, it would be undone, and there would be nothing left to start."""
    desk = Desk(instance(1, status=ERROR))
    create = desk.automatic(CREATE)
    start = desk.ask(START)
    assert not desk.of(create).cancel_requested
    assert desk.run(start).state is SUCCEEDED
    assert desk.of(create).state is SUCCEEDED
    assert desk.record().status is RUNNING


def test_a_delete_that_waited_for_a_failed_stop_is_still_a_delete() -> None:
    desk = Desk(instance(1))
    stop, delete = desk.ask(STOP), desk.ask(DELETE)
    desk.fail(stop)
    assert desk.record().desired is DesiredState.DELETED
    assert desk.run(delete).state is SUCCEEDED
    assert (desk.record().status, desk.record().desired) == (DELETED, DesiredState.DELETED)


def test_a_forced_delete_behind_a_failed_one() -> None:
    desk = Desk(instance(1))
    delete, force = desk.ask(DELETE), desk.ask(DELETE, force=True)
    desk.fail(delete)
    assert desk.record().desired is DesiredState.DELETED
    assert desk.run(force).state is SUCCEEDED
    assert desk.tables.instances == {}


def test_a_forced_delete_behind_one_that_went_well() -> None:
    desk = Desk(instance(1))
    desk.ask(DELETE)
    force = desk.ask(DELETE, force=True)
    for _ in range(2):
        desk.end(desk.tables.active_of(make_id(1))[0])
    assert desk.record().status is DELETED
    assert desk.of(force).step == "purge"
    desk.end(force)
    assert desk.tables.instances == {}


def test_a_gentle_delete_never_purges() -> None:
    """It waited behind one that was cancelled too late: the trash is all that was wished."""
    desk = Desk(instance(1))
    first = desk.cancel(desk.ask(DELETE))
    moved = msgspec.structs.replace(desk.of(first), step="trash")
    desk.apply(Change(operations=(moved,)))
    second = desk.ask(DELETE)
    assert second.id != first.id
    desk.end(first)
    assert desk.of(second).state is SUCCEEDED
    assert desk.record().status is DELETED


def test_what_waits_for_what_is_in_the_trash_by_now() -> None:
    desk = Desk(instance(1, status=STOPPED))
    automatic = desk.automatic(START)
    update = desk.ask(UPDATE, **update_arguments(AFTER))
    gone = msgspec.structs.replace(desk.record(), status=DELETED)
    desk.apply(Change(instances=(gone,)))
    desk.fail(automatic, CANCELLED)
    assert desk.of(update).state is FAILED
    assert desk.of(update).reason == "ana/web is in the trash"
    assert "swarmctl undelete ana/web" in desk.of(update).error.details["next_step"]  # type: ignore[union-attr]


def test_one_after_the_other_until_the_instance_is_gone() -> None:
    desk = Desk()
    create = desk.create()
    waiting = [desk.ask(STOP), desk.ask(DELETE), desk.ask(DELETE, force=True)]
    desk.fail(create, CANCELLED)
    desk.end(create)
    assert [desk.of(each).state for each in waiting] == [SUCCEEDED] * 3
    assert desk.tables.active == {}
    assert desk.told.count("operation_ended") == 4


def test_a_start_that_waits_for_what_is_gone_by_then_fails() -> None:
    desk = Desk(instance(1, status=ERROR))
    create, start = desk.automatic(CREATE), desk.ask(START)
    desk.fail(create)
    desk.end(create)
    ended = desk.of(start)
    assert ended.state is FAILED
    assert ended.error is not None
    assert ended.error.type == "instance_not_found"


def test_what_was_cancelled_while_it_waited_is_not_begun() -> None:
    desk = Desk(instance(1))
    stop, delete, force = desk.ask(STOP), desk.ask(DELETE), desk.ask(DELETE, force=True)
    desk.cancel(delete)
    desk.end(stop)
    assert desk.of(delete).state is OperationState.CANCELLED
    assert desk.of(delete).reason == "cancelled by ana"
    assert desk.of(force).state is OperationState.RUNNING
    assert desk.record().status is InstanceStatus.STOPPING


def test_cancelled_while_it_waited_without_a_reason() -> None:
    desk = Desk(instance(1))
    stop, delete = desk.ask(STOP), desk.ask(DELETE)
    mute = msgspec.structs.replace(desk.of(delete), cancel_requested=True, reason="")
    desk.apply(Change(operations=(mute,)))
    desk.end(stop)
    assert desk.of(delete).reason == "cancelled"
