"""Tables that fit the terminal: columns shrink, lines never wrap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import click
from msgspec import Struct

from swarmd.cli.text import dash

Row = Mapping[str, Any]
GAP = "  "
NARROWEST = 4

_COLOURS = {
    "green": "running healthy succeeded ready ok",
    "red": "error failed unhealthy problem active",
    "yellow": "degraded warning cancelled creating starting stopping updating migrating "
    "recovering deleting pending initializing shutting_down",
    "bright_black": "stopped deleted unknown note resolved",
}
COLOURS = {word: colour for colour, words in _COLOURS.items() for word in words.split()}


class Column(Struct, frozen=True):
    """One column: its title, its text of a row, and whether its words have colours.

    ``wide``: shown by ``-o wide`` alone. ``fixed``: never shortened.
    """

    title: str
    text: Callable[[Row], str]
    coloured: bool = False
    wide: bool = False
    fixed: bool = False


def column(title: str, key: str | None = None, **options: bool) -> Column:
    """A column that shows one field, the title's by default."""
    name = key or title.lower()
    return Column(title, lambda row: dash(row.get(name)), **options)


def render(
    columns: Sequence[Column],
    rows: Iterable[Row],
    *,
    width: int | None,
    wide: bool = False,
    colour: bool = False,
    header: bool = True,
) -> Iterator[str]:
    """The lines of a table.

    Args:
        columns: What to show.
        rows: Of what.
        width: Cells of the terminal; None: as wide as it gets.
        wide: Show every column, whole.
        colour: Colour the words of status columns.
        header: Begin with the titles.
    """
    shown = [one for one in columns if wide or not one.wide]
    cells = [[one.text(row) for one in shown] for row in rows]
    titles = [one.title for one in shown]
    widths = [max(map(cell_width, kept)) for kept in zip(titles, *cells, strict=True)]
    if width is not None and not wide:
        widths = shrink(widths, width, [one.fixed for one in shown])
    if header:
        yield _line(titles, widths, [False] * len(shown))
    for line in cells:
        yield _line(line, widths, [colour and one.coloured for one in shown])


def shrink(widths: Sequence[int], width: int, fixed: Sequence[bool]) -> list[int]:
    """Take from the widest columns until the line fits, or nothing can be taken any more."""
    now = list(widths)
    excess = sum(now) + len(GAP) * (len(now) - 1) - width
    for keep_fixed, least in ((True, NARROWEST), (False, NARROWEST), (False, 1)):
        while excess > 0:
            open_ones = [
                i for i, w in enumerate(now) if w > least and not (keep_fixed and fixed[i])
            ]
            if not open_ones:
                break
            now[max(open_ones, key=now.__getitem__)] -= 1
            excess -= 1
    return now


def cut(text: str, width: int) -> str:
    """Text of at most this many cells; what is cut off shows as an ellipsis."""
    if cell_width(text) <= width:
        return text
    kept, used = "", 0
    for character in text:
        used += cell_width(character)
        if used > width - 1:
            break
        kept += character
    return kept + "…"


def cell_width(text: str) -> int:
    """Cells that a terminal gives to this text."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def paint(text: str, word: str | None = None) -> str:
    """Text in the colour of a status word."""
    colour = COLOURS.get(word or text)
    return click.style(text, fg=colour) if colour else text


def _line(cells: Sequence[str], widths: Sequence[int], coloured: Sequence[bool]) -> str:
    parts = []
    for cell, width, colour in zip(cells, widths, coloured, strict=True):
        short = cut(cell, width)
        padding = " " * (width - cell_width(short))
        parts.append((paint(short, cell) if colour else short) + padding)
    return GAP.join(parts).rstrip()
