"""Lines of text with tones, and how they are made to fit a width. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from rich.cells import cell_len

Piece = tuple[str, str]
"""Text, and the name of its tone: good, warn, bad, busy, dim, title, strong, or none."""

Line = tuple[Piece, ...]

_ESCAPES: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?"
    r"|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])"
)
_CONTROL: Final = dict.fromkeys((*range(32), 127, *range(128, 160)), "�")


def clean(text: str) -> str:
    """One line without what steers a terminal: colours, cursor movements, control characters.

    Tabs become spaces; of a line that was overwritten the last state is kept.
    """
    if text.isprintable():
        return text
    text = _ESCAPES.sub("", text).rstrip("\r").rpartition("\r")[2]
    return text.expandtabs(8).translate(_CONTROL)


def clean_lines(text: str) -> str:
    """The same of several lines."""
    return "\n".join(map(clean, text.split("\n")))


def line(text: str, tone: str = "") -> Line:
    """A line of one tone."""
    return ((clean(text), tone),)


def plain(of: Line) -> str:
    """The text of a line."""
    return "".join(text for text, _ in of)


def folded(text: str, width: int) -> Iterator[str]:
    """Text in lines of at most so many cells, broken between words where that is possible.

    Args:
        text: May have several lines; each begins anew.
        width: Cells; at least 1.
    """
    for whole in text.split("\n"):
        yield from _fold(clean(whole), max(1, width))


def _fold(text: str, width: int) -> Iterator[str]:
    while cell_len(text) > width:
        cut = _cells(text, width)
        if cut >= len(text):
            break  # one letter that is wider than the room
        if text[cut] != " " and (space := text.rfind(" ", 1, cut)) > 0:
            cut = space
        yield text[:cut].rstrip()
        text = text[cut:].lstrip()
    yield text


def _cells(text: str, width: int) -> int:
    """How many letters of a text, at least one, take so many cells."""
    count = min(len(text), width)
    while count > 1 and cell_len(text[:count]) > width:
        count -= 1
    return count


def pieces(width: int, text: str) -> Iterator[tuple[int, int]]:
    """Where a line of a log is broken: begin and end of each row, at so many cells.

    Nothing is left out: the rows together are the line.
    """
    if text.isascii():
        for start in range(0, max(1, len(text)), width):
            yield start, min(len(text), start + width)
        return
    start, taken = 0, 0
    for at, letter in enumerate(text):
        cells = cell_len(letter)
        if taken + cells > width and at > start:
            yield start, at
            start, taken = at, 0
        taken += cells
    yield start, len(text)


def occurrences(text: str, sought: str) -> list[tuple[int, int]]:
    """Begin and end of each place where this stands; capital letters do not count.

    Args:
        text: Where it is looked for.
        sought: What is looked for; empty: nothing.
    """
    low, what, found = text.lower(), sought.lower(), []
    at = low.find(what) if what else -1
    while at >= 0:
        found.append((at, at + len(what)))
        at = low.find(what, at + len(what))
    return found


def facts(pairs: Sequence[tuple[str, str, str]], width: int, label: int = 12) -> Iterator[Line]:
    """``label  text`` lines; what is too long goes on below itself.

    Args:
        pairs: Label, text, tone.
        width: Cells of a line.
        label: Cells of the labels.
    """
    for name, text, tone in pairs:
        for number, part in enumerate(folded(text, width - label)):
            yield ((name.ljust(label) if number == 0 else " " * label, "dim"), (part, tone))


def titled(title: str) -> Line:
    """A heading."""
    return ((title, "title"),)


BLANK: Final[Line] = (("", ""),)
