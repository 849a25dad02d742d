"""From snapshots and events to snapshots: pure, so tables and properties are enough."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.messages.enums import (
    EventType,
    HealthStatus,
    InstanceStatus,
    OperationKind,
    OperationState,
)
from swarmd.messages.events import Event
from swarmd.messages.operation import Operation
from tests.tui import scene
from tui.model.fold import OPERATIONS_KEPT, Stale, fold, with_rows
from tui.model.rows import Row
from tui.model.snapshot import EVENTS_KEPT, Changed, Snapshot


def row(name: str = "web", **facts: Any) -> Row:
    instance = scene.instance(name, number=1, **facts)
    fields = {field: getattr(instance, field) for field in Row.__struct_fields__}
    return Row(**fields)


WEB = row()
KNOWN = Snapshot(instances={WEB.id: WEB}, journal="j", seq=10)


def event(seq: int, kind: EventType, **facts: Any) -> Event:
    facts.setdefault("target", WEB.id)
    return Event(seq=seq, journal="j", at=scene.NOW, type=kind, **facts)


def test_a_status_is_taken_from_the_event_and_the_rest_asked_for() -> None:
    stopped = event(11, EventType.INSTANCE_STATUS_CHANGED, data={"status": "stopped"})
    folded = fold(KNOWN, [stopped])
    assert folded.snapshot.instances[WEB.id].status is InstanceStatus.STOPPED
    assert folded.stale == Stale(instances=frozenset({WEB.id}))
    assert folded.changed == Changed(instances=frozenset({WEB.id}), events=1)
    assert KNOWN.instances[WEB.id] is WEB


def test_the_end_of_an_operation_tells_what_its_instance_is() -> None:
    """One that failed, or found all as it was to be, is followed by nothing else."""
    starting = replace(KNOWN, instances={WEB.id: row(status=InstanceStatus.STARTING)})
    end = event(11, EventType.OPERATION_ENDED, operation="01op", data={"status": "error"})
    folded = fold(starting, [end])
    assert folded.snapshot.instances[WEB.id].status is InstanceStatus.ERROR
    assert WEB.id in folded.stale.instances
    assert WEB.id in folded.changed.instances
    gone = event(11, EventType.OPERATION_ENDED, operation="01op", target="01gone")
    assert not fold(starting, [gone]).stale.instances


def test_a_health_says_all_there_is() -> None:
    ill = event(11, EventType.INSTANCE_HEALTH_CHANGED, data={"health": "unhealthy"})
    folded = fold(KNOWN, [ill])
    assert folded.snapshot.instances[WEB.id].health is HealthStatus.UNHEALTHY
    assert folded.stale.empty


def test_a_word_of_a_newer_daemon_is_passed_over() -> None:
    odd = event(11, EventType.INSTANCE_STATUS_CHANGED, data={"status": "teleporting"})
    assert fold(KNOWN, [odd]).snapshot.instances[WEB.id] == WEB


@pytest.mark.parametrize("kind", [EventType.INSTANCE_DELETED, EventType.INSTANCE_PURGED])
def test_what_is_deleted_is_gone(kind: EventType) -> None:
    folded = fold(KNOWN, [event(11, kind)])
    assert folded.snapshot.instances == {}
    assert folded.stale.providers, "one less is there"


def test_an_unknown_instance_is_asked_for() -> None:
    new = event(11, EventType.INSTANCE_CREATED, target="01new")
    folded = fold(KNOWN, [new])
    assert folded.stale.instances == {"01new"}
    assert folded.stale.providers, "one more is there"
    assert folded.snapshot.instances == KNOWN.instances


def test_an_event_that_is_in_already_changes_nothing() -> None:
    old = event(10, EventType.INSTANCE_DELETED)
    folded = fold(KNOWN, [old])
    assert folded.snapshot is KNOWN
    assert folded.changed == Changed()


def test_what_was_asked_for_and_is_not_there_is_gone() -> None:
    folded = with_rows(KNOWN, frozenset({WEB.id}), [])
    assert folded.snapshot.instances == {}


def starting(number: int, state: OperationState = OperationState.RUNNING) -> Operation:
    target = scene.instance("web", number=1)
    return scene.operation(number, OperationKind.START, target, state=state)


def test_progress_is_taken_from_the_event() -> None:
    running = starting(1)
    before = Snapshot(operations={running.id: running}, journal="j", seq=10)
    data = {"message": "pulling", "fraction": 0.5}
    step = event(11, EventType.OPERATION_PROGRESS, operation=running.id, data=data)
    folded = fold(before, [step])
    assert folded.snapshot.operations[running.id].progress.fraction == 0.5
    assert folded.stale.empty


def test_an_end_is_shown_at_once_and_asked_for() -> None:
    running = starting(1)
    before = Snapshot(operations={running.id: running}, journal="j", seq=10)
    end = event(11, EventType.OPERATION_ENDED, operation=running.id, data={"state": "failed"})
    folded = fold(before, [end])
    assert folded.snapshot.operations[running.id].state is OperationState.FAILED
    assert folded.stale.operations == {running.id}


def test_old_operations_are_forgotten_and_those_under_way_are_not() -> None:
    running = starting(0)
    ended = [starting(n, OperationState.SUCCEEDED) for n in range(1, 2 * OPERATIONS_KEPT + 2)]
    before = Snapshot(operations={each.id: each for each in (running, *ended)}, journal="j", seq=1)
    kept = fold(before, [event(2, EventType.CONFIG_RELOADED)]).snapshot.operations
    folded = fold(before, [event(2, EventType.CONFIG_RELOADED)])
    assert folded.changed.operations == before.operations.keys() - kept.keys()
    assert len(kept) <= OPERATIONS_KEPT + 1
    assert running.id in kept
    assert ended[-1].id in kept


KINDS = st.sampled_from(list(EventType))


@given(st.lists(KINDS, max_size=30), st.integers(0, 30))
def test_folding_in_two_goes_is_folding_in_one(kinds: list[EventType], cut: int) -> None:
    events = [event(11 + n, kind, operation="01op") for n, kind in enumerate(kinds)]
    once = fold(KNOWN, events).snapshot
    twice = fold(fold(KNOWN, events[:cut]).snapshot, events[cut:]).snapshot
    assert once == twice
    assert len(once.events) <= EVENTS_KEPT


@given(st.lists(KINDS, min_size=1, max_size=30))
def test_folding_again_changes_nothing(kinds: list[EventType]) -> None:
    events = [event(11 + n, kind, operation="01op") for n, kind in enumerate(kinds)]
    after = fold(KNOWN, events).snapshot
    assert fold(after, events).snapshot is after
