"""The first view: whether all is well and, if not, what first."""

from __future__ import annotations

from itertools import zip_longest
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tui.model.snapshot import Changed, Snapshot
from tui.model.summary import counts, next_steps, verdict
from tui.model.text import Line
from tui.model.trouble import Kind, Trouble, troubles
from tui.model.words import since
from tui.navigation import Place
from tui.views.view import INSTANCE_KEYS, View
from tui.widgets.rich_text import rich

_SETTLE_SECONDS = 0.4


class Troubles(OptionList):
    """What is wrong, each in two lines: what and since when; what to do."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "cursor_up", "Up", show=False, id="troubles.up"),
        Binding("j", "cursor_down", "Down", show=False, id="troubles.down"),
        Binding("g", "first", "First", show=False, id="troubles.first"),
        Binding("G", "last", "Last", show=False, id="troubles.last"),
        Binding("enter", "select", "Go there", id="troubles.open"),
    ]


class HomeView(View, can_focus=True):
    """See the module's docstring."""

    BINDINGS: ClassVar[list[BindingType]] = [
        each for each in INSTANCE_KEYS if each.id == "instance.create"
    ]
    DEFAULT_CSS = """
    HomeView { padding: 0 1; }
    HomeView #verdict { height: auto; padding-bottom: 1; }
    HomeView Troubles {
        height: auto; max-height: 70%; margin-bottom: 1; padding: 0;
        border: none; background: $background; scrollbar-size-vertical: 1;
        &:focus { border: none; background: $background; background-tint: $background 0%; }
        & > .option-list--option { padding: 0; }
        & > .option-list--option-highlighted { color: $foreground; background: $background; }
        &:focus > .option-list--option-highlighted {
            color: $foreground; background: $primary 40%; text-style: none;
        }
    }
    HomeView VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
    HomeView #counts { height: auto; }
    HomeView #next { height: auto; padding: 1 0; }
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._shown: tuple[Trouble, ...] = ()
        self._due = False

    def compose(self) -> ComposeResult:
        """The verdict, what is wrong, the counts, what to do next."""
        yield Static(id="verdict")
        yield Troubles(markup=False)
        with VerticalScroll(can_focus=False):
            yield Static(id="counts")
            yield Static(id="next")

    def show(self, snapshot: Snapshot, changed: Changed) -> None:  # noqa: ARG002
        """All of it, but not for each of many changes: it counts every instance."""
        if changed.everything or changed.link:
            self._draw(again=True)
        elif not self._due:
            self._due = True
            self.set_timer(_SETTLE_SECONDS, self._settle)

    def _settle(self) -> None:
        self._due = False
        self._draw(again=False)

    def tick(self) -> None:
        """How long ago things were is different; something may be stuck by now."""
        self._draw(again=True)

    def _draw(self, *, again: bool) -> None:
        found = troubles(self.snapshot, self.now())
        if again or found != self._shown:
            self._list(found)
        self._say("#verdict", verdict(found, self.snapshot))
        self._say("#counts", *counts(self.snapshot, self.now()))
        self._say("#next", next_steps(self.snapshot))

    def _say(self, where: str, *lines: Line) -> None:
        self.query_one(where, Static).update(rich(self.app, lines))

    def _list(self, found: tuple[Trouble, ...]) -> None:
        """The cursor stays on what it was on, wherever that is now."""
        options, here = self.query_one(Troubles), self.under_cursor
        had_focus = self.has_focus or options.has_focus
        self._shown = found
        options.clear_options()
        options.add_options(
            Option(self._words(each, following), id=each.key)
            for each, following in zip_longest(found, found[1:])
        )
        options.display = bool(found)
        if found:
            keys = [each.key for each in found]
            options.highlighted = keys.index(here) if here in keys else 0
        if had_focus:
            self.focus_first()

    @property
    def under_cursor(self) -> str | None:
        """The key of what the cursor stands on."""
        option = self.query_one(Troubles).highlighted_option
        return None if option is None else option.id

    def _words(self, trouble: Trouble, following: Trouble | None) -> Text:
        """In two lines; what is to be done about several is told with the last of them."""
        tone = "warn" if trouble.kind in (Kind.NOTE, Kind.STUCK) else "bad"
        mark = "! " if tone == "warn" else "✗ "
        ago = f"  since {since(trouble.since, self.now())}" if trouble.since else ""
        lines: list[Line] = [((mark, tone), (trouble.what, ""), (ago, "dim"))]
        again = following is not None and following.todo == trouble.todo
        if trouble.todo and not again:
            lines.append((("  → ", "dim"), (trouble.todo, "dim")))
        return rich(self.app, lines)

    def focus_first(self) -> None:
        """What is wrong; if nothing is, the view has the keys itself."""
        options = self.query_one(Troubles)
        if options.display or not self.has_focus:
            (options if options.display else self).focus()

    def on_focus(self) -> None:
        """Something may have gone wrong since the focus was asked for."""
        self.take_focus()

    @on(OptionList.OptionSelected)
    def _go(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        # The list may have been drawn anew since the key: the option itself tells what it is.
        places = {each.key: each.place for each in self._shown}
        if (place := places.get(event.option.id or "")) is not None:
            self.swarmd.go(place)
