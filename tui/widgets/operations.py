"""A table of operations: what is under way first, with how far it is; then what ended last."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from swarmd.messages.operation import Operation
from tui.model.doing import doing, lasts, progressing, tone_of, urgency
from tui.model.fuzzy import fuzzy
from tui.model.words import since
from tui.widgets.columns import Cell, Column
from tui.widgets.table import Table


def operations_table(
    now: Callable[[], datetime], *, of_one: bool = False, id: str | None = None
) -> Table[Operation]:
    """The table.

    Args:
        now: The time, UTC.
        of_one: Whether they are all of the same instance.
        id: Of the widget.
    """
    columns: tuple[Column[Operation], ...] = (
        Column("kind", "KIND", 8, lambda o: str(o.kind), order=lambda o: str(o.kind)),
        Column("target", "INSTANCE", 14, lambda o: o.target_ref, order=lambda o: o.target_ref,
               grow=1),
        Column("state", "STATE", 10, lambda o: Cell(str(o.state), tone_of(o, now())),
               order=urgency),
        Column("lasts", "TOOK", 7, lambda o: lasts(o, now()), right=True),
        Column("doing", "DOING", 20, progressing, grow=3),
        Column("ended", "ENDED", 11, lambda o: _ago(o, now()), least=0 if of_one else 100),
        Column("by", "BY", 9, lambda o: o.caller.name if o.origin == "user" else str(o.origin),
               order=lambda o: o.caller.name, least=0 if of_one else 90),
    )  # fmt: skip
    shown = [each for each in columns if not (of_one and each.name == "target")]
    return Table(shown, fits=fits, sort="state", id=id)


def _ago(operation: Operation, now: datetime) -> str:
    return f"{since(operation.ended_at, now)} ago" if operation.ended_at is not None else "-"


def fits(operation: Operation, text: str) -> bool:
    """Whether an operation has these letters, in their order, in what one would look for."""
    facts = (operation.kind, operation.target_ref, operation.state, operation.caller.name)
    return fuzzy(text)(" ".join((*map(str, facts), doing(operation))))
