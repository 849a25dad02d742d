"""One provider: what it can do, what is asked of it, what runs there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType

from swarmd.errors import SwarmError
from swarmd.messages.provider import ProviderInfo
from tui.model.capacity import Asked, asked_of, details, unknown
from tui.model.rows import Row
from tui.model.snapshot import Changed, Snapshot
from tui.model.text import Line
from tui.navigation import Place
from tui.views.instance_columns import fits
from tui.views.instance_table import InstanceTableView
from tui.views.providers import PROVIDER_KEYS, ProviderActions, all_asked
from tui.widgets.pane import Pane
from tui.widgets.table import Table


class ProviderView(ProviderActions, InstanceTableView):
    """See the module's docstring."""

    BINDINGS: ClassVar[list[BindingType]] = [*PROVIDER_KEYS]
    DEFAULT_CSS = """
    ProviderView Pane { height: 3fr; }
    ProviderView Table { height: 2fr; }
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._asked: Asked | None = None
        self._dirty = True
        self.pane = Pane()
        # Nothing is marked: all keys are the provider's, not those of its instances.
        self.table: Table[Row] = Table(
            [each for each in self.columns() if each.name != "provider"],
            fits=fits,
            sort="name",
            marks=False,
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
            self.renew()
        elif changed.instances:
            self._dirty = True
        self.explain()

    def none(self) -> str:
        """How there come to be some."""
        info = self.snapshot.providers.get(self.name_of)
        if info is not None and (info.cordoned or not info.enabled):
            return "No instances here, and none are placed here until e enables it."
        return "No instances here yet. Press 2, then c to create one."

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
        self._dirty = False
        try:
            items = await all_asked(self.swarmd.link.ask, self.name_of)
        except SwarmError:
            self._dirty = True  # what is shown stays; the next tick asks again
            return
        self._asked = asked_of(items).get(self.name_of, Asked())
        self.pane.show(self._lines)

    def tick(self) -> None:
        """Uptimes and figures grow; it was looked at again; others may be asked for."""
        super().tick()
        self.look()
        if self._dirty:
            self._ask()

    def providers(self) -> Sequence[ProviderInfo]:
        """It alone."""
        info = self.snapshot.providers.get(self.name_of)
        return () if info is None else (info,)
