"""Which wish runs, joins, pre-empts, waits or is refused: the table of precedence (DESIGN 7)."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.core.course import Step
from swarmd.core.tables import Change
from swarmd.errors import Conflict, SwarmError
from swarmd.messages.enums import (
    DesiredState,
    OperationKind,
    OperationState,
    Origin,
)
from tests.core.desk import (
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
from tests.core.precedence import FOUND, STEPS, WEB, attempt, under_way
from tests.core.samples import config, make_id

USER, RECOVERY, RECONCILE = Origin.USER, Origin.RECOVERY, Origin.RECONCILE
POLICY = Origin.POLICY

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
    "idle stop": (STOP, POLICY, {"force": False}),
}


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
BY_RULE: dict[OperationKind, dict[str, str]] = {
    STOP: {
        **row("stop, auto stop", "join"),
        **row(CHANGES, "pre-empt"),
        **row("kill, rm, rm --force", "wait"),
        **row("auto start, recovery, auto purge", "refused"),
    },
}


def cases() -> list[Any]:
    made = []
    for origin, table in ((USER, BY_USER), (RECONCILE, BY_NOBODY), (POLICY, BY_RULE)):
        for kind, expected in table.items():
            desired = FOUND[kind][1]
            runs = desired is DesiredState.RUNNING
            # What a rule asks for is a stop of what is to run; it wins over nothing.
            rest = {**(UNWANTED if runs else {}), "idle stop": "conflict" if runs else "refused"}
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
