"""The rows of a table: which of them fit its filter, in which order, and where each stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from tui.widgets.columns import Column, sortable

T = TypeVar("T")


class Arranged(Generic[T]):
    """Rows by key, filtered and sorted. Changes take effect with ``arrange``.

    Args:
        fits: Whether a row fits a filter's text; None: there is no filter.
        column: What it is sorted by; None: in the order that they come.
    """

    def __init__(self, fits: Callable[[T, str], bool] | None, column: Column[T] | None) -> None:
        self._fits = fits
        self._place: dict[str, int] = {}
        self.rows: Mapping[str, T] = {}
        self.keys: list[str] = []
        self.column = column
        self.down = False
        self.filter = ""

    def place(self, key: str) -> int | None:
        """Where this row stands, if it is shown."""
        return self._place.get(key)

    def arrange(self) -> None:
        """Filter and sort anew."""
        keys = [key for key, row in self.rows.items() if self._passes(row)]
        if self.column is not None:
            rank, down = self._rank, self.down
            keys.sort(key=lambda key: sortable(rank(self.rows[key]), down=down), reverse=down)
        self.keys = keys
        self._place = {key: at for at, key in enumerate(keys)}

    def stays(self, key: str, before: Mapping[str, T]) -> bool:
        """Whether a row that changed stands where it stood among those before."""
        old, new = before.get(key), self.rows.get(key)
        if old is None or new is None:
            return old is new
        if key not in self._place:
            return not self._passes(new)
        return self._passes(new) and self._rank(old) == self._rank(new)

    def _passes(self, row: T) -> bool:
        return not self.filter or self._fits is None or self._fits(row, self.filter)

    def _rank(self, row: T) -> Any:
        column = self.column
        return column.order(row) if column is not None and column.order is not None else None
