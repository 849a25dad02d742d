"""What is accepted, refused, repeated, cancelled and told (DESIGN 4 and 6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from swarmd.core.course import Step
from swarmd.core.fitting import holder_of
from swarmd.core.tables import Change
from swarmd.core.wishes import (
    IDEMPOTENCY_SECONDS,
    accept,
    accept_new,
    request_cancel,
)
from swarmd.errors import Conflict, InstanceNotFound, OperationNotFound, SwarmError
from swarmd.messages.enums import (
    DesiredState,
    InstanceStatus,
    OperationKind,
    OperationState,
    Origin,
)
from tests.core.desk import (
    ANA,
    BO,
    CREATE,
    DELETE,
    PURGE,
    RESTART,
    START,
    STOP,
    UNDELETE,
    UPDATE,
    Desk,
    update_arguments,
)
from tests.core.precedence import WEB, attempt, under_way
from tests.core.samples import config, instance, make_id

USER, RECOVERY, RECONCILE = Origin.USER, Origin.RECOVERY, Origin.RECONCILE

# --- what is wished is durable at once --------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "desired"),
    [
        (START, DesiredState.RUNNING),
        (RESTART, DesiredState.RUNNING),
        (STOP, DesiredState.STOPPED),
        (DELETE, DesiredState.DELETED),
    ],
)
@pytest.mark.parametrize("busy", [False, True])
def test_the_wish_of_a_user_is_kept_at_acceptance(
    kind: OperationKind, desired: DesiredState, busy: bool
) -> None:
    desk = Desk(instance(1, desired=DesiredState.RUNNING, status=InstanceStatus.STOPPED))
    if busy:
        desk.automatic(START)
    if kind is START and not busy:
        desk.apply(Change(instances=(instance(1, desired=DesiredState.STOPPED),)))
    desk.ask(kind)
    assert desk.record().desired is desired


@pytest.mark.parametrize(
    ("kind", "desired"),
    [
        (START, DesiredState.STOPPED),
        (START, DesiredState.DELETED),
        (RESTART, DesiredState.STOPPED),
        (CREATE, DesiredState.DELETED),
        (UPDATE, DesiredState.DELETED),
        (STOP, DesiredState.RUNNING),
        (DELETE, DesiredState.RUNNING),
        (DELETE, DesiredState.STOPPED),
        (PURGE, DesiredState.STOPPED),
    ],
)
@pytest.mark.parametrize("origin", [RECOVERY, RECONCILE])
def test_nothing_automatic_goes_against_what_is_desired(
    kind: OperationKind, desired: DesiredState, origin: Origin
) -> None:
    desk = Desk(instance(1, desired=desired))
    with pytest.raises(Conflict, match="is not wanted") as caught:
        desk.ask(kind, origin=origin)
    assert caught.value.details["desired"] == desired
    assert "swarmctl why ana/web" in str(caught.value.next_step)


# --- what the instance forbids ----------------------------------------------------------------


def trashed(number: int = 1, **values: Any) -> Any:
    defaults = {"status": InstanceStatus.DELETED, "desired": DesiredState.DELETED}
    return instance(number, **defaults | values)


@pytest.mark.parametrize("kind", [START, STOP, RESTART, UPDATE])
def test_what_lies_in_the_trash_is_taken_out_first(kind: OperationKind) -> None:
    with pytest.raises(Conflict, match="ana/web is in the trash") as caught:
        Desk(trashed()).ask(kind)
    assert caught.value.field == "id"
    assert caught.value.next_step == f"Take it out first: swarmctl undelete {WEB}."


def test_what_lies_in_the_trash_is_deleted_by_force_alone() -> None:
    desk = Desk(trashed())
    with pytest.raises(Conflict) as caught:
        desk.ask(DELETE, force=False)
    assert f"swarmctl rm --force {WEB}" in str(caught.value.next_step)
    assert desk.steps(desk.ask(DELETE, force=True)) == ["purge"]
    assert desk.tables.instances == {}


def test_an_automatic_start_leaves_the_trash_alone() -> None:
    with pytest.raises(Conflict, match="in the trash"):
        Desk(trashed(desired=DesiredState.RUNNING)).automatic(START)


def test_only_what_lies_in_the_trash_comes_out_of_it() -> None:
    for origin in (USER, RECONCILE):
        with pytest.raises(Conflict, match="is not in the trash") as caught:
            Desk(instance(1)).ask(UNDELETE, origin=origin)
        assert "swarmctl ls --trash" in str(caught.value.next_step)


@pytest.mark.parametrize("origin", [USER, RECONCILE])
def test_a_taken_name_is_not_taken_again_by_an_undelete(origin: Origin) -> None:
    desk = Desk(trashed(desired=DesiredState.STOPPED), instance(2), instance(3, name="api"))
    for name in (None, "web", "api"):
        with pytest.raises(Conflict) as caught:
            desk.ask(UNDELETE, origin=origin, name=name)
        assert caught.value.field == "name"
        assert f"swarmctl undelete {WEB} --name NEW" in str(caught.value.next_step)
    assert desk.ask(UNDELETE, origin=origin, name="old").state is OperationState.RUNNING


def test_a_name_is_taken_as_soon_as_its_bearer_is_on_its_way_out_of_the_trash() -> None:
    desk = Desk(trashed(), trashed(2), trashed(3, owner="bo"), instance(4, name="api"))
    desk.ask(START, make_id(4))
    undelete = desk.ask(UNDELETE)
    assert holder_of(desk.tables, "ana", "web") == WEB
    assert holder_of(desk.tables, "bo", "web") is None
    with pytest.raises(Conflict, match="ana/web exists already"):
        desk.create(9)
    with pytest.raises(Conflict, match="ana/web exists already"):
        desk.ask(UNDELETE, make_id(2))
    desk.ask(UNDELETE, make_id(3))
    desk.fail(undelete)
    assert desk.create(9).state is OperationState.RUNNING


def test_a_protected_one_is_not_deleted() -> None:
    for record, first in ((instance, ""), (trashed, f"swarmctl undelete {WEB}, then ")):
        desk = Desk(record(1, config=config(protect=True)))
        with pytest.raises(Conflict, match="ana/web is protected") as caught:
            desk.ask(DELETE, force=True)
        assert caught.value.field == "config.protect"
        assert caught.value.next_step == (
            f"Switch it off first: {first}swarmctl update ana/web --no-protect."
        )


def test_a_change_of_another_revision_is_refused() -> None:
    desk = Desk(instance(1, revision=3))
    with pytest.raises(Conflict, match="at revision 3, not 2") as caught:
        desk.ask(UPDATE, **update_arguments(config(), if_revision=2))
    assert caught.value.field == "if_revision"
    assert caught.value.details["revision"] == 3
    assert "swarmctl get ana/web" in str(caught.value.next_step)
    assert desk.ask(UPDATE, **update_arguments(config(), if_revision=3))


def test_a_taken_name_is_not_given_to_a_new_one() -> None:
    desk = Desk(instance(1))
    with pytest.raises(Conflict, match="ana/web exists already") as caught:
        desk.create(2)
    assert caught.value.field == "config.name"
    assert caught.value.details["instance"] == WEB
    assert "swarmctl rm ana/web" in str(caught.value.next_step)
    assert Desk(trashed()).create(2)
    assert desk.create(2, name="api")


def test_what_is_gone() -> None:
    with pytest.raises(InstanceNotFound) as caught:
        Desk().ask(START)
    assert "swarmctl ls" in str(caught.value.next_step)


# --- idempotency ------------------------------------------------------------------------------


def test_the_same_key_gives_the_same_operation_for_a_day() -> None:
    desk = Desk(instance(1))
    first = desk.ask(STOP, key="k", digest="d")
    desk.run(first)
    again = accept(desk.tables, desk.wish(STOP, key="k", digest="d"), WEB)
    assert (again.operation_id, again.joined, again.change) == (first.id, True, Change())
    with pytest.raises(Conflict, match="'k' was used with other parameters") as caught:
        desk.ask(STOP, key="k", digest="other")
    assert caught.value.field == "idempotency_key"
    assert caught.value.details["operation"] == first.id
    desk.now = first.created_at + timedelta(seconds=IDEMPOTENCY_SECONDS + 1)
    assert desk.ask(STOP, key="k", digest="other").id != first.id


@pytest.mark.parametrize("seconds", [0, IDEMPOTENCY_SECONDS])
def test_a_key_holds_to_the_last_second(seconds: float) -> None:
    desk = Desk(instance(1))
    first = desk.ask(STOP, key="k", digest="d")
    wish = desk.wish(STOP, key="k", digest="d", now=first.created_at + timedelta(seconds=seconds))
    assert accept(desk.tables, wish, WEB).operation_id == first.id


def test_keys_are_of_one_user_and_one_method() -> None:
    desk = Desk(instance(1))
    stop = desk.ask(STOP, key="k", digest="d")
    theirs = desk.ask(STOP, key="k", digest="other", caller=BO, force=True)
    delete = desk.ask(DELETE, key="k", digest="third")
    assert len({stop.id, theirs.id, delete.id}) == 3
    assert desk.ask(STOP, key="k", digest="d").id == stop.id


def test_a_key_answers_a_creation_whose_name_is_taken_by_now() -> None:
    desk = Desk()
    first = desk.create(1, key="k", digest="d")
    assert desk.create(2, key="k", digest="d").id == first.id
    assert list(desk.tables.instances) == [WEB]


def test_a_wish_that_is_asked_for_again_is_the_same_wish() -> None:
    """The bridge asks again when an actor was lost in between."""
    desk = Desk(instance(1))
    wish = desk.wish(STOP)
    desk.take(accept(desk.tables, wish, WEB))
    assert accept(desk.tables, wish, WEB).joined
    desk.run(desk.tables.operations[wish.operation_id])
    assert accept(desk.tables, wish, WEB).joined
    made = desk.wish(CREATE)
    record = instance(2, name="api", status=InstanceStatus.CREATING)
    desk.take(accept_new(desk.tables, made, record))
    assert accept_new(desk.tables, made, record).joined


def test_a_key_whose_operation_was_let_go_is_free() -> None:
    desk = Desk(instance(1))
    first = desk.run(desk.ask(STOP, key="k", digest="d"))
    desk.apply(Change(drop_operations=(first.id,)))
    assert desk.ask(STOP, key="k", digest="other").id != first.id


# --- cancelling -------------------------------------------------------------------------------


def test_cancel() -> None:
    desk = under_way(UPDATE, Step.UPDATE, USER)
    told = desk.cancel(desk.tables.operations[make_id(50)])
    assert (told.cancel_requested, told.reason) == (True, "cancelled by ana")
    assert desk.record().desired is DesiredState.RUNNING


@pytest.mark.parametrize("origin", [USER, RECONCILE])
@pytest.mark.parametrize("kind", [START, CREATE])
def test_who_cancels_a_start_does_not_want_it_to_run(kind: OperationKind, origin: Origin) -> None:
    desk = under_way(kind, Step.START, origin)
    desk.cancel(desk.tables.operations[make_id(50)])
    assert desk.record().desired is DesiredState.STOPPED


def test_cancelling_a_start_leaves_a_delete_that_waits() -> None:
    desk = under_way(START, Step.START, USER)
    desk.ask(DELETE)
    desk.cancel(desk.tables.operations[make_id(50)])
    assert desk.record().desired is DesiredState.DELETED


def test_cancelling_an_automatic_start_leaves_a_restart_that_waits() -> None:
    desk = under_way(START, Step.START, RECONCILE)
    desk.ask(RESTART)
    desk.cancel(desk.tables.operations[make_id(50)])
    assert desk.record().desired is DesiredState.RUNNING


def test_an_undo_is_not_cancelled() -> None:
    desk = under_way(CREATE, Step.UNDO, USER)
    verdict = request_cancel(desk.tables, make_id(50), ANA)
    assert (verdict.joined, verdict.change, verdict.cancel) == (True, Change(), ())


def test_cancelling_what_has_ended_or_never_was() -> None:
    desk = Desk(instance(1))
    ended = desk.run(desk.ask(STOP))
    with pytest.raises(Conflict, match="has succeeded already") as caught:
        desk.cancel(ended)
    assert caught.value.details["state"] == "succeeded"
    assert f"swarmctl ops {ended.id}" in str(caught.value.next_step)
    with pytest.raises(OperationNotFound) as missing:
        request_cancel(desk.tables, make_id(999), ANA)
    assert "swarmctl ops" in str(missing.value.next_step)


# --- what is told -----------------------------------------------------------------------------


def test_an_acceptance_is_told_and_its_reasons_are_kept() -> None:
    desk = Desk(instance(1, status=InstanceStatus.STOPPED))
    started = desk.automatic(START, why="it was found stopped")
    update = desk.ask(UPDATE, **update_arguments(config()))
    assert desk.told == ["operation_started", "operation_started"]
    first, second = desk.events
    assert (first.operation, first.data["state"], first.caller) == (started.id, "running", "ana")
    assert (second.operation, second.data["state"]) == (update.id, "pending")
    assert (second.owner, second.ref, second.correlation) == ("ana", "ana/web", "c-1")
    assert desk.story == [
        "start: it was found stopped",
        "update: asked for by ana",
        f"end the start: update {update.id} took precedence",
    ]
    assert desk.of(started).reason == f"update {update.id} took precedence"


def test_a_creation_is_told() -> None:
    desk = Desk()
    operation = desk.create()
    assert (operation.state, operation.step) == (OperationState.RUNNING, "validate")
    assert operation.deadline == operation.created_at + timedelta(seconds=60)
    assert desk.told == ["operation_started"]
    assert desk.story == ["create at local: asked for by ana"]


def test_every_refusal_is_a_swarm_error_with_a_next_step() -> None:
    """Whatever is wished of whatever there is: accepted, or told what to do instead."""
    for status in InstanceStatus:
        for desired in DesiredState:
            for kind in OperationKind:
                for origin in Origin:
                    desk = Desk(instance(1, status=status, desired=desired))
                    verdict = attempt(desk, kind, origin=origin)
                    if isinstance(verdict, SwarmError):
                        assert verdict.next_step, (status, desired, kind, origin)
