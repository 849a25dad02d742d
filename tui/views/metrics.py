"""Metrics: what was measured over time, as plots or as sparklines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid
from textual.widgets import Static

from swarmd.errors import SwarmError, Unavailable
from swarmd.messages.enums import EventType
from swarmd.messages.requests import DaemonMetrics
from swarmd.messages.telemetry import MetricsReport
from tui.model.measures import RANGES, charts, sparks
from tui.model.snapshot import Changed, Snapshot
from tui.model.text import Line, folded, line
from tui.model.words import span
from tui.navigation import Place
from tui.views.view import View
from tui.widgets.pane import Pane
from tui.widgets.rich_text import rich

_PLOTS_FROM = (100, 30)
"""Below this size of the view plots say less than sparklines do."""


class MetricsView(View, can_focus=True):
    """See the module's docstring."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,left_square_bracket", "range(-1)", "Shorter", key_display="←",
                priority=True, id="metrics.shorter", tooltip="A shorter time."),
        Binding("right,right_square_bracket", "range(1)", "Longer", key_display="→",
                priority=True, id="metrics.longer", tooltip="A longer time."),
        Binding("p", "plots", "Plots", id="metrics.plots", tooltip="Plots, or sparklines."),
    ]  # fmt: skip
    DEFAULT_CSS = """
    MetricsView #line { height: auto; padding: 0 1; }
    MetricsView Grid { grid-size: 2 3; grid-gutter: 0 1; display: none; }
    MetricsView.-plots Grid { display: block; layout: grid; height: 1fr; }
    MetricsView.-plots Pane { display: none; }
    """

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._range = RANGES.index("1h")
        self._report: MetricsReport | None = None
        self._problem: tuple[str, str] = ("", "")
        self._wished: bool | None = None
        self.pane = Pane()

    def compose(self) -> ComposeResult:
        """What is shown; sparklines; plots once there is room for them."""
        yield Static(id="line")
        yield self.pane
        yield Grid()

    def focus_first(self) -> None:
        """What can be scrolled; plots cannot."""
        (self if self.has_class("-plots") else self.pane).focus()

    def show(self, snapshot: Snapshot, changed: Changed) -> None:
        """Asked again when the daemon has taken a sample."""
        fresh = snapshot.events[-changed.events :] if changed.events else ()
        sampled = any(event.type is EventType.METRICS_COLLECTED for event in fresh)
        if (changed.everything or sampled) and snapshot.link.online:
            self._ask()
        if changed.everything:
            self._draw()

    @property
    def drawn(self) -> bool:
        """Whether the daemon has answered, however."""
        return self._report is not None or bool(self._problem[0])

    @work(exclusive=True, group="metrics", exit_on_error=False)
    async def _ask(self) -> None:
        try:
            found = await self.swarmd.link.ask(DaemonMetrics(since=RANGES[self._range]))
        except Unavailable as error:
            self._report, self._problem = None, (error.message, error.next_step or "")
        except SwarmError as error:
            # What is shown stays.
            self._problem = (error.message, error.next_step or "")
        else:
            self._report, self._problem = found, ("", "")
        await self._draw_plots()
        self._draw()

    def _draw(self) -> None:
        self.query_one("#line", Static).update(rich(self.app, self._head()))
        self.pane.show(self._lines)

    def _head(self) -> Iterable[Line]:
        pieces: list[tuple[str, str]] = []
        for number, name in enumerate(RANGES):
            here = number == self._range
            pieces.append((f"[{name}]" if here else f" {name} ", "title" if here else "dim"))
        report = self._report
        if report is not None:
            every = span(float(report.interval))
            pieces.append(
                (f"  one point is {span(float(report.step))}; measured every {every}", "dim")
            )
        yield tuple(pieces)
        if self._problem[0] and report is not None:
            yield line(self._problem[0], "warn")

    def _lines(self, width: int, _height: int) -> Iterable[Line]:
        if self._report is not None:
            yield from sparks(charts(self._report), width)
            return
        if not self._problem[0]:
            online = self.snapshot.link.online
            yield line("Asking the daemon." if online else "It is asked once it answers.", "dim")
            return
        yield line("")
        for text, tone in zip(self._problem, ("warn", ""), strict=True):
            for part in folded(text[:1].upper() + text[1:], width) if text else ():
                yield line(part, tone)

    # --- plots -------------------------------------------------------------------------------

    @property
    def _plots_fit(self) -> bool:
        wide, high = _PLOTS_FROM
        roomy = self.size.width >= wide and self.size.height >= high
        return roomy if self._wished is None else self._wished

    async def _draw_plots(self) -> None:
        report = self._report
        shown = report is not None and self._plots_fit
        had_focus = self.has_focus or self.pane.has_focus
        self.set_class(shown, "-plots")
        if had_focus:
            self.focus_first()
        if report is None or not shown:
            return
        from tui.widgets.plot import Plot  # plotext takes long to import: only who plots waits

        drawn = charts(report)
        grid = self.query_one(Grid)
        if not grid.children:
            await grid.mount_all([Plot() for _ in drawn])
        for plot, chart in zip(grid.query(Plot), drawn, strict=True):
            plot.show(chart)

    def on_resize(self, _event: events.Resize) -> None:
        """There may be room for plots now, or none any more."""
        self.run_worker(self._draw_plots(), exclusive=True, group="plots")

    def action_plots(self) -> None:
        """The other of the two."""
        self._wished = not self._plots_fit
        self.run_worker(self._draw_plots(), exclusive=True, group="plots")

    def action_range(self, by: int) -> None:
        """A shorter or a longer time."""
        to = max(0, min(len(RANGES) - 1, self._range + by))
        if to != self._range:
            self._range = to
            self._draw()
            self._ask()
