"""What every view with a table does in the same way: filter, marks, and why there is no row."""

from __future__ import annotations

from typing import Any, ClassVar

from tui.model.nothing import narrowed, why_nothing
from tui.views.view import Left, View
from tui.widgets.table import Table


class TableView(View):
    """A view whose keys act on the rows of one table.

    It shows its snapshots in ``table`` and calls ``explain`` with them.
    """

    FILTERS: ClassVar[bool] = True
    WHAT: ClassVar[str] = ""
    """What a row is called."""

    CHANGES: ClassVar[frozenset[str]] = frozenset()
    """Its actions that change something: grey while nothing can be changed."""

    table: Table[Any]

    def none(self) -> str:
        """What to say if there is no row at all, and what to do about it."""
        return f"There is no {self.WHAT}."

    def explain(self) -> None:
        """Say why there is no row, for as long as there is none."""
        said = why_nothing(self.snapshot, self.WHAT, self.table.filtered, self.none())
        if said != self.table.empty:
            self.table.empty = said
            self.table.refresh()

    def filter(self, text: str) -> None:
        """By letters, as one remembers them."""
        self.table.filter(text)
        self.explain()

    @property
    def filtered(self) -> str:
        """The filter's text."""
        return self.table.filtered

    @property
    def narrowed(self) -> str:
        """The filter, and how many are marked."""
        return narrowed(self.table.filtered, self.table.marks, found=bool(self.table.keys))

    def escape(self) -> bool:
        """Marks first, then the filter."""
        if self.table.marked:
            return self.table.unmark()
        if self.table.filtered:
            self.filter("")
            return True
        return False

    def leave(self) -> Left | None:
        """Its order and its cursor. A filter and marks end: what is forgotten is not acted on."""
        return Left(*self.table.order, self.table.key)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What cannot be done now is grey in the footer."""
        if action in self.CHANGES and self.swarmd.refusal() is not None:
            return None
        return super().check_action(action, parameters)
