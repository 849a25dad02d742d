"""Asking for a moment of the past."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from tui.model.moments import WRITE, moment_of


class AskMoment(ModalScreen[datetime | None]):
    """One line to type in; what is no moment is told below it.

    Args:
        now: The time.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Leave", id="moment.leave"),
    ]
    DEFAULT_CSS = """
    AskMoment { align: center middle; background: $background 60%; }
    AskMoment > Vertical {
        width: 64; max-width: 90%; height: auto; padding: 1 2;
        border: round $primary; background: $surface;
    }
    AskMoment Label { width: 1fr; }
    AskMoment #title { text-style: bold; margin-bottom: 1; }
    AskMoment #hint { margin-top: 1; }
    AskMoment #hint.-wrong { color: $text-error; }
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__()
        self._now = now

    def compose(self) -> ComposeResult:
        """The question, the line, what can be written."""
        with Vertical():
            yield Label("How was it, and when?", id="title")
            yield Input(placeholder="10m ago", compact=True)
            yield Label(WRITE, id="hint", markup=False)

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            self.dismiss(moment_of(event.value or "10m", self._now()))
        except ValueError as error:
            hint = self.query_one("#hint", Label)
            hint.update(str(error))
            hint.add_class("-wrong")
