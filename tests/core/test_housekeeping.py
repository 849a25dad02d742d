"""What has had its time goes, and what is still wanted stays."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from swarmd.core.housekeeping import sweep_operations, tombstones, wanted_uploads
from swarmd.core.tables import Change
from swarmd.core.wishes import IDEMPOTENCY_SECONDS
from swarmd.messages.enums import OperationKind, OperationState
from swarmd.messages.operation import Operation
from tests.core.desk import CREATE, DELETE, IMPORT, PURGE, STOP, Desk, tables_of
from tests.core.samples import NOW, instance, later, make_id


def ended(number: int, **values: Any) -> Operation:
    desk = Desk(instance(1))
    defaults = {
        "id": make_id(number),
        "state": OperationState.SUCCEEDED,
        "ended_at": NOW,
        "created_at": NOW,
    }
    return msgspec.structs.replace(desk.ask(STOP), **defaults | values)


@pytest.mark.parametrize(
    ("kept", "dropped"), [(0, [1, 2, 3]), (2, [1, 2]), (3, [1]), (4, []), (99, [])]
)
def test_the_oldest_that_ended_go(kept: int, dropped: list[int]) -> None:
    running = ended(4, state=OperationState.RUNNING, ended_at=None)
    tables = tables_of(instance(1), operations=(ended(3), running, ended(1), ended(2)))
    change = sweep_operations(tables, kept, NOW)
    assert change == Change(drop_operations=tuple(make_id(each) for each in dropped))


def test_a_key_keeps_its_operation_until_it_lapses() -> None:
    keyed = ended(1, idempotency_key="k")
    tables = tables_of(operations=(keyed, ended(2)))
    assert sweep_operations(tables, 0, later(IDEMPOTENCY_SECONDS)).drop_operations == (make_id(2),)
    all_of_them = sweep_operations(tables, 0, later(IDEMPOTENCY_SECONDS + 1)).drop_operations
    assert all_of_them == (make_id(1), make_id(2))


def test_uploads_that_are_still_wanted() -> None:
    desk = Desk(instance(9))
    ended_import = desk.create(1, kind=IMPORT, name="a", upload="u1")
    desk.fail(ended_import)
    desk.end(ended_import)
    desk.create(2, kind=IMPORT, name="b", upload="u2")
    desk.ask(STOP, make_id(9))
    assert wanted_uploads(desk.tables) == {"u2"}


def test_tombstones_are_of_deletes_and_creations_without_an_instance() -> None:
    kinds = list(OperationKind)
    rows = [ended(n, kind=kind, target=make_id(50 + n)) for n, kind in enumerate(kinds)]
    tables = tables_of(instance(50 + kinds.index(DELETE)), operations=tuple(rows))
    expected = {make_id(50 + kinds.index(kind)) for kind in (PURGE, CREATE, IMPORT)}
    assert tombstones(tables) == expected
