"""A chart drawn with plotext. Import it only where something is plotted: it loads slowly."""

from __future__ import annotations

from typing import Final

from textual_plotext import PlotextPlot

from tui.model.measures import Chart, segments, ticks

_COLOURS: Final = {
    "good": "green",
    "warn": "orange",
    "bad": "red",
    "busy": "blue",
    "dim": "gray",
}
_TICK_CELLS: Final = 14
_ROOMY_LINES: Final = 10


class Plot(PlotextPlot):
    """One chart."""

    DEFAULT_CSS = "Plot { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self._chart: Chart | None = None

    @property
    def shown(self) -> Chart | None:
        """What is drawn; None: nothing yet."""
        return self._chart

    def show(self, chart: Chart) -> None:
        """Draw this one."""
        self._chart = chart
        plt = self.plt
        plt.clear_data()
        plt.clear_figure()
        plt.title(chart.title)
        top = 0.0
        for series in chart.series:
            named = False
            for numbers, values in segments(series.values):
                top = max(top, *values)
                plt.plot(
                    numbers,
                    values,
                    color=_COLOURS.get(series.tone, "blue"),
                    marker="braille",
                    label=None if named or len(chart.series) == 1 else series.name,
                )
                named = True
        plt.xlim(0, max(1, len(chart.times) - 1))
        # The names of several lines stand above them, not over them.
        plt.ylim(0, top * (1.1 if len(chart.series) == 1 else 1.5) or 1)
        plt.xticks(*ticks(chart.times, max(2, self.size.width // _TICK_CELLS)))
        # Of marks that fall into one line plotext draws now this, now that.
        roomy = self.size.height >= _ROOMY_LINES
        marks = [0.0, top / 2, top] if top and roomy else [0.0, top] if top else [0.0]
        plt.yticks(marks, [chart.spell(mark) for mark in marks])
        self.refresh()

    def on_resize(self) -> None:
        """Other ticks fit."""
        if self._chart is not None:
            self.show(self._chart)
