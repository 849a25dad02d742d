"""Text that one scrolls through and searches; by the line API: only what is seen is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.model.text import Line, occurrences, plain


def _over(strip: Strip, style: Style) -> Strip:
    """A strip in another style, whatever its own."""
    return Strip([Segment(each.text, (each.style or Style()) + style) for each in strip])


Layout = Callable[[int, int], Iterable[Line]]
"""Makes the lines for a width and a height."""


class Pane(ScrollView, can_focus=True):
    """Lines of text with tones.

    Args:
        end: Whether it is scrolled to its end when it is shown first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "Up", show=False, id="pane.up"),
        Binding("down,j", "scroll_down", "Down", show=False, id="pane.down"),
        Binding("left", "scroll_left", "Left", show=False, id="pane.left"),
        Binding("right", "scroll_right", "Right", show=False, id="pane.right"),
        Binding("home,g", "scroll_home", "First", show=False, id="pane.first"),
        Binding("end,G", "scroll_end", "Last", show=False, id="pane.last"),
        Binding("pageup,ctrl+b", "page_up", "Page up", show=False, id="pane.page_up"),
        Binding("pagedown,ctrl+f", "page_down", "Page down", show=False, id="pane.page_down"),
        Binding("ctrl+u", "half(-1)", "Half up", show=False, id="pane.half_up"),
        Binding("ctrl+d", "half(1)", "Half down", show=False, id="pane.half_down"),
        Binding("n", "found(1)", "Next", show=False, id="pane.next", tooltip="The next find."),
        Binding("N", "found(-1)", "Previous", show=False, id="pane.previous"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "pane--title", "pane--good", "pane--warn", "pane--bad", "pane--busy", "pane--dim",
        "pane--found", "pane--here",
    }  # fmt: skip
    DEFAULT_CSS = """
    Pane { height: 1fr; padding: 0 1; background: $background; scrollbar-size-vertical: 1; }
    Pane { scrollbar-size-horizontal: 1; scrollbar-gutter: stable; }
    Pane > .pane--title { text-style: bold; color: $text-primary; }
    Pane > .pane--good { color: $text-success; }
    Pane > .pane--warn { color: $text-warning; }
    Pane > .pane--bad { color: $text-error; text-style: bold; }
    Pane > .pane--busy { color: $text-primary; }
    Pane > .pane--dim { color: $dim; }
    Pane > .pane--found { background: $warning 40%; }
    Pane > .pane--here { background: $warning; color: $background; text-style: bold; }
    """

    def __init__(self, *, end: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._layout: Layout = lambda _width, _height: ()
        self._lines: list[Line] = []
        self._stick = end
        self._follows = end
        self.sought = ""
        self.found = True
        """Whether what is sought was there when it was sought."""
        self._here: int | None = None

    # --- what it shows -----------------------------------------------------------------------

    def show(self, layout: Layout) -> None:
        """Show these; where one has scrolled to stays, unless that was the end.

        Args:
            layout: Called again at every width.
        """
        self._layout = layout
        self._arrange()

    def tick(self) -> None:
        """Time has passed: where that makes other lines, they are drawn."""
        if self.size.width and self._lines != list(self._layout(self.room, self.size.height)):
            self._arrange()

    @property
    def text(self) -> str:
        """All of it, without tones."""
        return "\n".join(map(plain, self._lines))

    @property
    def room(self) -> int:
        """Cells of a line."""
        return max(20, self.scrollable_content_region.width)

    def _arrange(self) -> None:
        if not self.size.width:
            return
        self._lines = list(self._layout(self.room, self.size.height))
        self._sized(at_end=self._follows)

    def _sized(self, *, at_end: bool) -> None:
        self.virtual_size = Size(self._width(), self._height())
        if at_end:
            self.scroll_end(animate=False, immediate=True, force=True, x_axis=False)
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Whether one stands at the end, and goes on with it."""
        super().watch_scroll_y(old_value, new_value)
        # It may have been scrolled before there was a bar.
        self.vertical_scrollbar.position = new_value
        self._follows = self._stick and new_value >= self.max_scroll_y

    def _width(self) -> int:
        return max((cell_len(plain(line)) for line in self._lines), default=0)

    def _height(self) -> int:
        return len(self._lines)

    def line_at(self, at: int) -> Line | None:
        """The line of this number; None: there is none."""
        return self._lines[at] if at < len(self._lines) else None

    def on_resize(self, _event: events.Resize) -> None:
        """Another width."""
        self._arrange()

    # --- drawing -----------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """A line, from where it is scrolled to."""
        left, top = self.scroll_offset
        line = self.line_at(top + y)
        if line is None:
            return Strip.blank(self.size.width, self.rich_style)
        segments = [Segment(text, self._tone(tone)) for text, tone in line]
        strip = Strip(segments)
        if self.sought:
            strip = self._marked(strip, plain(line), top + y)
        return strip.crop_extend(left, left + self.size.width, self.rich_style)

    def _tone(self, tone: str) -> Style:
        if not tone:
            return self.rich_style
        return self.rich_style + self.get_component_rich_style(f"pane--{tone}", partial=True)

    def _marked(self, strip: Strip, text: str, row: int) -> Strip:
        """Every find in a row, in a colour of its own."""
        cuts = self._cuts(row, text)
        if not cuts:
            return strip
        style = self.get_component_rich_style("pane--here" if row == self._here else "pane--found")
        edges = [cell_len(text[:edge]) for cut in cuts for edge in cut]
        parts = strip.divide([*edges, strip.cell_length])
        return Strip.join([_over(p, style) if n % 2 else p for n, p in enumerate(parts)])

    def action_half(self, way: int) -> None:
        """Half a page up or down."""
        half = way * max(1, self.scrollable_content_region.height // 2)
        self.scroll_relative(y=half, animate=False, immediate=True)

    # --- searching ---------------------------------------------------------------------------

    def seek(self, text: str) -> bool:
        """Mark what contains this text, and go to the last find above the end of what is seen.

        Args:
            text: Capital letters do not count; empty: nothing is sought any more.

        Returns:
            Whether there is any.
        """
        self.sought, self.found, self._here = text, True, None
        self.refresh()
        if not text:
            return True
        bottom = int(self.scroll_offset.y) + self.size.height
        finds = self._finds()
        self.found = bool(finds)
        if not finds:
            return False
        self._go([at for at in finds if at < bottom][-1:] or finds[:1])
        return True

    def _cuts(self, _row: int, text: str) -> list[tuple[int, int]]:
        """Where in the text of a row it is found: begin and end of each."""
        return occurrences(text, self.sought)

    def _finds(self) -> list[int]:
        """The rows in which it is found, or in which that begins."""
        sought = self.sought.lower()
        return [
            at for at in range(self._height()) if sought in plain(self.line_at(at) or ()).lower()
        ]

    def _go(self, to: list[int]) -> None:
        (self._here,) = to
        top = int(self.scroll_offset.y)
        if not top <= self._here < top + self.size.height - 1:
            y = max(0, self._here - self.size.height // 2)
            self.scroll_to(y=y, animate=False, immediate=True, force=True)
        self.refresh()

    def action_found(self, way: int) -> None:
        """The next find, or the one before; round and round."""
        finds = self._finds() if self.sought else []
        if not finds:
            self.notify("Nothing found; / searches." if self.sought else "/ searches.", timeout=3)
            return
        here = self._here if self._here is not None else -1
        later = [at for at in finds if at > here] if way > 0 else [at for at in finds if at < here]
        ends = finds[:1] if way > 0 else finds[-1:]
        self._go((later[:1] if way > 0 else later[-1:]) or ends)
