"""Which wish runs, joins, pre-empts, waits or is refused: the table of precedence (DESIGN 7)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from swarmd.core.course import Step, begin
from swarmd.core.tables import Change
from swarmd.core.wishes import (
    IDEMPOTENCY_SECONDS,
    Verdict,
    accept,
    accept_new,
    holder_of,
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
from swarmd.messages.operation import Operation
from tests.core.desk import (
    ANA,
    BO,
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
from tests.core.samples import config, instance, make_id

WEB = make_id(1)
USER, RECOVERY, RECONCILE = Origin.USER, Origin.RECOVERY, Origin.RECONCILE

FOUND = {
    START: (InstanceStatus.STOPPED, DesiredState.RUNNING),
    STOP: (InstanceStatus.RUNNING, DesiredState.STOPPED),
    RESTART: (InstanceStatus.RUNNING, DesiredState.RUNNING),
    UPDATE: (InstanceStatus.RUNNING, DesiredState.RUNNING),
    CREATE: (InstanceStatus.ERROR, DesiredState.RUNNING),
    IMPORT: (InstanceStatus.ERROR, DesiredState.RUNNING),
    DELETE: (InstanceStatus.RUNNING, DesiredState.DELETED),
    UNDELETE: (InstanceStatus.DELETED, DesiredState.STOPPED),
    PURGE: (InstanceStatus.ERROR, DesiredState.DELETED),
}
"""The status and the wish under which an operation of a kind is begun."""

STEPS = {
    START: (Step.START,),
    STOP: (Step.STOP,),
    RESTART: (Step.STOP, Step.START),
    UPDATE: (Step.VALIDATE, Step.UPDATE, Step.STOP, Step.START),
    CREATE: (Step.VALIDATE, Step.CREATE, Step.START, Step.UNDO),
    IMPORT: (Step.VALIDATE, Step.IMPORT, Step.START, Step.UNDO),
    DELETE: (Step.STOP, Step.TRASH),
    UNDELETE: (Step.RESTORE,),
    PURGE: (Step.PURGE,),
}

WISHES = {
    "start": (START, USER, {}),
    "stop": (STOP, USER, {"force": False}),
    "kill": (STOP, USER, {"force": True}),
    "restart": (RESTART, USER, {"force": False}),
    "update": (UPDATE, USER, update_arguments(config())),
    "rm": (DELETE, USER, {"force": False}),
    "rm --force": (DELETE, USER, {"force": True}),
    "undelete": (UNDELETE, USER, {"name": None}),
    "auto start": (START, RECONCILE, {}),
    "recovery": (RESTART, RECOVERY, {}),
    "auto stop": (STOP, RECONCILE, {"force": False}),
    "auto purge": (PURGE, RECONCILE, {"force": False}),
}


def under_way(kind: OperationKind, step: Step, origin: Origin, **arguments: Any) -> Desk:
    """A desk where an operation of this kind and origin is in this step."""
    status, desired = FOUND[kind]
    desk = Desk(instance(1, status=status, desired=desired))
    record = desk.record()
    running = Operation(
        id=make_id(50),
        kind=kind,
        target=record.id,
        target_ref=record.ref,
        owner="ana",
        state=OperationState.PENDING,
        origin=origin,
        caller=ANA,
        created_at=desk.now,
        arguments={"force": False} | (update_arguments(config()) if kind is UPDATE else {}),
    )
    running = msgspec.structs.replace(running, arguments={**running.arguments, **arguments})
    running, record = begin(running, record, desk.now)
    running = msgspec.structs.replace(running, step=step.value)
    desk.apply(Change(operations=(running,), instances=(record,)))
    return desk


def attempt(desk: Desk, kind: OperationKind, **values: Any) -> Verdict | SwarmError:
    """The verdict about a wish, or why there is none."""
    try:
        return accept(desk.tables, desk.wish(kind, **values), WEB)
    except SwarmError as error:
        return error


def result(desk: Desk, wish: str) -> str:
    """What becomes of a wish, and of what is under way."""
    kind, origin, arguments = WISHES[wish]
    first = desk.tables.active_of(WEB)[0]
    verdict = attempt(desk, kind, origin=origin, **arguments)
    if isinstance(verdict, SwarmError):
        assert verdict.next_step
        if "operation" not in verdict.details:
            return "refused"
        assert verdict.details["operation"] == first.id
        assert verdict.next_step == f"Wait for it: swarmctl ops wait {first.id}."
        return "conflict"
    if verdict.joined:
        assert (verdict.operation_id, verdict.change) == (first.id, Change())
        return "join"
    desk.take(verdict)
    mine = desk.tables.operations[verdict.operation_id]
    assert mine.state is OperationState.PENDING
    assert desk.tables.active_of(WEB) == (desk.of(first), mine)
    if verdict.cancel:
        assert verdict.cancel == (first.id,)
        assert desk.of(first).cancel_requested
        assert desk.of(first).arguments["winner"] == mine.id
        return "pre-empt"
    return "wait" if desk.of(first).reason == first.reason else "let end"


def row(wishes: str, what: str) -> dict[str, str]:
    return dict.fromkeys((each.strip() for each in wishes.split(",")), what)


LIVE = row("undelete", "refused")
UNWANTED = row("auto stop, auto purge", "refused")
CHANGES = "start, restart, update"

BY_USER: dict[OperationKind, dict[str, str]] = {
    START: {
        **row("start, auto start", "join"),
        **row("stop, kill, rm, rm --force", "pre-empt"),
        **row("restart, update, recovery", "conflict"),
    },
    STOP: {
        **row("stop, auto stop", "join"),
        **row("kill, rm, rm --force", "wait"),
        **row(CHANGES, "conflict"),
        **row("auto start, recovery, auto purge", "refused"),
    },
    RESTART: {
        **row("stop, kill, rm, rm --force", "pre-empt"),
        **row("start, restart, update, auto start, recovery", "conflict"),
    },
    UPDATE: {
        **row("stop, kill, rm, rm --force", "pre-empt"),
        **row("start, restart, update, auto start, recovery", "conflict"),
    },
    CREATE: {
        **row("stop, kill", "let end"),
        **row("rm, rm --force", "pre-empt"),
        **row("start, restart, update, auto start, recovery", "conflict"),
    },
    DELETE: {
        **row("rm", "join"),
        **row("rm --force", "wait"),
        **row("start, stop, kill, restart, update", "conflict"),
        **row("auto start, recovery", "refused"),
        **row("auto stop, auto purge", "conflict"),
    },
    UNDELETE: {
        **row("undelete", "join"),
        **row("start, stop, kill, restart, update, rm", "refused"),
        **row("rm --force", "pre-empt"),
        **row("auto start, recovery, auto stop, auto purge", "refused"),
    },
}
BY_NOBODY: dict[OperationKind, dict[str, str]] = {
    START: {
        **row("start, auto start", "join"),
        **row("stop, kill, rm, rm --force, restart, update, recovery", "pre-empt"),
    },
    STOP: {
        **row("stop, auto stop", "join"),
        **row(CHANGES, "pre-empt"),
        **row("kill, rm, rm --force", "wait"),
        **row("auto start, recovery, auto purge", "refused"),
    },
    CREATE: {
        **row("stop, kill, start, restart, update, recovery", "let end"),
        **row("rm, rm --force", "pre-empt"),
        **row("auto start", "conflict"),
    },
    PURGE: {
        **row("auto purge", "join"),
        **row("rm, rm --force", "wait"),
        **row("start, stop, kill, restart, update, auto stop", "conflict"),
        **row("auto start, recovery", "refused"),
    },
}


def cases() -> list[Any]:
    made = []
    for origin, table in ((USER, BY_USER), (RECONCILE, BY_NOBODY)):
        for kind, expected in table.items():
            desired = FOUND[kind][1]
            rest = UNWANTED if desired is DesiredState.RUNNING else {}
            live = {} if kind is UNDELETE else LIVE
            full = {**live, **rest, **expected}
            assert full.keys() == WISHES.keys(), (kind, WISHES.keys() ^ full.keys())
            for step in STEPS[kind]:
                for wish, usual in full.items():
                    what = at_step(kind, step, wish, usual)
                    name = f"{origin} {step}: {wish}"
                    made.append(pytest.param(kind, step, origin, wish, what, id=name))
    return made


def at_step(kind: OperationKind, step: Step, wish: str, what: str) -> str:
    """A creation that has come to its start is as good as any start; an undo is let end."""
    if kind is CREATE and step is Step.START and what == "let end":
        return "pre-empt"
    if kind is CREATE and step is Step.UNDO and what == "pre-empt":
        return "let end"
    return what


@pytest.mark.parametrize(("kind", "step", "origin", "wish", "what"), cases())
def test_precedence(kind: OperationKind, step: Step, origin: Origin, wish: str, what: str) -> None:
    assert result(under_way(kind, step, origin), wish) == what


@pytest.mark.parametrize("kind", [STOP, DELETE])
def test_force_is_more_than_what_is_under_way(kind: OperationKind) -> None:
    step = STEPS[kind][0]
    gentle, forced = ("stop", "kill") if kind is STOP else ("rm", "rm --force")
    assert result(under_way(kind, step, USER, force=False), forced) == "wait"
    assert result(under_way(kind, step, USER, force=True), forced) == "join"
    assert result(under_way(kind, step, USER, force=True), gentle) == "join"


def test_what_was_told_to_end_is_not_joined() -> None:
    desk = under_way(START, Step.START, RECONCILE)
    desk.ask(UPDATE, **update_arguments(config()))
    assert desk.tables.active_of(WEB)[0].cancel_requested
    with pytest.raises(Conflict):
        desk.ask(START)  # not joined to the start that ends; the update waits before it


def test_an_undelete_under_another_name_is_not_the_same() -> None:
    desk = under_way(UNDELETE, Step.RESTORE, USER, name=None)
    with pytest.raises(Conflict) as caught:
        desk.ask(UNDELETE, name="other")
    assert caught.value.details["operation"] == make_id(50)


def test_many_wait_in_the_order_of_their_acceptance() -> None:
    desk = under_way(CREATE, Step.CREATE, USER)
    stop, rm, force = desk.ask(STOP), desk.ask(DELETE), desk.ask(DELETE, force=True)
    assert [each.id for each in desk.tables.active_of(WEB)] == [
        make_id(50), stop.id, rm.id, force.id,
    ]  # fmt: skip
    assert desk.record().desired is DesiredState.DELETED


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
