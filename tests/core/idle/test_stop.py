"""The stop that a rule asks for: what refuses it, what it leaves, how a user calls it off."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from swarmd.core.course import Outcome, Step
from swarmd.core.idle.stop import accept_stop, expiring
from swarmd.core.idle.users import user_of
from swarmd.core.steps import settle
from swarmd.core.tables import Change
from swarmd.core.wishes import Wish, request_cancel
from swarmd.errors import Conflict, InstanceNotFound, OperationCancelled, ProviderError
from swarmd.messages.enums import (
    DesiredState,
    EventType,
    InstanceStatus,
    OperationState,
    Origin,
)
from swarmd.messages.events import Event
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Operation
from tests.core.desk import ANA, BO, RESTART, START, STOP, UPDATE, Desk, update_arguments
from tests.core.samples import NOW, config, instance, later, make_id, observed

WHY = "nobody used it for 2 h (last: a browser, 2026-01-31 12:00:00 UTC), idle_timeout 2 h"
WEB = make_id(1)


def running(**values: Any) -> Instance:
    return instance(1, started_at=NOW, **values)


def wish(desk: Desk) -> Wish:
    return desk.wish(STOP, origin=Origin.POLICY, why=WHY, force=False)


def stopping(seen: Instance | None = None) -> tuple[Desk, Operation]:
    """A desk where a rule's stop has just been accepted."""
    desk = Desk(seen or running())
    return desk, desk.take(accept_stop(desk.tables, wish(desk), desk.record(), commands=0))


def settled(desk: Desk, operation: Operation, **outcome: Any) -> None:
    desk.apply(settle(desk.tables, Outcome(operation.id, Step.STOP, **outcome), desk.now))


def test_it_is_to_be_stopped_and_stays_so_and_its_story_says_why() -> None:
    desk, operation = stopping()
    assert desk.record().desired is DesiredState.STOPPED
    settled(desk, operation, observed=observed(1, status=InstanceStatus.STOPPED))
    record = desk.record()
    assert (record.status, record.desired) == (InstanceStatus.STOPPED, DesiredState.STOPPED)
    assert record.last_error is None
    told = [(reason.what, reason.why, reason.by) for _, reason in desk.reasons]
    assert told == [("stop", WHY, "policy"), ("stopped", WHY, "policy")]


@pytest.mark.parametrize(
    "changes",
    [
        {"keep_until": later(3600)},
        {"started_at": later(5)},
        {"revision": 2},
        {"desired": DesiredState.STOPPED},
        {"status": InstanceStatus.ERROR},
    ],
)
def test_what_has_changed_meanwhile_is_thought_of_again(changes: dict[str, Any]) -> None:
    seen = running()
    desk = Desk(msgspec.structs.replace(seen, **changes))
    with pytest.raises(Conflict, match="changed meanwhile"):
        accept_stop(desk.tables, wish(desk), seen, commands=0)


def test_a_command_that_was_begun_meanwhile_keeps_it() -> None:
    desk = Desk(running())
    with pytest.raises(Conflict, match="is used"):
        accept_stop(desk.tables, wish(desk), desk.record(), commands=1)


@pytest.mark.parametrize("origin", [Origin.USER, Origin.RECOVERY, Origin.RECONCILE])
def test_it_ends_nothing_that_is_under_way(origin: Origin) -> None:
    desk = Desk(running())
    desk.ask(RESTART, origin=origin)
    with pytest.raises(Conflict):
        accept_stop(desk.tables, wish(desk), desk.record(), commands=0)


def test_what_is_gone_needs_no_stop() -> None:
    desk, seen = Desk(), running()
    with pytest.raises(InstanceNotFound):
        accept_stop(desk.tables, wish(desk), seen, commands=0)


def test_sent_twice_it_is_one() -> None:
    desk = Desk(running())
    seen, mine = desk.record(), wish(desk)
    first = desk.take(accept_stop(desk.tables, mine, seen, commands=0))
    again = accept_stop(desk.tables, mine, seen, commands=0)
    assert (again.operation_id, again.joined) == (first.id, True)


@pytest.mark.parametrize(
    ("kind", "arguments"), [(START, {}), (RESTART, {}), (UPDATE, update_arguments(config()))]
)
def test_a_user_who_comes_back_wins(kind: Any, arguments: dict[str, Any]) -> None:
    desk, operation = stopping()
    mine = desk.ask(kind, **arguments)
    assert desk.of(operation).cancel_requested
    settled(desk, operation, error=OperationCancelled("cancelled while it ran"))
    assert desk.of(operation).state is OperationState.CANCELLED
    assert desk.of(mine).state is OperationState.RUNNING
    assert desk.record().desired is DesiredState.RUNNING


def test_who_calls_it_off_wants_it_to_run_on() -> None:
    desk, operation = stopping()
    desk.take(request_cancel(desk.tables, operation.id, ANA))
    settled(desk, operation, error=OperationCancelled("cancelled while it ran"))
    assert desk.record().desired is DesiredState.RUNNING


def test_one_that_fails_is_still_to_be_stopped() -> None:
    desk, operation = stopping()
    settled(desk, operation, error=ProviderError("no"))
    assert desk.record().desired is DesiredState.STOPPED
    assert desk.of(operation).state is OperationState.FAILED


def test_that_its_age_ends_it_soon_is_an_event_and_a_line_of_its_story() -> None:
    desk = Desk(running())
    desk.apply(expiring(desk.tables, WEB, 600.0, 36000.0, NOW))
    [event] = desk.events
    assert event.type is EventType.INSTANCE_EXPIRING
    assert event.data["until"] == NOW + timedelta(minutes=10)
    [(_, reason)] = desk.reasons
    assert reason.what == "will be stopped at 2026-01-31 12:10:00 UTC"
    assert "(max_age)" in reason.why
    assert "swarmctl keep ana/web 2h" in reason.why
    assert expiring(desk.tables, "gone", 1.0, 1.0, NOW) == Change()


@pytest.mark.parametrize(
    ("origin", "state", "wanted"),
    [
        (Origin.USER, OperationState.SUCCEEDED, "update by bo"),
        (Origin.USER, OperationState.FAILED, "update by bo"),
        (Origin.POLICY, OperationState.CANCELLED, "its update was called off"),
        (Origin.POLICY, OperationState.SUCCEEDED, ""),
        (Origin.RECOVERY, OperationState.SUCCEEDED, ""),
        (Origin.RECONCILE, OperationState.SUCCEEDED, ""),
    ],
)
def test_whose_doing_is_use(origin: Origin, state: OperationState, wanted: str) -> None:
    desk = Desk(running())
    operation = desk.ask(UPDATE, caller=BO, **update_arguments(config()))
    ended = msgspec.structs.replace(operation, origin=origin, state=state)
    desk.apply(Change(operations=(ended,)))

    def of(kind: EventType, operation: str | None) -> str:
        event = Event(seq=1, journal="j", at=NOW, type=kind, operation=operation, caller="bo")
        return user_of(event, desk.tables)

    assert of(EventType.OPERATION_ENDED, ended.id) == wanted
    assert of(EventType.INSTANCE_STATUS_CHANGED, ended.id) == ""
    assert of(EventType.OPERATION_ENDED, None) == ""
    assert of(EventType.INSTANCE_KEPT, None) == "keep by bo"
