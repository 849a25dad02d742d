"""Everything of one thing, over the view that it was chosen in."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Footer, Label

from tui.navigation import Place
from tui.widgets.pane import Layout, Pane


class Details(ModalScreen[Place | None]):
    """Shows it; the answer is where one wants to go from there.

    Args:
        title: What it is.
        layout: Its lines.
        place: The instance that it is about, if it is about one.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss(None)", "Close", id="details.close"),
        Binding("i", "go", "Its instance", id="details.go"),
    ]
    DEFAULT_CSS = """
    Details { align: center middle; background: $background 60%; }
    Details > Vertical {
        width: 90%; max-width: 110; height: 80%; padding: 0 1;
        border: round $primary; background: $background;
    }
    Details Label { width: 1fr; text-style: bold; margin-bottom: 1; }
    """

    def __init__(self, title: str, layout: Layout, place: Place | None = None) -> None:
        super().__init__()
        self._title = title
        self._layout_of = layout
        self._place = place

    def compose(self) -> ComposeResult:
        """The title, the lines, the keys."""
        with Vertical():
            yield Label(self._title, markup=False)
            yield Pane()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Show it."""
        pane = self.query_one(Pane)
        pane.show(self._layout_of)
        pane.focus()

    def action_go(self) -> None:
        """To its instance."""
        self.dismiss(self._place)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what is about an instance leads to one."""
        allowed = super().check_action(action, parameters)
        return self._place is not None and allowed if action == "go" else allowed
