"""A log that grows: the latest lines, wrapped or not, standing still while it is paused."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Sequence
from typing import ClassVar, Final

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.message import Message

from tui.model.lines import Kept
from tui.model.text import Line, occurrences, pieces
from tui.widgets.pane import Pane

_ENDLESS: Final = sys.maxsize


class LogPane(Pane):
    """See the module's docstring.

    Args:
        kept: Holds the lines.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "Pause", id="log.pause", tooltip="Stand still; what comes is kept."),
        Binding("w", "wrap", "Wrap", id="log.wrap", tooltip="Break long lines, or scroll them."),
    ]

    def __init__(self, kept: Kept | None = None, *, id: str | None = None) -> None:
        super().__init__(end=True, id=id)
        self.kept = kept or Kept()
        self.wrap = True
        self.paused = False
        self._rows: list[tuple[int, int, int]] = []
        self._shown = 0
        self._widest = 0

    @property
    def waiting(self) -> int:
        """Lines that came since it was paused."""
        return len(self.kept.lines) - self._shown

    @property
    def text(self) -> str:
        """What is kept."""
        return "\n".join(self.kept.lines)

    def append(self, lines: Sequence[str]) -> None:
        """Keep these as well; they are seen unless it is paused."""
        if not lines:
            return
        at_end = not self.paused and self._follows
        gone = self.kept.add(lines)
        if gone:
            self._forget(gone)
        if not self.size.width:
            return  # laid out once it has a width
        if not self.paused:
            self._lay(self._shown)
            self._sized(at_end=at_end)
        elif gone:
            self._sized(at_end=False)

    def clear(self) -> None:
        """Forget everything."""
        self.kept = Kept()
        self._shown = 0
        self._rows.clear()
        self._sized(at_end=True)

    def _forget(self, gone: int) -> None:
        """The oldest lines are not there any more; what is seen stays where it is."""
        rows = bisect_right(self._rows, (gone, -1, -1))
        self._rows = [(line - gone, a, b) for line, a, b in self._rows[rows:]]
        self._shown = max(0, self._shown - gone)
        y = max(0, int(self.scroll_offset.y) - rows)
        if self._here is not None:
            self._here = self._here - rows if self._here >= rows else None
        self.scroll_to(y=y, animate=False, immediate=True, force=True)

    def _lay(self, start: int, end: int | None = None) -> None:
        """Break these lines into rows; all from the first one on, unless an end is named."""
        width, last = self.room, len(self.kept.lines) if end is None else end
        for at in range(start, last):
            text = self.kept.lines[at]
            if self.wrap:
                self._rows.extend((at, a, b) for a, b in pieces(width, text))
            else:
                self._rows.append((at, 0, len(text)))
                self._widest = max(self._widest, cell_len(text))
        self._shown = last

    def _arrange(self) -> None:
        if not self.size.width:
            return
        at_end = self._follows
        here = self._rows[int(self.scroll_offset.y)][0] if self._rows and not at_end else None
        shown = self._shown if self.paused else len(self.kept.lines)
        self._rows, self._widest = [], 0
        self._lay(0, shown)
        self._sized(at_end=at_end)
        if here is not None:
            y = bisect_right(self._rows, (here, -1, -1))
            self.scroll_to(y=y, animate=False, immediate=True, force=True)

    def _width(self) -> int:
        return 0 if self.wrap else self._widest

    def _height(self) -> int:
        return len(self._rows)

    def line_at(self, at: int) -> Line | None:
        """The row of this number."""
        if at >= len(self._rows):
            return None
        line, start, end = self._rows[at]
        return ((self.kept.lines[line][start:end], ""),)

    # --- searching: in whole lines, wherever they are broken -----------------------------------

    def _cuts(self, row: int, _text: str) -> list[tuple[int, int]]:
        line, start, end = self._rows[row]
        return [
            (max(a, start) - start, min(b, end) - start)
            for a, b in occurrences(self.kept.lines[line], self.sought)
            if a < end and b > start
        ]

    def _finds(self) -> list[int]:
        found: dict[int, None] = {}
        for at in range(self._shown):
            for begin, _ in occurrences(self.kept.lines[at], self.sought):
                found.setdefault(bisect_right(self._rows, (at, begin, _ENDLESS)) - 1)
        return list(found)

    def action_pause(self) -> None:
        """Stand still, or show what has come."""
        self.paused = not self.paused
        if not self.paused:
            self._lay(self._shown)
            self._sized(at_end=self._follows)
        self.post_message(self.Changed())

    def action_wrap(self) -> None:
        """Break long lines, or not."""
        self.wrap = not self.wrap
        self.scroll_to(x=0, animate=False, immediate=True)
        self._arrange()
        self.post_message(self.Changed())

    class Changed(Message):
        """It is paused, or goes on; it wraps, or not."""
