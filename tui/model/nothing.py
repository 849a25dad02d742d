"""Why a list is empty, and what to do about it; how it is narrowed. Pure."""

from __future__ import annotations

from typing import Final

from rich.cells import cell_len, set_cell_size

from tui.model.snapshot import Snapshot
from tui.model.text import clean

_FILTER: Final = 20
"""Cells of a filter's text in the title bar."""


def why_nothing(snapshot: Snapshot, what: str, filtered: str, otherwise: str) -> str:
    """What stands where there is no row.

    Args:
        snapshot: What is known.
        what: What one of them is called: "instance".
        filtered: The filter's text; empty: there is none.
        otherwise: What to say if there really is none, with what to do about that.
    """
    if snapshot.status is None and not snapshot.loaded:
        return "Nothing is known yet: the daemon has not answered."
    if filtered:
        return f"No {what} fits {clean(filtered)!r}. Escape ends the filter."
    if not snapshot.link.online:
        return "There was none when the connection was lost; see the line at the top."
    return otherwise


def narrowed(filtered: str, marks: tuple[int, int] = (0, 0), *, found: bool = True) -> str:
    """How a view is narrowed, for the title bar: ``/web · 2 of 3 marked``.

    Args:
        filtered: What is filtered by or searched for; empty: nothing.
        marks: How many marked rows are shown, and how many there are.
        found: Whether anything fits.
    """
    pieces = []
    if filtered:
        text = clean(filtered)
        short = text if cell_len(text) <= _FILTER else set_cell_size(text, _FILTER - 1) + "…"
        pieces.append(f"/{short}" if found else f"/{short}: nothing found")
    shown, marked = marks
    if marked:
        pieces.append(f"{marked} marked" if shown == marked else f"{shown} of {marked} marked")
    return " · ".join(pieces)
