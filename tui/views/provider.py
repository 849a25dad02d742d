"""One provider: what it can do, what is asked of it, what runs there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType

from swarmd.errors import SwarmError
from swarmd.messages.provider import ProviderInfo
from tui.model.capacity import Asked, asked_of, details, unknown
from tui.model.rows import Row
from tui.model.snapshot import Changed, Snapshot
from tui.model.text import Line
from tui.navigation import Place
from tui.views.instances import columns, fits
from tui.views.providers import PROVIDER_KEYS, ProviderActions, all_asked
from tui.widgets.pane import Pane
from tui.widgets.table import Table


class ProviderView(ProviderActions):
    """See the module's docstring."""

    FILTERS: ClassVar[bool] = True
    BINDINGS: ClassVar[list[BindingType]] = [*PROVIDER_KEYS]
    DEFAULT_CSS = """
    ProviderView Pane { height: 3fr; }
    ProviderView Table { height: 2fr; }
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._asked = Asked()
        self.pane = Pane()
        self.table: Table[Row] = Table(
            [each for each in columns(self.now) if each.name != "provider"],
            fits=fits,
            sort="name",
            empty="Nothing of yours is here.",
        )

    @property
    def name_of(self) -> str:
        """The provider's name."""
        return self.place.target or ""

    def compose(self) -> ComposeResult:
        """What is known of it, above its instances."""
        yield self.pane
        yield self.table

    def show(self, snapshot: Snapshot, changed: Changed) -> None:
        """What changed of it and of its instances."""
        if changed.everything or changed.instances:
            rows = {
                key: row for key, row in snapshot.instances.items() if row.provider == self.name_of
            }
            self.table.show(rows, None if changed.everything else changed.instances)
        if changed.everything or changed.providers or changed.instances:
            self.pane.show(self._lines)
        if changed.everything:
            self._ask()

    def focus_first(self) -> None:
        """Its instances; tab goes to what is above."""
        self.table.focus()

    def _lines(self, width: int, _height: int) -> Iterable[Line]:
        info = self.snapshot.providers.get(self.name_of)
        if info is None:
            return unknown(self.name_of)
        return details(info, self._asked, now=self.now(), width=width)

    @work(exclusive=True, group="asked", exit_on_error=False)
    async def _ask(self) -> None:
        try:
            items = await all_asked(self.swarmd.link.ask, self.name_of)
        except SwarmError as error:
            self.notify(error.message, severity="warning", markup=False)
            return
        self._asked = asked_of(items).get(self.name_of, Asked())
        self.pane.show(self._lines)

    def tick(self) -> None:
        """Uptimes grow; it was looked at again."""
        self.renew()
        self.table.tick()

    def filter(self, text: str) -> None:
        """Its instances, by letters."""
        self.table.filter(text)

    def providers(self) -> Sequence[ProviderInfo]:
        """It alone."""
        info = self.snapshot.providers.get(self.name_of)
        return () if info is None else (info,)

    @on(Table.Opened)
    def _open(self, event: Table.Opened) -> None:
        row = self.snapshot.instances.get(event.key)
        if row is not None:
            self.swarmd.go(Place("instance", row.id, row.ref))
