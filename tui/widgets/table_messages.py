"""What a table tells its view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.message import Message

if TYPE_CHECKING:
    from tui.widgets.table import Table


class _Told(Message):
    """Of a table, and one of its rows.

    Args:
        table: Which table.
        key: The row; None: there is none.
    """

    def __init__(self, table: Table[Any], key: str | None) -> None:
        super().__init__()
        self.table = table
        self.key = key

    @property
    def control(self) -> Table[Any]:
        """Which table."""
        return self.table


class Opened(_Told):
    """Enter, or a second click, on a row."""

    key: str

    def __init__(self, table: Table[Any], key: str) -> None:
        super().__init__(table, key)


class Moved(_Told):
    """The cursor stands on another row, or on none."""


class Asked(_Told):
    """A person filtered, sorted or marked: what it shows, or how, is different by that."""
