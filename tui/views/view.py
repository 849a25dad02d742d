"""What every view is: a widget that is shown snapshots, and knows what its keys act on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.binding import Binding
from textual.message import Message
from textual.widget import Widget

from tui import tools
from tui.actions import ACTIONS
from tui.model.rows import Row
from tui.model.snapshot import EVERYTHING, Changed, Snapshot
from tui.navigation import Place
from tui.tools import TOOLS
from tui.widgets.table import Table

if TYPE_CHECKING:
    from tui.app import SwarmdApp


INSTANCE_KEYS = [
    *(
        Binding(
            each.keys,
            f"do('{each.name}')",
            each.title,
            id=f"instance.{each.name}",
            tooltip=each.what,
            show=each.shown,
        )
        for each in ACTIONS
    ),
    *(
        Binding(
            tool.keys,
            f"use('{tool.name}')",
            tool.title,
            show=tool.shown,
            id=f"instance.{tool.name}",
            tooltip=tool.what,
        )
        for tool in TOOLS
    ),
]
"""The keys of a view in which instances are chosen."""


@dataclass(frozen=True, slots=True)
class Left:
    """How a view's table was left: its order, and where the cursor stood."""

    sort: str | None
    down: bool
    row: str | None


class View(Widget):
    """One view, at one place.

    Args:
        place: Where it stands.
    """

    FILTERS: ClassVar[bool] = False
    """Whether ``/`` filters what it shows."""

    DEFAULT_CSS = "View { height: 1fr; width: 1fr; }"

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self.ready = False
        """Whether it has its parts: before that there is nothing to show a snapshot in."""
        self.found: Left | None = None
        """How its table was left when one was here last."""

    @property
    def swarmd(self) -> SwarmdApp:
        """The app that it belongs to."""
        return cast("SwarmdApp", self.app)

    @property
    def snapshot(self) -> Snapshot:
        """What is known now."""
        return self.swarmd.snapshot

    def now(self) -> datetime:
        """The time, UTC."""
        return self.swarmd.now()

    def on_mount(self) -> None:
        """Show what is known already."""
        self.ready = True
        self.show(self.snapshot, EVERYTHING)
        if self.place.sort or self.place.row:
            table: Table[Any] = self.query_one(Table)
            if self.place.sort:
                table.sort(self.place.sort)
            table.choose(self.place.row)
        elif self.found is not None:
            table = self.query_one(Table)
            if self.found.sort is not None:
                table.sort(self.found.sort, down=self.found.down)
            table.choose(self.found.row or "")

    def show(self, snapshot: Snapshot, changed: Changed) -> None:
        """Show a new snapshot.

        Args:
            snapshot: What is known now.
            changed: What is different since it was last shown one.
        """

    def leave(self) -> Left | None:
        """How its table stands, to be found so again; None: it has none to be kept."""
        return None

    def tick(self) -> None:
        """Some seconds have passed: how long ago things were is different."""

    def filter(self, text: str) -> None:
        """Show only what fits this text; empty: all."""

    @property
    def filtered(self) -> str:
        """The text of the filter that is on."""
        return ""

    @property
    def narrowed(self) -> str:
        """How what it shows is narrowed: the filter, how many are marked."""
        return ""

    class Narrowed(Message):
        """It is narrowed in another way."""

    def rows(self) -> Sequence[Row]:
        """The instances that its keys act on."""
        return ()

    def take_focus(self) -> None:
        """Have the keys, if it has its parts already; else it is asked again once it has."""
        if self.ready:
            self.focus_first()

    def focus_first(self) -> None:
        """Where the keys go when one comes here."""
        first = next((each for each in self.query("*") if each.focusable), None)
        if first is not None:
            first.focus()

    def action_do(self, name: str) -> None:
        """Do something to what is chosen here."""
        self.swarmd.do(name, self.rows())

    def action_use(self, name: str) -> None:
        """Do something else with what is chosen here."""
        self.swarmd.use(name, self.rows())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What cannot be done now is grey in the footer."""
        changes = action == "do" or (action == "use" and tools.BY_NAME[str(parameters[0])].changes)
        if changes and self.swarmd.refusal() is not None:
            return None
        return super().check_action(action, parameters)

    def escape(self) -> bool:
        """What the escape key ends here: marks, a filter. Whether there was anything."""
        return False
