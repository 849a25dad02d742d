"""A desk at which a crash tore a change apart, and the next start tidied up."""

from __future__ import annotations

from typing import Any

from swarmd.core.housekeeping import tidy
from swarmd.core.tables import Change, Tables
from swarmd.messages.enums import OperationKind
from swarmd.messages.operation import Operation
from tests.core.desk import Desk, tables_of
from tests.core.samples import make_id
from tests.core.world import cut

WEB = make_id(1)


def torn(desk: Desk, before: Tables, change: Change, files: int | None = None) -> Desk:
    """The desk after a kill -9 between the operations and the instances of a change."""
    files = len({each.id for each in change.operations}) if files is None else files
    instances, operations = cut(before, change, files)
    fresh = tables_of(*instances.values(), operations=tuple(operations.values()))
    again = Desk(tables=fresh)
    again.now, again.number = desk.now, desk.number
    again.apply(tidy(fresh, desk.now))
    assert tidy(again.tables, again.now) == Change()
    return again


def torn_end(desk: Desk, operation: Operation, **outcome: Any) -> Desk:
    """The same for the outcome of the step that an operation is in."""
    before = desk.tables
    change = desk.end(operation, **outcome)
    return torn(desk, before, change)


def torn_wish(desk: Desk, kind: OperationKind, **values: Any) -> tuple[Desk, Operation]:
    """The same for an acceptance."""
    before = desk.tables
    operation = desk.ask(kind, **values)
    after = desk.tables
    change = Change(
        operations=tuple(
            each for each in after.operations.values() if before.operations.get(each.id) != each
        ),
        instances=(after.instances[WEB],),
    )
    return torn(desk, before, change), operation
