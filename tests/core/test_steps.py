"""The way of every kind of operation: its steps, their outcomes, what is left of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from swarmd.core.course import config_during
from swarmd.core.tables import Change
from swarmd.messages.enums import (
    DesiredState,
    EventType,
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
    tables_of,
    update_arguments,
)
from tests.core.samples import NOW, config, instance, later, make_id, observed

RUNNING, STOPPED = InstanceStatus.RUNNING, InstanceStatus.STOPPED
DELETED, ERROR, UNKNOWN = InstanceStatus.DELETED, InstanceStatus.ERROR, InstanceStatus.UNKNOWN
SUCCEEDED, FAILED = OperationState.SUCCEEDED, OperationState.FAILED
KEPT = Failure(type="provider_error", message="it did not work", details={"cause": "boom"})
LOST = Failure(type="provider_error", message="lost", details={"lost": True})


def trashed(number: int = 1, **values: Any) -> Instance:
    defaults = {"status": DELETED, "desired": DesiredState.DELETED, "deleted_at": NOW}
    return instance(number, **defaults | values)


def stopped(**values: Any) -> Instance:
    return instance(1, **{"status": STOPPED, "desired": DesiredState.STOPPED} | values)


# --- when all goes well -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "kind", "arguments", "steps", "status"),
    [
        (stopped(), START, {}, ["start"], RUNNING),
        (instance(1), START, {}, ["start"], RUNNING),
        (instance(1), STOP, {}, ["stop"], STOPPED),
        (stopped(), STOP, {}, ["stop"], STOPPED),
        (instance(1), RESTART, {}, ["stop", "start"], RUNNING),
        (instance(1), RESTART, {"recreate": False}, ["stop", "start"], RUNNING),
        (instance(1), RESTART, {"recreate": True}, ["stop", "renew", "start"], RUNNING),
        (stopped(), RESTART, {"recreate": True}, ["stop", "renew", "start"], RUNNING),
        (instance(1), DELETE, {}, ["stop", "trash"], DELETED),
        (instance(1), DELETE, {"force": True}, ["stop", "purge"], None),
        (trashed(), DELETE, {"force": True}, ["purge"], None),
        (trashed(), UNDELETE, {}, ["restore"], STOPPED),
        (instance(1), UPDATE, update_arguments(config()), ["validate", "update"], RUNNING),
        (stopped(), UPDATE, update_arguments(config()), ["validate", "update"], STOPPED),
        (stopped(status=ERROR), UPDATE, update_arguments(config()), ["validate", "update"], ERROR),
    ],
)
def test_the_way(
    found: Instance,
    kind: OperationKind,
    arguments: dict[str, Any],
    steps: list[str],
    status: InstanceStatus | None,
) -> None:
    desk = Desk(found)
    operation = desk.ask(kind, **arguments)
    assert desk.steps(operation) == steps
    ended = desk.of(operation)
    assert (ended.state, ended.step, ended.error) == (SUCCEEDED, None, None)
    assert ended.started_at is not None
    assert ended.ended_at is not None
    left = desk.tables.instances.get(make_id(1))
    assert (left.status if left else None) == status
    assert desk.tables.active == {}
    assert desk.told[0] == "operation_started"
    assert desk.told[-1] == "operation_ended"


@pytest.mark.parametrize(
    ("kind", "desired", "steps", "status"),
    [
        (CREATE, DesiredState.RUNNING, ["validate", "create", "start"], RUNNING),
        (CREATE, DesiredState.STOPPED, ["validate", "create"], InstanceStatus.CREATED),
        (IMPORT, DesiredState.RUNNING, ["validate", "import", "start"], RUNNING),
        (IMPORT, DesiredState.STOPPED, ["validate", "import"], InstanceStatus.CREATED),
    ],
)
def test_the_way_of_a_creation(
    kind: OperationKind, desired: DesiredState, steps: list[str], status: InstanceStatus
) -> None:
    desk = Desk()
    operation = desk.create(kind=kind, desired=desired)
    assert desk.steps(operation) == steps
    assert desk.of(operation).state is SUCCEEDED
    assert desk.record().status is status


@pytest.mark.parametrize(
    ("found", "kind", "during"),
    [
        (stopped(), START, [InstanceStatus.STARTING]),
        (instance(1), RESTART, [InstanceStatus.STOPPING, InstanceStatus.STARTING]),
        (instance(1), DELETE, [InstanceStatus.STOPPING, InstanceStatus.DELETING]),
        (trashed(), UNDELETE, [DELETED]),
    ],
)
def test_the_status_says_what_is_being_done(
    found: Instance, kind: OperationKind, during: list[InstanceStatus]
) -> None:
    desk = Desk(found)
    operation = desk.ask(kind)
    seen = []
    while not desk.of(operation).state.ended:
        seen.append(desk.record().status)
        desk.end(operation)
    assert seen == during


def test_what_lies_in_the_trash_shows_there_until_it_is_gone() -> None:
    """Else it would bear a name that another one has by now."""
    desk = Desk(trashed(), instance(2))
    operation = desk.automatic(PURGE)
    assert desk.record().status is DELETED
    assert desk.tables.names == {("ana", "web"): make_id(2)}
    desk.end(operation)
    assert desk.tables.names == {("ana", "web"): make_id(2)}
    assert list(desk.tables.instances) == [make_id(2)]


def test_a_start_records_what_was_seen() -> None:
    desk = Desk(stopped(last_error=KEPT, restart_required=("env",)))
    operation = desk.ask(START)
    desk.end(operation, observed=observed(started_at=later(-5)), url="http://x")
    record = desk.record()
    assert (record.url, record.started_at) == ("http://x", later(-5))
    assert (record.last_error, record.restart_required) == (None, ())
    desk.run(desk.ask(STOP))
    assert desk.record().started_at is None
    assert desk.record().url == "http://x"
    began = desk.now
    desk.run(desk.ask(START))
    assert desk.record().started_at == began + (later(1) - NOW)


def test_a_stop_ends_what_was_said_of_a_failure() -> None:
    """It is as it is to be: why it did not run before is in its story."""
    desk = Desk(instance(1, status=ERROR, last_error=LOST))
    desk.run(desk.ask(STOP))
    assert (desk.record().status, desk.record().last_error) == (STOPPED, None)


def test_a_restart_of_what_is_to_be_stopped_meanwhile_ends_after_the_stop() -> None:
    desk = Desk(instance(1))
    operation = desk.ask(RESTART)
    desk.apply(
        Change(instances=(msgspec.structs.replace(desk.record(), desired=DesiredState.STOPPED),))
    )
    assert desk.steps(operation) == ["stop"]


# --- updates ----------------------------------------------------------------------------------

BEFORE, AFTER = config(env={"A": "1"}), config(env={"A": "2"}, metadata={"note": "x"})


def test_an_update_is_shown_to_its_provider_and_committed_only_after() -> None:
    desk = Desk(instance(1, config=BEFORE, last_error=LOST))
    operation = desk.ask(UPDATE, **update_arguments(AFTER))
    for step in ("validate", "update"):
        assert desk.of(operation).step == step
        assert (desk.record().config, desk.record().revision) == (BEFORE, 1)
        assert config_during(desk.of(operation), desk.record()) == AFTER
        desk.end(operation)
    record = desk.record()
    assert (record.config, record.metadata, record.revision) == (AFTER, {"note": "x"}, 2)
    assert record.last_error is None


def test_only_an_update_shows_another_configuration() -> None:
    desk = Desk(instance(1, config=BEFORE))
    assert config_during(desk.ask(STOP), desk.record()) == BEFORE


@pytest.mark.parametrize(
    ("seen", "waits"), [(RUNNING, ("cpu", "env")), (STOPPED, ()), (None, ("cpu", "env"))]
)
def test_what_waits_for_a_restart(seen: InstanceStatus | None, waits: tuple[str, ...]) -> None:
    desk = Desk(instance(1, restart_required=("env",)))
    operation = desk.ask(UPDATE, **update_arguments(AFTER))
    desk.end(operation)
    desk.end(
        operation,
        observed=observed(status=seen) if seen else None,
        restart_required=("cpu", "env"),
    )
    assert desk.record().restart_required == waits
    assert desk.record().status is (seen or RUNNING)


@pytest.mark.parametrize(
    ("waits", "desired", "steps"),
    [
        (("env",), DesiredState.RUNNING, ["stop", "start"]),
        ((), DesiredState.RUNNING, []),
        (("env",), DesiredState.STOPPED, ["stop"]),
    ],
)
def test_an_update_that_may_restart(
    waits: tuple[str, ...], desired: DesiredState, steps: list[str]
) -> None:
    desk = Desk(instance(1, desired=desired))
    operation = desk.ask(UPDATE, **update_arguments(AFTER, restart=True))
    desk.end(operation)
    desk.end(operation, observed=observed(), restart_required=waits)
    assert desk.steps(operation) == steps
    assert desk.of(operation).state is SUCCEEDED
    assert desk.record().config == AFTER
    assert desk.record().revision == 2


@pytest.mark.parametrize("was", [RUNNING, STOPPED, ERROR, UNKNOWN, InstanceStatus.CREATED])
@pytest.mark.parametrize("error", [BROKEN, CANCELLED])
def test_a_refused_update_leaves_the_instance_as_it_was(was: InstanceStatus, error: Any) -> None:
    desk = Desk(instance(1, status=was, config=BEFORE, last_error=LOST))
    operation = desk.ask(UPDATE, **update_arguments(AFTER))
    desk.fail(operation, error)
    record = desk.record()
    assert (record.status, record.config, record.revision) == (was, BEFORE, 1)
    assert record.last_error == LOST


def test_an_update_that_failed_half_way_says_so() -> None:
    desk = Desk(instance(1, config=BEFORE))
    operation = desk.ask(UPDATE, **update_arguments(AFTER))
    desk.end(operation)
    assert desk.record().status is InstanceStatus.UPDATING
    desk.fail(operation)
    record = desk.record()
    assert (record.status, record.config, record.last_error) == (RUNNING, BEFORE, KEPT)
    assert desk.of(operation).state is FAILED


def test_an_update_that_waited_goes_back_to_the_status_it_began_with() -> None:
    """Not to that of its acceptance, when something else was under way."""
    desk = Desk(stopped(desired=DesiredState.RUNNING))
    started = desk.automatic(START)
    update = desk.ask(UPDATE, **update_arguments(AFTER))
    assert desk.record().status is InstanceStatus.STARTING
    desk.fail(started, CANCELLED)
    desk.fail(update)
    assert desk.record().status is STOPPED
    assert desk.record().desired is DesiredState.RUNNING


def test_an_update_of_one_in_error_keeps_the_error_that_stays() -> None:
    desk = Desk(instance(1, status=ERROR, last_error=LOST))
    desk.run(desk.ask(UPDATE, **update_arguments(AFTER)))
    assert (desk.record().status, desk.record().last_error) == (ERROR, LOST)


@pytest.mark.parametrize(
    ("waits", "said"),
    [
        ((), "updated: env, metadata"),
        (("env",), "updated: env, metadata; waits for a restart: env"),
    ],
)
def test_the_story_names_what_a_change_has_changed(waits: tuple[str, ...], said: str) -> None:
    desk = Desk(instance(1, config=BEFORE))
    operation = desk.ask(UPDATE, **update_arguments(AFTER))
    desk.end(operation)
    desk.end(operation, restart_required=waits)
    assert said in desk.story


# --- what is told -----------------------------------------------------------------------------


def test_events_and_story_of_a_life() -> None:
    desk = Desk()
    desk.run(desk.create())
    desk.run(desk.ask(UPDATE, **update_arguments(AFTER)))
    desk.run(desk.ask(STOP))
    desk.run(desk.ask(START))
    desk.run(desk.ask(DELETE))
    desk.run(desk.ask(UNDELETE))
    desk.run(desk.ask(DELETE, force=True))
    told = [event for event in desk.told if event.startswith("instance")]
    assert told == [
        "instance_created",
        "instance_started",
        "instance_updated",
        "instance_stopped",
        "instance_started",
        "instance_stopped",
        "instance_deleted",
        "instance_updated",
        "instance_stopped",
        "instance_deleted",
        "instance_purged",
    ]
    assert [line.partition(":")[0] for line in desk.story] == [
        "create at local", "created", "started",
        "update", "updated",
        "stop", "stopped",
        "start", "started",
        "delete", "stopped", "put into the trash",
        "undelete", "taken out of the trash",
        "delete", "stopped",
    ]  # fmt: skip
    assert {reason.by for _, reason in desk.reasons} == {"ana"}
    assert all(event.correlation == "c-1" for event in desk.events)
    assert {event.type for event in desk.events} <= set(EventType)


# --- made anew ----------------------------------------------------------------------------------


def test_one_that_is_made_anew_is_stopped_meanwhile() -> None:
    desk = Desk(instance(1))
    operation = desk.ask(RESTART, force=True, recreate=True)
    desk.end(operation)
    assert (desk.of(operation).step, desk.record().status) == ("renew", STOPPED)
    desk.end(operation)
    assert (desk.of(operation).step, desk.record().status) == ("start", InstanceStatus.STARTING)


def test_one_that_cannot_be_made_anew_stays_down_and_says_why() -> None:
    desk = Desk(instance(1))
    operation = desk.ask(RESTART, recreate=True)
    desk.end(operation)
    desk.fail(operation)
    assert (desk.of(operation).state, desk.of(operation).error) == (FAILED, KEPT)
    assert desk.record().status is not RUNNING
    assert desk.tables.active == {}


def test_a_stop_meanwhile_leaves_it_stopped() -> None:
    desk = Desk(instance(1))
    operation = desk.ask(RESTART, recreate=True)
    desk.end(operation)
    desk.ask(STOP)
    desk.end(operation)
    assert desk.of(operation).step != "start"


def test_after_a_crash_in_between_it_goes_on_where_it_was() -> None:
    before = Desk(instance(1))
    operation = before.ask(RESTART, recreate=True)
    before.end(operation)
    assert before.of(operation).step == "renew"
    kept = tables_of(before.record(), operations=(before.of(operation),))
    after = Desk(tables=kept)
    assert after.steps(operation) == ["renew", "start"]
    assert after.record().status is RUNNING
