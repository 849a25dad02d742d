"""All instances in one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from tui.model.fuzzy import fuzzy
from tui.model.rows import Row
from tui.model.snapshot import Changed, Snapshot
from tui.model.words import HEALTH_TONES, since, tone_of_status
from tui.navigation import Place
from tui.views.view import INSTANCE_KEYS, View
from tui.widgets.columns import Cell, Column
from tui.widgets.table import Table


def columns(now: Callable[[], datetime]) -> tuple[Column[Row], ...]:
    """What the table can show of an instance."""
    return (
        Column("name", "NAME", 16, lambda row: row.name, order=lambda row: row.name, grow=3),
        Column("owner", "OWNER", 8, lambda row: row.owner, order=lambda row: row.owner, grow=1),
        Column("provider", "PROVIDER", 9, lambda row: row.provider, order=lambda row: row.provider),
        Column(
            "status",
            "STATUS",
            10,
            lambda row: Cell(str(row.status), tone_of_status(row.status)),
            order=lambda row: str(row.status),
        ),
        Column(
            "health",
            "HEALTH",
            10,
            lambda row: Cell(str(row.health), HEALTH_TONES[row.health]),
            order=lambda row: str(row.health),
        ),
        Column(
            "uptime",
            "UP",
            7,
            lambda row: since(row.started_at, now()),
            order=lambda row: row.started_at and -row.started_at.timestamp(),
            right=True,
        ),
        Column("url", "URL", 24, lambda row: row.url or "-", grow=2, least=100),
    )


def chosen(
    known: Sequence[Column[Row]], wanted: Sequence[str]
) -> tuple[tuple[Column[Row], ...], tuple[str, ...]]:
    """The columns that the settings want, in their order, and those that there are not.

    Args:
        known: All there are.
        wanted: By name; none: all of them.
    """
    by_name = {each.name: each for each in known}
    found = tuple(by_name[name] for name in dict.fromkeys(wanted) if name in by_name)
    return found or tuple(known), tuple(name for name in wanted if name not in by_name)


def fits(row: Row, text: str) -> bool:
    """Whether a row has these letters, in their order, in what one would look for."""
    facts = f"{row.owner}/{row.name} {row.provider} {row.status} {row.health}"
    return fuzzy(text)(facts)


def _nothing(snapshot: Snapshot, filtered: str) -> str:
    """Why there is no row, and what to do."""
    if not snapshot.loaded:
        return "Nothing is known yet: the daemon has not answered."
    if filtered:
        return f"No instance fits {filtered!r}. Escape ends the filter."
    return "No instances yet. Press c to create one."


class InstancesView(View):
    """See the module's docstring."""

    FILTERS: ClassVar[bool] = True
    BINDINGS: ClassVar[list[BindingType]] = [*INSTANCE_KEYS]

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.table: Table[Row] = Table(
            columns(self.now),
            fits=fits,
            sort="name",
        )

    def compose(self) -> ComposeResult:
        """The table alone, with the columns of the settings."""
        found, unknown = chosen(columns(self.now), self.swarmd.settings.columns)
        self.table.use(found)
        if unknown:
            known = ", ".join(each.name for each in columns(self.now))
            self.swarmd.warn(f"tui.columns: there is no {', '.join(unknown)}. Known: {known}.")
        yield self.table

    def show(self, snapshot: Snapshot, changed: Changed) -> None:
        """The rows that changed."""
        self.table.empty = _nothing(snapshot, self.table.filtered)
        if changed.everything:
            self.table.show(snapshot.instances)
        elif changed.instances:
            self.table.show(snapshot.instances, changed.instances)

    def tick(self) -> None:
        """Uptimes grow."""
        self.table.tick()

    def filter(self, text: str) -> None:
        """By letters, as one remembers them."""
        self.table.empty = _nothing(self.snapshot, text)
        self.table.filter(text)

    def rows(self) -> Sequence[Row]:
        """The marked ones, or the one under the cursor."""
        known = self.snapshot.instances
        return tuple(known[key] for key in self.table.chosen if key in known)

    def escape(self) -> bool:
        """Marks first."""
        return bool(self.table.marked) and self.table.unmark()

    @on(Table.Opened)
    def _open(self, event: Table.Opened) -> None:
        row = self.snapshot.instances.get(event.key)
        if row is not None:
            self.swarmd.go(Place("instance", row.id, row.ref))
