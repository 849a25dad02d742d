"""One question before something is lost. The answer is no unless one says yes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Label

_NAMED = 8


class Confirm(ModalScreen[bool]):
    """Ask once.

    Args:
        verb: What is about to be done: "Delete".
        names: To whom.
        loses: What will be lost.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", id="confirm.yes"),
        Binding("n,escape", "answer(False)", "No", id="confirm.no"),
        Binding("left,right,h,l", "app.focus_next", show=False, id="confirm.other"),
    ]
    DEFAULT_CSS = """
    Confirm { align: center middle; background: $background 60%; }
    Confirm > Vertical {
        width: 64; max-width: 90%; height: auto; padding: 1 2;
        border: round $error; background: $surface;
    }
    Confirm Label { width: 1fr; margin-bottom: 1; }
    Confirm #verb { text-style: bold; }
    Confirm Horizontal { height: auto; align-horizontal: right; }
    Confirm Button { margin-left: 2; }
    """

    def __init__(self, verb: str, names: Sequence[str], loses: str) -> None:
        super().__init__()
        self._verb = verb
        self._names = names
        self._loses = loses

    def compose(self) -> ComposeResult:
        """The question, what is lost, and No before Yes."""
        names, more = self._names[:_NAMED], len(self._names) - _NAMED
        text = ", ".join(names) + (f" and {more} more" if more > 0 else "")
        with Vertical():
            yield Label(f"{self._verb} {text}?", id="verb", markup=False)
            yield Label(self._loses, markup=False)
            with Horizontal():
                yield Button("No", id="no", compact=True)
                yield Button(f"Yes, {self._verb.lower()}", id="yes", variant="error", compact=True)

    def on_mount(self) -> None:
        """The default is no."""
        self.query_one("#no").focus()

    def action_answer(self, answer: bool) -> None:
        """A key."""
        self.dismiss(answer)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")
