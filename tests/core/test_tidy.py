"""What a crash cut apart is mended."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from swarmd.core.housekeeping import after_all_ends, tidy, tombstones
from swarmd.core.lifecycle import BUSY
from swarmd.core.tables import Change
from swarmd.messages.enums import DesiredState, InstanceStatus, OperationKind, OperationState
from swarmd.messages.instance import Failure, Instance
from swarmd.messages.operation import Operation
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
    tables_of,
    update_arguments,
)
from tests.core.samples import NOW, config, instance, later, make_id, observed
from tests.core.torn import WEB, torn, torn_end, torn_wish

UNKNOWN = InstanceStatus.UNKNOWN
SUCCEEDED, FAILED = OperationState.SUCCEEDED, OperationState.FAILED
AFTER = config(env={"A": "2"})


# --- accepted, or not -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [CREATE, IMPORT])
def test_a_creation_without_its_instance_was_never_accepted(kind: OperationKind) -> None:
    desk = Desk()
    operation = desk.create(kind=kind)
    again = torn(desk, tables_of(), Change(operations=(operation,), instances=(desk.record(),)))
    ended = again.of(operation)
    assert (ended.state, ended.step) == (FAILED, None)
    assert ended.error is not None
    assert ended.error.details["next_step"] == "Ask for it again."
    assert again.told == ["operation_ended"]
    assert again.tables.active == {}
    assert tombstones(again.tables) == {WEB}


def test_what_was_to_end_and_is_gone_has_succeeded() -> None:
    desk = Desk(instance(1))
    waiting = [desk.ask(STOP), desk.ask(DELETE)]
    fresh = tables_of(operations=tuple(desk.of(each) for each in waiting))
    again = Desk(tables=fresh)
    again.apply(tidy(fresh, NOW))
    assert [again.of(each).state for each in waiting] == [SUCCEEDED, SUCCEEDED]
    assert tombstones(again.tables) == {WEB}


@pytest.mark.parametrize(
    ("kind", "arguments", "status", "desired"),
    [
        (STOP, {}, InstanceStatus.STOPPING, DesiredState.STOPPED),
        (DELETE, {}, InstanceStatus.STOPPING, DesiredState.DELETED),
        (RESTART, {}, InstanceStatus.STOPPING, DesiredState.RUNNING),
        (UPDATE, update_arguments(AFTER), InstanceStatus.RUNNING, DesiredState.RUNNING),
    ],
)
def test_an_accepted_wish_is_wished_again(
    kind: OperationKind,
    arguments: dict[str, Any],
    status: InstanceStatus,
    desired: DesiredState,
) -> None:
    """Else a stop would succeed and reconciliation start it again."""
    again, operation = torn_wish(Desk(instance(1)), kind, **arguments)
    assert again.of(operation).state is OperationState.RUNNING
    assert (again.record().status, again.record().desired) == (status, desired)
    assert again.run(operation).state is SUCCEEDED


def test_the_last_of_several_wishes_counts() -> None:
    desk = Desk(instance(1))
    desk.ask(STOP)
    again, operation = torn_wish(desk, DELETE)
    assert again.record().desired is DesiredState.DELETED
    assert again.run(operation).state is SUCCEEDED
    assert again.record().status is InstanceStatus.DELETED


def test_what_was_cancelled_is_not_wished_again() -> None:
    desk = Desk(instance(1, status=InstanceStatus.STOPPED))
    desk.cancel(desk.ask(START))
    assert tidy(desk.tables, desk.now) == Change()
    assert desk.record().desired is DesiredState.STOPPED


# --- gone on ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "kind", "arguments"),
    [
        (instance(1), DELETE, {}),
        (instance(1), DELETE, {"force": True}),
        (instance(1), RESTART, {}),
        (instance(1), UPDATE, update_arguments(AFTER, restart=True)),
        (
            instance(1, status=InstanceStatus.DELETED, desired=DesiredState.DELETED),
            UNDELETE,
            {"name": "api"},
        ),
    ],
)
def test_torn_at_every_step_it_ends_as_it_would_have(
    found: Instance, kind: OperationKind, arguments: dict[str, Any]
) -> None:
    def outcome(desk: Desk, operation: Operation) -> dict[str, Any]:
        update = desk.of(operation).step == "update"
        return {"observed": observed(), "restart_required": ("env",)} if update else {}

    whole = Desk(found)
    operation = whole.ask(kind, **arguments)
    count = 0
    while not whole.of(operation).state.ended:
        whole.end(operation, **outcome(whole, operation))
        count += 1
    for at in range(count):
        desk = Desk(found)
        operation = desk.ask(kind, **arguments)
        for _ in range(at):
            desk.end(operation, **outcome(desk, operation))
        desk = torn_end(desk, operation, **outcome(desk, operation))
        while not desk.of(operation).state.ended:
            desk.end(operation, **outcome(desk, operation))
        assert desk.of(operation).state is SUCCEEDED
        assert desk.tables.instances.keys() == whole.tables.instances.keys()
        for instance_id, expected in whole.tables.instances.items():
            left = desk.tables.instances[instance_id]
            assert (left.name, left.config, left.revision, left.desired) == (
                expected.name, expected.config, expected.revision, expected.desired,
            )  # fmt: skip
            assert left.status in (expected.status, UNKNOWN)


def test_an_update_is_committed_once() -> None:
    desk = Desk(instance(1))
    first = desk.run(desk.ask(UPDATE, **update_arguments(AFTER)))
    second = desk.ask(UPDATE, **update_arguments(config(env={"A": "3"})))
    desk.end(second)
    again = torn_end(desk, second)
    assert again.record().config.env == {"A": "3"}
    assert again.record().revision == 3
    assert again.of(first).state is SUCCEEDED
    # However the record came to be older than an end: what it has is not done again.
    stale = msgspec.structs.replace(again.record(), updated_at=later(-9))
    again.apply(Change(instances=(stale,)))
    again.apply(tidy(again.tables, again.now))
    assert again.record().revision == 3


# --- the clock is set back ----------------------------------------------------------------------


def test_an_end_is_noticed_though_the_clock_was_set_back_before_it() -> None:
    desk = Desk(instance(1))
    delete = desk.ask(DELETE, force=True)
    desk.end(delete)
    desk.now = later(-3600)
    again = torn_end(desk, delete)
    assert again.of(delete).state is SUCCEEDED
    assert again.tables.instances == {}


def test_no_end_is_done_again_though_the_clock_was_set_back_behind_it() -> None:
    desk = Desk(instance(1))
    desk.fail(desk.ask(DELETE))
    desk.now = later(-3600)
    assert desk.run(desk.ask(START)).state is SUCCEEDED
    assert desk.record().desired is DesiredState.RUNNING
    fresh = tables_of(desk.record(), operations=tuple(desk.tables.operations.values()))
    assert tidy(fresh, desk.now) == Change()


def test_a_record_that_missed_an_end_has_it_once_whatever_the_clock_says() -> None:
    desk = Desk(instance(1))
    stop = desk.ask(STOP)
    before = desk.tables
    change = desk.end(stop)
    desk.now = later(-3600)
    torn(desk, before, change)  # which tidies twice


def test_what_is_adopted_has_missed_no_end() -> None:
    desk = Desk(instance(1))
    desk.run(desk.ask(DELETE, force=True))
    ended_at = max(each.ended_at or NOW for each in desk.tables.operations.values())
    assert after_all_ends(desk.tables, WEB, later(-3600)) == ended_at
    assert after_all_ends(desk.tables, WEB, later(3600)) == later(3600)
    assert after_all_ends(desk.tables, make_id(9), NOW) == NOW


# --- ended ------------------------------------------------------------------------------------


def test_a_refused_creation_is_gone() -> None:
    desk = Desk()
    operation = desk.create()
    desk.fail(operation)
    again = torn_end(desk, operation)
    assert (again.tables.instances, again.tables.names) == ({}, {})
    assert again.of(operation).state is FAILED


def test_a_creation_that_was_not_undone_stays() -> None:
    desk = Desk()
    operation = desk.create()
    desk.end(operation)
    desk.end(operation)
    again = torn_end(desk, operation, error=BROKEN)
    record = again.record()
    assert (record.status, record.last_error) == (UNKNOWN, again.of(operation).error)
    assert record.last_error is not None


def test_a_delete_that_failed() -> None:
    desk = Desk(instance(1))
    again = torn_end(desk, desk.ask(DELETE), error=BROKEN)
    record = again.record()
    assert (record.status, record.desired) == (UNKNOWN, DesiredState.STOPPED)
    assert isinstance(record.last_error, Failure)


def test_an_automatic_delete_that_failed_is_still_to_go() -> None:
    desk = Desk(instance(1, status=UNKNOWN, desired=DesiredState.DELETED))
    again = torn_end(desk, desk.automatic(DELETE), error=BROKEN)
    assert again.record().desired is DesiredState.DELETED


def test_an_undelete_that_failed_leaves_it_in_the_trash() -> None:
    found = instance(1, status=InstanceStatus.DELETED, desired=DesiredState.DELETED)
    desk = Desk(found)
    again = torn_end(desk, desk.ask(UNDELETE), error=CANCELLED)
    record = again.record()
    assert (record.status, record.desired) == (InstanceStatus.DELETED, DesiredState.DELETED)


def test_a_purge_that_ended_and_what_waited_behind_it() -> None:
    desk = Desk(instance(1, status=InstanceStatus.ERROR, desired=DesiredState.DELETED))
    purge, delete = desk.automatic(PURGE), desk.ask(DELETE)
    before = desk.tables
    again = torn(desk, before, desk.end(purge), files=1)
    assert again.of(delete).state is SUCCEEDED
    assert (again.tables.instances, again.tables.active) == ({}, {})


def test_what_waited_begins_after_what_ended() -> None:
    desk = Desk(instance(1, status=InstanceStatus.STOPPED))
    start = desk.automatic(START)
    update = desk.ask(UPDATE, **update_arguments(AFTER))
    before = desk.tables
    again = torn(desk, before, desk.fail(start, CANCELLED), files=1)
    assert again.of(update).state is OperationState.RUNNING
    assert again.of(update).arguments["was"] == "unknown"
    assert again.run(update).state is SUCCEEDED


@pytest.mark.parametrize("status", list(InstanceStatus))
def test_what_looks_busy_is_unknown(status: InstanceStatus) -> None:
    desk = Desk(instance(1, status=status))
    desk.apply(tidy(desk.tables, desk.now))
    assert desk.record().status is (UNKNOWN if status in BUSY else status)
    assert desk.record().desired is DesiredState.RUNNING


# --- told ---------------------------------------------------------------------------------------


def test_what_is_made_up_for_is_told_since_the_journal_was_to_come_last() -> None:
    desk = Desk(instance(1))
    again = torn_end(desk, desk.ask(STOP))
    assert again.told == ["operation_ended", "instance_status_changed"]
    assert again.events[-1].data["before"] == "stopping"
    (line,) = [reason for _, reason in again.reasons]
    assert (line.what, line.why) == (
        "stopping → unknown",
        "the daemon ended in the midst of a change",
    )


@pytest.mark.parametrize(
    ("kind", "told"),
    [(DELETE, ["instance_deleted", "instance_purged"]), (PURGE, ["instance_purged"])],
)
def test_the_end_of_an_instance_is_told(kind: OperationKind, told: list[str]) -> None:
    desk = Desk(instance(1, status=InstanceStatus.STOPPED, desired=DesiredState.DELETED))
    operation = desk.automatic(PURGE) if kind is PURGE else desk.ask(DELETE, force=True)
    while desk.of(operation).step != "purge":
        desk.end(operation)
    again = torn_end(desk, operation)
    assert again.told == [*told, "operation_ended"]
    assert {event.target for event in again.events} == {WEB}


def test_a_change_that_was_missed_is_told() -> None:
    desk = Desk(instance(1))
    operation = desk.ask(UPDATE, **update_arguments(AFTER))
    while desk.of(operation).step != "update":
        desk.end(operation)
    again = torn_end(desk, operation, observed=observed())
    assert again.told == ["instance_updated", "operation_ended", "instance_status_changed"]


def test_what_goes_on_tells_itself() -> None:
    again, operation = torn_wish(Desk(instance(1)), STOP)
    assert again.told == []
    again.run(operation)
    assert again.told == ["instance_stopped", "operation_ended"]
