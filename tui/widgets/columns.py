"""What stands in a table: columns, cells, and how text is made to fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rich.cells import cell_len, set_cell_size

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a cell: text, and the name of a component class for its colour."""

    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """One column.

    Args:
        name: What the settings call it.
        title: What stands above it.
        width: Cells that it has at least.
        cell: What it shows of a row.
        order: What rows are sorted by; None: it cannot be sorted by.
        right: Whether it is aligned to the right.
        grow: Its share of the width that is left over.
        least: Below this width of the table it is left out; 0: never.
    """

    name: str
    title: str
    width: int
    cell: Callable[[T], Cell | str]
    order: Callable[[T], Any] | None = None
    right: bool = False
    grow: int = 0
    least: int = 0


def fit(text: str, width: int, *, right: bool) -> str:
    """Exactly so many cells; what is cut ends with an ellipsis."""
    text = text.translate(_PLAIN)
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, max(0, width - 1)) + "…"
    pad = " " * (width - length)
    return pad + text if right else text + pad


_PLAIN = dict.fromkeys((*range(32), 127, *range(128, 160)), " ")
"""Control characters of a name or a message do nothing to the terminal."""


def sortable(value: Any, *, down: bool) -> tuple[bool, Any]:
    """A key to sort by, upwards or downwards: what is not known comes last either way."""
    return ((value is None) is not down, value if value is not None else 0)
