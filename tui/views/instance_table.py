"""A view of instances in a table, with what they use."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, ClassVar

from textual import on, work
from textual.timer import Timer

from swarmd.errors import SwarmError
from tui.model.rows import Row
from tui.navigation import Place
from tui.views.figures import MANY, PATIENCE, SORTABLE, Figures
from tui.views.instance_columns import columns
from tui.views.table_view import TableView
from tui.widgets.columns import Column
from tui.widgets.table import Table

_SETTLE_SECONDS = 0.2
"""So long after one has last scrolled, filtered or sorted figures are asked for."""


class InstanceTableView(TableView):
    """See the module's docstring: it fills its table itself, and calls ``renew`` then."""

    WHAT: ClassVar[str] = "instance"
    table: Table[Row]

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.figures = Figures()
        self._ticks = 0
        self._settling: Timer | None = None
        self._all_of: tuple[str | None, str] = (None, "")

    def columns(self) -> tuple[Column[Row], ...]:
        """All that can be shown of an instance."""
        return columns(self.now, self.figures.of)

    def on_mount(self) -> None:
        """Other rows are seen after scrolling, whoever scrolls."""
        self.watch(self.table, "scroll_y", self.renew_soon, init=False)

    def on_resize(self) -> None:
        """More rows may be seen."""
        self.renew_soon()

    def tick(self) -> None:
        """Uptimes grow, and figures are others."""
        self._ticks += 1
        self.table.tick()
        self.renew(again=self._ticks % PATIENCE == 0)

    @on(Table.Asked)
    def renew_soon(self) -> None:
        """Ask for what is seen now, once it stays so."""
        if self._settling is None:
            self._settling = self.set_timer(_SETTLE_SECONDS, self._settled)
        else:
            self._settling.reset()

    def _settled(self) -> None:
        self._settling = None
        if len(self.table.keys) > MANY:
            self.renew(self.figures.unknown(self.table.seen))

    # --- figures -----------------------------------------------------------------------------

    def renew(self, ids: Sequence[str] | None = None, *, again: bool = False) -> None:
        """Ask for what the daemon measured last.

        Args:
            ids: Of these; None: of all, or of those that are seen if there are very many.
            again: Whether, if very many are sorted by a figure, all of them are asked for again.
        """
        if not (self.snapshot.link.online and self.snapshot.loaded):
            return  # what was known stays; what is being read is not held up
        keys, (name, _) = self.table.keys, self.table.order
        many = len(keys) > MANY
        if many and name in SORTABLE and (again or self._all_of != (name, self.table.filtered)):
            self._all_of = name, self.table.filtered
            self._renew_all(tuple(keys), name)
        if ids is None:
            ids = self.table.seen if many else keys
        if ids:
            # In the order of all only all can be placed: a few alone would jump about.
            self._renew_some(tuple(ids), placed=not (many and name in SORTABLE))

    @work(group="figures", exclusive=True, exit_on_error=False)
    async def _renew_some(self, ids: tuple[str, ...], *, placed: bool) -> None:
        every = len(ids) == len(self.snapshot.instances)
        await self._take(self.figures.ask(self.swarmd.link.ask, ids, every=every), placed=placed)

    @work(group="all figures", exclusive=True, exit_on_error=False)
    async def _renew_all(self, ids: tuple[str, ...], name: str) -> None:
        await self._take(self.figures.ask_all(self.swarmd.link.ask, ids, name), placed=True)

    async def _take(self, asking: Coroutine[Any, Any, None], *, placed: bool) -> None:
        try:
            await asking
        except SwarmError as error:
            self.log("what instances use is not known:", error)
            return
        if placed and self.table.order[0] in SORTABLE:
            self.table.refigure()
        else:
            self.table.tick()

    @on(Table.Opened)
    def _open(self, event: Table.Opened) -> None:
        row = self.snapshot.instances.get(event.key)
        if row is not None:
            self.swarmd.go(Place("instance", row.id, row.ref))
