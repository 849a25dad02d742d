"""Operations that end are counted, by what they were and what came of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.tables import Tables
from swarmd.core.telemetry.operations import count_ends, duration_of, ended_of, sum_counts
from swarmd.messages.enums import EventType, OperationKind, OperationState
from swarmd.messages.events import Event
from swarmd.messages.operation import Operation
from swarmd.messages.telemetry import OperationMetrics
from tests.core.desk import CREATE, LOCAL, START, STOP, Desk
from tests.core.samples import NOW, instance, later
from tests.core.telemetry.samples import metrics

OUTCOMES = st.sampled_from(["succeeded", "failed", "cancelled"])


def events_of(desk: Desk) -> list[Event]:
    return [
        Event(
            seq=seq, journal="j", at=NOW, type=each.type, operation=each.operation,
            data=dict(each.data),
        )
        for seq, each in enumerate(desk.events, 1)
    ]  # fmt: skip


def end(kind: str, state: str, operation: str = "gone", **changes: Any) -> Event:
    event = Event(
        seq=1, journal="j", at=NOW, type=EventType.OPERATION_ENDED, operation=operation,
        data={"kind": kind, "state": state},
    )  # fmt: skip
    return msgspec.structs.replace(event, **changes)


def test_what_desks_end_is_counted_with_how_long_it_took() -> None:
    desk = Desk(instance(1), instance(2, name="api"))
    stopped = desk.ask(STOP)
    desk.run(stopped)
    begun = desk.ask(START)
    desk.fail(begun)
    found = count_ends({}, events_of(desk), desk.tables)
    assert set(found) == {STOP, START}
    assert (found[STOP].succeeded, found[STOP].failed) == (1, 0)
    assert (found[START].succeeded, found[START].failed) == (0, 1)
    for kind, operation in ((STOP, stopped), (START, begun)):
        took = duration_of(desk.tables.operations[operation.id])
        assert took
        assert found[kind].latency.max == took


@pytest.mark.parametrize(
    ("error", "refused"),
    [("validation_error", 1), ("conflict", 1), ("permission_error", 1), ("provider_error", 0),
     ("resource_limit_error", 0), (None, 0)],
)  # fmt: skip
def test_who_asks_for_what_cannot_be_is_told_from_what_fails(
    error: str | None, refused: int
) -> None:
    data = {"kind": "create", "state": "failed", "error": error and {"type": error, "message": ""}}
    found = count_ends({}, [end("create", "failed", data=data)], Tables())
    assert (found[CREATE].failed, found[CREATE].refused) == (1, refused)


def test_other_events_and_words_of_other_versions_are_not_counted() -> None:
    told = [
        end("create", "succeeded", type=EventType.OPERATION_STARTED),
        end("create", "running"),
        end("teleport", "succeeded"),
        end("create", "exploded"),
        end("create", "succeeded", data={}),
    ]
    found = count_ends({}, told, Tables())
    assert sum(map(ended_of, found.values())) == 0


def test_an_operation_that_is_gone_counts_without_its_duration() -> None:
    before = {CREATE: metrics(1.0)}
    found = count_ends(before, [end("create", "failed")], Tables())
    assert (found[CREATE].succeeded, found[CREATE].failed) == (1, 1)
    assert found[CREATE].latency.count == 1
    assert before == {CREATE: metrics(1.0)}


@pytest.mark.parametrize(
    ("ended_at", "expected"), [(None, None), (later(2.5), 2.5), (later(-5), 0.0)]
)
def test_a_duration_is_never_negative(ended_at: Any, expected: float | None) -> None:
    desk = Desk(instance(1))
    operation: Operation = msgspec.structs.replace(
        desk.ask(STOP), created_at=NOW, ended_at=ended_at
    )
    assert duration_of(operation) == expected


@given(
    st.lists(st.tuples(st.sampled_from(OperationKind), OUTCOMES), max_size=40), st.integers(1, 8)
)
def test_whatever_the_batches_none_is_lost_and_none_counted_twice(
    ends: list[tuple[OperationKind, str]], size: int
) -> None:
    row = instance(1)
    operations = []
    for number, (kind, state) in enumerate(ends):
        template = Desk(row).ask(STOP)
        operations.append(
            msgspec.structs.replace(
                template, id=f"o{number}", kind=kind, state=OperationState(state),
                created_at=NOW, ended_at=NOW + timedelta(seconds=number),
            )
        )  # fmt: skip
    tables = Tables.build((row,), operations, (LOCAL,), 0)
    told = [end(kind, state, f"o{number}") for number, (kind, state) in enumerate(ends)]
    batches = [told[start : start + size] for start in range(0, len(told), size)]
    apart = sum_counts([count_ends({}, batch, tables) for batch in batches])
    assert apart == count_ends({}, told, tables)
    for kind in OperationKind:
        found = apart.get(kind, OperationMetrics())
        for outcome in ("succeeded", "failed", "cancelled"):
            assert getattr(found, outcome) == ends.count((kind, outcome))
        assert found.latency.count == ended_of(found)


def test_sums_take_each_outcome() -> None:
    one, other = metrics(1.0, 2.0, failed=1), metrics(3.0, cancelled=1)
    total = metrics(1.0, 2.0, 3.0, failed=1, cancelled=1)
    assert sum_counts([{START: one}, {START: other}]) == {START: total}
