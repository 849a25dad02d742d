"""All instances in one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from tui.model.rows import Row
from tui.model.snapshot import Changed, Snapshot
from tui.navigation import Place
from tui.views.instance_columns import chosen, fits
from tui.views.instance_table import InstanceTableView
from tui.views.view import INSTANCE_KEYS
from tui.widgets.table import Table


class InstancesView(InstanceTableView):
    """See the module's docstring."""

    BINDINGS: ClassVar[list[BindingType]] = [*INSTANCE_KEYS]

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.table: Table[Row] = Table(self.columns(), fits=fits, sort="name")

    def compose(self) -> ComposeResult:
        """The table alone, with the columns of the settings."""
        found, unknown = chosen(self.columns(), self.swarmd.settings.columns)
        self.table.use(found)
        if unknown:
            known = ", ".join(each.name for each in self.columns())
            self.swarmd.warn(f"tui.columns: there is no {', '.join(unknown)}. Known: {known}.")
        yield self.table

    def show(self, snapshot: Snapshot, changed: Changed) -> None:
        """The rows that changed."""
        if changed.everything:
            self.table.show(snapshot.instances)
            self.renew()
            self.renew_soon()
        elif changed.instances:
            self.table.show(snapshot.instances, changed.instances)
        self.explain()

    def none(self) -> str:
        """What to do first."""
        return "No instances yet. Press c to create one."

    def rows(self) -> Sequence[Row]:
        """The marked ones, or the one under the cursor."""
        known = self.snapshot.instances
        return tuple(known[key] for key in self.table.chosen if key in known)
