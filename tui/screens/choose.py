"""One of a few ways, each with what is lost by it. Unless one chooses, nothing is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

_NAMED = 8
_NONE = "none"


class Choose(ModalScreen[str | None]):
    """Ask once.

    Args:
        verb: What is about to be done: "Recover".
        names: To whom.
        ways: Name, title, and what is done and lost by it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "leave", "None of these", id="choose.leave"),
        Binding("j", "down", show=False, id="choose.down"),
        Binding("k", "up", show=False, id="choose.up"),
    ]
    DEFAULT_CSS = """
    Choose { align: center middle; background: $background 60%; }
    Choose > Vertical {
        width: 68; max-width: 95%; height: auto; padding: 1 2;
        border: round $warning; background: $surface;
    }
    Choose Label { width: 1fr; margin-bottom: 1; }
    Choose #verb { text-style: bold; }
    Choose OptionList { height: auto; padding: 0; background: $surface; }
    Choose OptionList, Choose OptionList:focus { border: none; }
    Choose #leave { color: $dim; margin: 1 0 0 0; }
    """

    def __init__(
        self, verb: str, names: Sequence[str], ways: Sequence[tuple[str, str, str]]
    ) -> None:
        super().__init__()
        self._verb = verb
        self._names = names
        self._ways = ways

    def compose(self) -> ComposeResult:
        """The question and the ways."""
        names, more = self._names[:_NAMED], len(self._names) - _NAMED
        text = ", ".join(names) + (f" and {more} more" if more > 0 else "")
        with Vertical():
            yield Label(f"{self._verb} {text}: how?", id="verb", markup=False)
            yield OptionList(
                Option(Content.assemble(("Leave it as it is", "bold")), id=_NONE),
                *(
                    Option(Content.assemble((title, "bold"), "\n", (what, "dim")), id=name)
                    for name, title, what in self._ways
                ),
            )
            yield Label("↵ does it · esc does nothing", id="leave")

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(None if event.option.id == _NONE else event.option.id)

    def action_leave(self) -> None:
        """Nothing is done."""
        self.dismiss(None)

    def action_down(self) -> None:
        """The next way."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """The way before."""
        self.query_one(OptionList).action_cursor_up()
