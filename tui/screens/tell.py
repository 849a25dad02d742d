"""A few lines that stay until one has read them, and can be copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Label, Static


class Tell(ModalScreen[None]):
    """See the module's docstring.

    Args:
        title: What it is about.
        lines: What is told: words and, in a line of its own each, what one copies.
        copied: What ``y`` copies.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "close", "Close", id="tell.close"),
        Binding("y", "copy", "Copy", id="tell.copy"),
    ]
    DEFAULT_CSS = """
    Tell { align: center middle; background: $background 60%; }
    Tell > Vertical {
        width: 78; max-width: 100%; height: auto; max-height: 100%;
        padding: 1 2; border: round $primary; background: $surface;
    }
    Tell #title { text-style: bold; margin-bottom: 1; }
    Tell Static { width: 1fr; height: auto; }
    Tell #keys { color: $dim; margin-top: 1; }
    """

    def __init__(self, title: str, lines: Sequence[str], copied: str) -> None:
        super().__init__()
        self._heading = title
        self._lines = lines
        self.copied = copied

    def compose(self) -> ComposeResult:
        """The lines."""
        with Vertical():
            yield Label(self._heading, id="title", markup=False)
            for text in self._lines:
                yield Static(text, markup=False)
            yield Label("y copies · esc closes", id="keys")

    def action_copy(self) -> None:
        """Into the terminal's clipboard."""
        self.app.copy_to_clipboard(self.copied)
        self.notify("Copied.", timeout=2)

    def action_close(self) -> None:
        """It was read."""
        self.dismiss(None)

    def on_click(self, event: events.Click) -> None:
        """Beside it: it was read."""
        if event.widget is self:
            self.dismiss(None)
