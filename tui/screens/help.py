"""Which keys there are here, and what each does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.commands import Command, help_on


class Help(ModalScreen[None]):
    """All that can be done where one is.

    Args:
        commands: What there is.
        here: What the view is called.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss", "Close", id="help.close"),
        Binding("down,j", "scroll(1)", show=False, id="help.down"),
        Binding("up,k", "scroll(-1)", show=False, id="help.up"),
    ]
    DEFAULT_CSS = """
    Help { align: center middle; background: $background 60%; }
    Help > VerticalScroll {
        width: 76; max-width: 96%; height: auto; max-height: 90%; padding: 1 2;
        border: round $primary; background: $surface;
        border-title-style: bold; border-subtitle-color: $dim;
    }
    Help Static { width: 1fr; height: auto; }
    """

    def __init__(self, commands: Iterable[Command], here: str) -> None:
        super().__init__()
        self._groups = help_on(commands, here)
        self._here = here

    def compose(self) -> ComposeResult:
        """A table per group."""
        with VerticalScroll() as box:
            box.border_title = f"Keys: {self._here}"
            box.border_subtitle = "escape closes · ctrl+p finds · : commands"
            for title, commands in self._groups:
                yield Static(_table(title, commands))

    def action_scroll(self, by: int) -> None:
        """So many lines down."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)


def _table(title: str, commands: Iterable[Command]) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, show_header=False,
        padding=(0, 2, 0, 0), expand=True,
    )  # fmt: skip
    table.add_column(width=14, no_wrap=True)
    table.add_column(ratio=1)
    for each in commands:
        what = each.what or each.title
        style = "" if each.enabled else "dim"
        table.add_row(Text(each.keys, style=f"bold {style}"), Text(what, style=style))
    table.add_row("", "")
    return table
