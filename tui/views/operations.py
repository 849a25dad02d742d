"""Operations: what is under way, and what ended lately."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from swarmd.messages.operation import Operation
from tui import tools
from tui.model.doing import counts
from tui.model.snapshot import Changed, Snapshot
from tui.navigation import Place
from tui.views.table_view import TableView
from tui.widgets.operations import operations_table
from tui.widgets.rich_text import rich
from tui.widgets.table import Table


class OperationsView(TableView):
    """See the module's docstring."""

    WHAT: ClassVar[str] = "operation"
    CHANGES: ClassVar[frozenset[str]] = frozenset({"cancel"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "cancel", "Cancel", id="operation.cancel",
                tooltip="Ask the operation to end, or those that are marked."),
    ]  # fmt: skip
    DEFAULT_CSS = """
    OperationsView #counts { height: 1; padding: 0 1; }
    OperationsView Table { height: 1fr; }
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.table: Table[Operation] = operations_table(self.now)

    def compose(self) -> ComposeResult:
        """The counts above the table."""
        yield Static(id="counts")
        yield self.table

    def show(self, snapshot: Snapshot, changed: Changed) -> None:
        """Those that changed."""
        if changed.everything or changed.operations:
            self.table.show(snapshot.operations, None if changed.everything else changed.operations)
            told = snapshot.status is not None
            line = counts(snapshot.operations) if told else ()
            self.query_one("#counts", Static).update(rich(self.app, [line]))
        self.explain()

    def none(self) -> str:
        """How there come to be some."""
        return "Nothing was asked for yet. Press 2, then c to create an instance."

    def tick(self) -> None:
        """They take longer."""
        self.table.tick()

    def action_cancel(self) -> None:
        """The marked ones that are under way, or the one under the cursor."""
        known = self.snapshot.operations
        tools.cancel(self.swarmd, [known[key] for key in self.table.chosen if key in known])

    @on(Table.Opened)
    def _open(self, event: Table.Opened) -> None:
        operation = self.snapshot.operations.get(event.key)
        row = self.snapshot.instances.get(operation.target) if operation is not None else None
        if row is not None:
            self.swarmd.go(Place("instance", row.id, row.ref))
        elif operation is not None:
            self.notify(f"{operation.target_ref} is not there any more.", markup=False)
