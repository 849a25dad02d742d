"""A table of operations: under way with their progress, ended with how."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from swarmd.messages.operation import Operation
from tui.model.fuzzy import fuzzy
from tui.model.progress import bar, doing
from tui.model.words import STATE_TONES, since, span
from tui.widgets.columns import Cell, Column
from tui.widgets.table import Table


def operations_table(now: Callable[[], datetime]) -> Table[Operation]:
    """The operations of one instance, the newest first.

    Args:
        now: The time, UTC.
    """

    def took(each: Operation) -> str:
        if each.started_at is None:
            return "-"
        return span(((each.ended_at or now()) - each.started_at).total_seconds())

    columns: tuple[Column[Operation], ...] = (
        Column("at", "AGO", 7, lambda each: since(each.created_at, now()),
               order=lambda each: each.id, right=True),
        Column("kind", "KIND", 8, lambda each: str(each.kind), order=lambda each: str(each.kind)),
        Column("state", "STATE", 9, lambda each: Cell(str(each.state), STATE_TONES[each.state]),
               order=lambda each: str(each.state)),
        Column("took", "TOOK", 7, took, right=True),
        Column("by", "BY", 9, lambda each: each.caller.name, order=lambda each: each.caller.name),
        Column("progress", "PROGRESS", 17, lambda each: bar(each.progress.fraction), least=100),
        Column("doing", "DOING", 20, doing, grow=1),
    )  # fmt: skip

    def fits(each: Operation, text: str) -> bool:
        return fuzzy(text)(f"{each.kind} {each.state} {each.caller.name} {doing(each)}")

    table = Table(columns, fits=fits, empty="Nothing was done to it yet.", id="operations")
    table.sort("at", down=True)
    return table
