"""A table for very many rows: it draws the lines that are seen, and nothing else.

Textual's own table measures every cell of every row when they are added; this one is told its
columns' widths, keeps rows by key, and leaves the cursor on its row whatever comes and goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar, Generic, TypeAlias, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.widgets import table_messages
from tui.widgets.arranged import Arranged
from tui.widgets.columns import Column, fit
from tui.widgets.table_keys import TABLE_KEYS

T = TypeVar("T")

MARK = "▌"


class Table(ScrollView, Generic[T], can_focus=True):
    """See the module's docstring.

    Args:
        columns: All that it can show.
        fits: Whether a row fits a filter's text.
        sort: The column that it is sorted by at first, by name.
        empty: What stands there while there is no row.
        marks: Whether rows can be marked: only where a key does something to those that are.
    """

    BINDINGS: ClassVar[list[BindingType]] = TABLE_KEYS
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--header", "table--cursor", "table--mark", "table--odd",
        "table--good", "table--warn", "table--bad", "table--busy", "table--dim",
    }  # fmt: skip

    cursor: reactive[int] = reactive(0, repaint=False)

    Opened: TypeAlias = table_messages.Opened
    Moved: TypeAlias = table_messages.Moved
    Asked: TypeAlias = table_messages.Asked

    def __init__(
        self,
        columns: Sequence[Column[T]],
        *,
        fits: Callable[[T, str], bool] | None = None,
        sort: str | None = None,
        empty: str = "Nothing here.",
        marks: bool = True,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._all = tuple(columns)
        self._rows = Arranged(fits, next((c for c in columns if c.name == sort), None))
        self._widths: tuple[tuple[Column[T], int], ...] = ()
        self._fitted = 0
        self._lines: dict[tuple[str, bool, bool, bool, int], tuple[T, Strip]] = {}
        self.empty = empty
        self._marks = marks
        self.marked: set[str] = set()

    def use(self, columns: Sequence[Column[T]]) -> None:
        """Show these columns, before it is shown itself."""
        self._all = tuple(columns)
        if self._rows.column is not None:
            name = self._rows.column.name
            self._rows.column = next((each for each in self._all if each.name == name), None)
        self._widths = ()

    # --- what it shows -----------------------------------------------------------------------

    @property
    def keys(self) -> Sequence[str]:
        """The rows that are shown, in their order."""
        return self._rows.keys

    @property
    def key(self) -> str | None:
        """The row that the cursor stands on."""
        return self.keys[self.cursor] if 0 <= self.cursor < len(self.keys) else None

    @property
    def chosen(self) -> tuple[str, ...]:
        """The marked rows; where none is, the one under the cursor."""
        marked = tuple(key for key in self.keys if key in self.marked)
        return marked or ((self.key,) if self.key is not None else ())

    @property
    def marks(self) -> tuple[int, int]:
        """How many marked rows are shown, and how many there are."""
        return sum(key in self.marked for key in self.keys) if self.marked else 0, len(self.marked)

    @property
    def order(self) -> tuple[str | None, bool]:
        """The column that it is sorted by, and whether downwards."""
        return (self._rows.column.name if self._rows.column else None), self._rows.down

    def show(self, rows: Mapping[str, T], changed: Iterable[str] | None = None) -> None:
        """Show these; the cursor stays on its row, or where it was if that is gone.

        Args:
            rows: By key.
            changed: Those that are not as they were; None: any of them.
        """
        before, self._rows.rows = self._rows.rows, rows
        if changed is None:
            self.refigure()
            return
        touched = [key for key in changed if rows.get(key) is not before.get(key)]
        if not touched:
            return
        if len(rows) == len(before) and all(self._rows.stays(key, before) for key in touched):
            for key in touched:
                self._redraw(key)
        else:
            self._arrange()

    def _redraw(self, key: str) -> None:
        if (at := self._rows.place(key)) is not None:
            self._refresh_row(at)

    def _arrange(self) -> None:
        """Filter and sort anew, and find the cursor's row again."""
        here, at, seen = self.key, self.cursor, self.shows_cursor
        self._rows.arrange()
        self.marked &= self._rows.rows.keys()
        found = self._rows.place(here) if here is not None else None
        # Where the wheel has led away from the cursor, news do not lead back.
        self._put_cursor(at if found is None else found, told=found is None, see=seen)
        self.virtual_size = Size(self._total(), len(self.keys) + 1)
        self.refresh()

    def filter(self, text: str) -> None:
        """Show only the rows that fit this text; empty: all."""
        if text != self._rows.filter:
            self._rows.filter = text
            self._arrange()
            self._told()

    @property
    def filtered(self) -> str:
        """The filter's text."""
        return self._rows.filter

    def sort(self, name: str, *, down: bool = False) -> None:
        """Sort by a column."""
        rows = self._rows
        rows.column = next((c for c in self._all if c.name == name), rows.column)
        rows.down = down
        self.refigure()
        self._told()

    @property
    def seen(self) -> Sequence[str]:
        """The rows that are on the screen."""
        top = int(self.scroll_offset.y)
        return self.keys[top : top + max(1, self.size.height)]

    def refigure(self) -> None:
        """What columns show beside the rows is different: sorted by it, so is their order."""
        self._lines.clear()
        self._arrange()

    def tick(self) -> None:
        """Time has passed: what is shown of it is drawn anew."""
        self._lines.clear()
        self.refresh()

    # --- drawing -----------------------------------------------------------------------------

    def _shown(self) -> tuple[tuple[Column[T], int], ...]:
        """The columns that there is room for, and their widths."""
        width = self.size.width
        # It may be asked before it has a place: what holds for no room is not kept.
        if not self._widths or width != self._fitted:
            self._fitted = width
            room = width - 2
            columns = [c for c in self._all if width >= c.least]
            spare = max(0, room - sum(c.width + 1 for c in columns))
            shares = sum(c.grow for c in columns)
            self._widths = tuple(
                (c, c.width + (spare * c.grow // shares if shares else 0)) for c in columns
            )
        return self._widths

    def _total(self) -> int:
        return 1 + sum(width + 1 for _, width in self._shown())

    def render_line(self, y: int) -> Strip:
        """The header, then the rows from where it is scrolled to."""
        left, top = self.scroll_offset
        width = self.size.width
        if y == 0:
            return self._header().crop_extend(left, left + width, self._style("table--header"))
        at = top + y - 1
        if at >= len(self.keys):
            text = f" {self.empty}" if not self.keys and y == 2 else ""
            return Strip([Segment(text, self._style("table--dim"))]).crop_extend(
                0, width, self.rich_style
            )
        return self._line(at, width).crop_extend(left, left + width, self._back(at))

    def _back(self, at: int) -> Style:
        if at == self.cursor and self.has_focus:
            return self._style("table--cursor")
        return self._style("table--odd") if at % 2 else self.rich_style

    def _header(self) -> Strip:
        style, cells = self._style("table--header"), [Segment(" ", None)]
        for column, width in self._shown():
            title = column.title
            if column is self._rows.column:
                title += "↓" if self._rows.down else "↑"
            cells.append(Segment(fit(title, width, right=column.right) + " "))
        return Strip(cells).apply_style(style)

    def _line(self, at: int, width: int) -> Strip:
        key = self.keys[at]
        row, marked = self._rows.rows[key], key in self.marked
        under = at == self.cursor and self.has_focus
        spot = (key, under, marked, bool(at % 2), width)
        kept = self._lines.get(spot)
        if kept is not None and kept[0] is row:
            return kept[1]
        strip = self._draw(row, self._back(at), marked=marked)
        if len(self._lines) > 2000:
            self._lines.clear()
        self._lines[spot] = row, strip
        return strip

    def _draw(self, row: T, back: Style, *, marked: bool) -> Strip:
        mark = Segment(MARK, back + self._style("table--mark")) if marked else Segment(" ", back)
        cells = [mark]
        for column, width in self._shown():
            cell = column.cell(row)
            text, tone = (cell, "") if isinstance(cell, str) else (cell.text, cell.tone)
            style = back + self._tone(tone) if tone else back
            cells.append(Segment(fit(text, width, right=column.right) + " ", style))
        return Strip(cells)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(name)

    def _tone(self, tone: str) -> Style:
        """A tone colours the letters; the line's own background stays."""
        return self.get_component_rich_style(f"table--{tone}", partial=True)

    def _refresh_row(self, at: int) -> None:
        y = at + 1 - self.scroll_offset.y
        if 1 <= y < self.size.height:
            self.refresh_line(at + 1)

    def notify_style_update(self) -> None:
        """Another theme: nothing that was drawn holds."""
        super().notify_style_update()
        self._lines.clear()

    def on_resize(self, _event: events.Resize) -> None:
        """Other widths."""
        self.virtual_size = Size(self._total(), len(self.keys) + 1)
        self.reveal()
        self.tick()

    def on_focus(self) -> None:
        """The cursor is seen."""
        self._refresh_row(self.cursor)

    def on_blur(self) -> None:
        """The cursor is not seen."""
        self._refresh_row(self.cursor)

    # --- the cursor --------------------------------------------------------------------------

    def _put_cursor(self, at: int, *, told: bool = True, see: bool = True) -> None:
        before = self.cursor
        self.cursor = max(0, min(at, len(self.keys) - 1))
        if before != self.cursor:
            self._refresh_row(before)
            self._refresh_row(self.cursor)
        if see:
            self.reveal()
        if told or before != self.cursor:
            self.post_message(self.Moved(self, self.key))

    @property
    def shows_cursor(self) -> bool:
        """Whether the cursor's row is on the screen, or will be once there is one."""
        top, page = int(self.scroll_offset.y), self.size.height - 1
        return page < 1 or top <= self.cursor < top + page

    def reveal(self) -> None:
        """Scroll so that the cursor's row is seen."""
        page, top = max(1, self.size.height - 1), int(self.scroll_offset.y)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif self.cursor >= top + page:
            self.scroll_to(y=self.cursor - page + 1, animate=False, immediate=True)

    def choose(self, key: str) -> None:
        """Put the cursor on this row, if it is shown."""
        if (at := self._rows.place(key)) is not None:
            self._put_cursor(at)

    def action_move(self, by: int) -> None:
        """So many rows down."""
        self._put_cursor(self.cursor + by)

    def action_edge(self, way: int) -> None:
        """To the first row, or the last."""
        self._put_cursor(0 if way < 0 else len(self.keys) - 1)

    def action_page(self, way: int) -> None:
        """A page up or down."""
        self._put_cursor(self.cursor + way * max(1, self.size.height - 2))

    def action_half(self, way: int) -> None:
        """Half a page up or down."""
        self._put_cursor(self.cursor + way * max(1, self.size.height // 2))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is no key for marks where nothing can be marked."""
        return self._marks if action == "mark" else super().check_action(action, parameters)

    def action_mark(self) -> None:
        """Mark the row or unmark it, and go on to the next."""
        if self.key is None:
            return
        self.marked ^= {self.key}
        self._refresh_row(self.cursor)
        self._put_cursor(self.cursor + 1)
        self._told()

    def _told(self) -> None:
        self.post_message(self.Asked(self, self.key))

    def unmark(self) -> bool:
        """Mark nothing; whether anything was marked."""
        had = bool(self.marked)
        self.marked.clear()
        self.refresh()
        self._told()
        return had

    def action_open(self) -> None:
        """Open the row."""
        if self.key is not None:
            self.post_message(self.Opened(self, self.key))

    def action_sort(self) -> None:
        """Sort by the next column that one can sort by."""
        columns = [column for column, _ in self._shown() if column.order is not None]
        if not columns:
            return
        here = columns.index(self._rows.column) if self._rows.column in columns else -1
        self.sort(columns[(here + 1) % len(columns)].name)

    def action_reverse(self) -> None:
        """Sort the other way round."""
        if self._rows.column is not None:
            self.sort(self._rows.column.name, down=not self._rows.down)

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor, or sorts; a second one on a row opens it."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y == 0:
            self._click_header(offset.x + int(self.scroll_offset.x))
            return
        at = int(self.scroll_offset.y) + offset.y - 1
        if at < len(self.keys):
            self._put_cursor(at)
            if event.chain == 2:
                self.action_open()

    def _click_header(self, x: int) -> None:
        left = 1
        for column, width in self._shown():
            if left <= x < left + width + 1 and column.order is not None:
                down = column is self._rows.column and not self._rows.down
                self.sort(column.name, down=down)
                return
            left += width + 1
