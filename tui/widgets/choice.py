"""One of a few words, chosen with the arrow keys or the space bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

Option = tuple[str, str]
"""The value, and what people read."""


class Choice(Widget, can_focus=True):
    """See the module's docstring.

    Args:
        options: At least one.
        value: The one that is chosen first; None: the first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l,space", "turn(1)", "Next", show=False, id="choice.next"),
        Binding("left,h", "turn(-1)", "Previous", show=False, id="choice.previous"),
    ]
    DEFAULT_CSS = """
    Choice { height: 1; width: 1fr; background: $surface; }
    Choice:focus { background: $primary 40%; text-style: bold; }
    """

    class Changed(Message):
        """Another one is chosen."""

    def __init__(
        self, options: Sequence[Option], value: str | None = None, *, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._options = tuple(options)
        self.value = self._options[0][0] if value is None else value

    @property
    def _at(self) -> int:
        return next((n for n, (value, _) in enumerate(self._options) if value == self.value), 0)

    def render(self) -> Text:
        """The word between the signs that say there are others."""
        text = self._options[self._at][1]
        return Text(f"◂ {text} ▸" if len(self._options) > 1 else text)

    def action_turn(self, way: int) -> None:
        """The next one, or the one before; round and round."""
        self.value = self._options[(self._at + way) % len(self._options)][0]
        self.refresh()
        self.post_message(self.Changed())

    def on_click(self, _event: events.Click) -> None:
        """The next one."""
        self.focus()
        self.action_turn(1)
