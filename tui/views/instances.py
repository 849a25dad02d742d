"""All instances in one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType

from swarmd.errors import SwarmError
from swarmd.messages.requests import ListInstances, StatsInstance
from tui.model.fuzzy import fuzzy
from tui.model.rows import Row
from tui.model.snapshot import Changed, Snapshot
from tui.model.uses import IDLE_FIELDS, NOTHING, Use, uses_of
from tui.model.words import HEALTH_TONES, since, size, tone_of_status
from tui.navigation import Place
from tui.views.view import INSTANCE_KEYS, View
from tui.widgets.columns import Cell, Column
from tui.widgets.table import Table


def columns(
    now: Callable[[], datetime], use: Callable[[str], Use] = lambda _id: NOTHING
) -> tuple[Column[Row], ...]:
    """What the table can show of an instance.

    Args:
        now: The time, UTC.
        use: What an instance uses, by its id.
    """
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
        *_figures(now, use),
        Column(
            "uptime",
            "UP",
            7,
            lambda row: since(row.started_at, now()),
            order=lambda row: row.started_at and -row.started_at.timestamp(),
            right=True,
        ),
        Column("url", "URL", 24, lambda row: row.url or "-", grow=2, least=110),
    )


def _figures(now: Callable[[], datetime], use: Callable[[str], Use]) -> tuple[Column[Row], ...]:
    def memory(row: Row) -> Cell:
        used = use(row.id)
        return Cell(size(used.memory), "warn" if used.tight else "")

    return (
        Column(
            "cpu", "CPU", 5, lambda row: _share_of_a_core(use(row.id).cores), right=True,
            order=lambda row: _most_first(use(row.id).cores),
        ),
        Column(
            "memory", "MEM", 5, memory, right=True,
            order=lambda row: _most_first(use(row.id).memory),
        ),
        Column(
            "idle", "IDLE", 7, lambda row: since(use(row.id).last_used, now()), right=True,
            least=95,
            order=lambda row: (used := use(row.id).last_used) and used.timestamp(),
        ),
    )  # fmt: skip


def _share_of_a_core(cores: float | None) -> str:
    return "-" if cores is None else f"{cores:.0%}"


def _most_first(value: float | None) -> float | None:
    return None if value is None else -value


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


_ALL = 1000
"""With more instances than this figures are asked for those alone that are seen."""


class InstancesView(View):
    """See the module's docstring."""

    FILTERS: ClassVar[bool] = True
    BINDINGS: ClassVar[list[BindingType]] = [*INSTANCE_KEYS]

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._uses: dict[str, Use] = {}
        self.table: Table[Row] = Table(self._columns(), fits=fits, sort="name")

    def compose(self) -> ComposeResult:
        """The table alone, with the columns of the settings."""
        found, unknown = chosen(self._columns(), self.swarmd.settings.columns)
        self.table.use(found)
        if unknown:
            known = ", ".join(each.name for each in self._columns())
            self.swarmd.warn(f"tui.columns: there is no {', '.join(unknown)}. Known: {known}.")
        yield self.table

    def _columns(self) -> tuple[Column[Row], ...]:
        return columns(self.now, lambda instance_id: self._uses.get(instance_id, NOTHING))

    def show(self, snapshot: Snapshot, changed: Changed) -> None:
        """The rows that changed."""
        if changed.everything:
            self._ask_uses()
        self.table.empty = _nothing(snapshot, self.table.filtered)
        if changed.everything:
            self.table.show(snapshot.instances)
        elif changed.instances:
            self.table.show(snapshot.instances, changed.instances)

    def tick(self) -> None:
        """Uptimes grow, and figures are others."""
        self.table.tick()
        self._ask_uses()

    @work(group="uses", exclusive=True, exit_on_error=False)
    async def _ask_uses(self) -> None:
        """What the daemon measured last; of very many instances only of those that are seen."""
        if not self.snapshot.link.online:
            return  # what was known stays, and the line at the top says why
        ids = () if len(self.snapshot.instances) <= _ALL else tuple(self.table.seen)
        try:
            stats = await self.swarmd.link.ask(StatsInstance(id=ids, measured=True))
            listed = ListInstances(id=ids, fields=IDLE_FIELDS, limit=_ALL)
            page = await self.swarmd.link.ask(listed)
        except SwarmError as error:
            self.log("what instances use is not known:", error)
            return
        self._uses = uses_of(stats.items, page.items)
        self.table.refigure()

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
