"""The keys of every table; those of vim among them."""

from __future__ import annotations

from typing import Final

from textual.binding import Binding, BindingType

TABLE_KEYS: Final[list[BindingType]] = [
    Binding("up,k", "move(-1)", "Up", show=False, id="table.up"),
    Binding("down,j", "move(1)", "Down", show=False, id="table.down"),
    Binding("left", "scroll_left", "Left", show=False, id="table.left"),
    Binding("right", "scroll_right", "Right", show=False, id="table.right"),
    Binding("home,g", "edge(-1)", "First", show=False, id="table.first"),
    Binding("end,G", "edge(1)", "Last", show=False, id="table.last"),
    Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id="table.page_up"),
    Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False, id="table.page_down"),
    Binding("ctrl+u", "half(-1)", "Half up", show=False, id="table.half_up"),
    Binding("ctrl+d", "half(1)", "Half down", show=False, id="table.half_down"),
    Binding("space", "mark", "Mark", show=False, id="table.mark"),
    Binding("enter", "open", "Open", show=False, id="table.open"),
    Binding("S", "sort", "Sort", show=False, id="table.sort"),
    Binding("R", "reverse", "Reverse", show=False, id="table.reverse"),
]
