"""What was measured, as series that can be drawn: lines of a plot, or a sparkline. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from swarmd.core.telemetry.histogram import merged, quantile
from swarmd.messages.enums import HealthStatus, InstanceStatus
from swarmd.messages.telemetry import MetricsPoint, MetricsReport
from tui.model.text import BLANK, Line, titled
from tui.model.words import HEALTH_TONES, size, tone_of_status

Values = tuple[float | None, ...]
Spell = Callable[[float | None], str]

RANGES: Final = ("15m", "1h", "6h", "24h")
_SPARKS: Final = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart; None where nothing was measured.

    Args:
        name: What it is.
        tone: Its colour, by name.
        values: One for each point in time.
    """

    name: str
    tone: str
    values: Values


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture.

    Args:
        title: What it shows, with its unit.
        series: Its lines.
        times: When each point begins.
        spell: How a value is written.
    """

    title: str
    series: tuple[Series, ...]
    times: tuple[datetime, ...]
    spell: Spell


def charts(report: MetricsReport) -> tuple[Chart, ...]:
    """What is drawn of a report: instances, health, operations, the daemon itself."""
    points = report.points
    times = tuple(point.at for point in points)
    step = float(report.step)

    def chart(title: str, spell: Spell, *series: Series) -> Chart:
        return Chart(title, series, times, spell)

    statuses = {
        f"instances.status.{each}": (str(each), tone_of_status(each)) for each in InstanceStatus
    }
    healths = {f"health.{each}": (str(each), HEALTH_TONES[each]) for each in HealthStatus}
    return (
        chart("Instances by status", _count, *_named(points, statuses)),
        chart("Health", _count, *_named(points, healths)),
        chart("Operations that ended, a minute", _rate, *_ended(points)),
        chart("How long they took", _seconds, *_latency(points)),
        chart("Daemon: processor, %", _percent, Series("cpu", "busy", _busy(points, step))),
        chart(
            "Daemon: memory", size, Series("memory", "busy", _figure(points, "process.rss_bytes"))
        ),
    )


def _figure(points: Sequence[MetricsPoint], name: str) -> Values:
    found = (point.figures.get(name) for point in points)
    return tuple(None if each is None else each.mean for each in found)


def _named(points: Sequence[MetricsPoint], names: dict[str, tuple[str, str]]) -> Iterator[Series]:
    """Those that were not 0 all the time; the first if all were."""
    found = [Series(*names[name], _figure(points, name)) for name in names]
    seen = [each for each in found if any(each.values)]
    yield from seen or found[:1]


def _ended(points: Sequence[MetricsPoint]) -> Iterator[Series]:
    for name, tone in (("succeeded", "good"), ("failed", "bad"), ("cancelled", "warn")):
        values = tuple(
            # Three in the first three seconds of a daemon are no sixty a minute.
            sum(getattr(each, name) for each in point.operations.values())
            * 60
            / max(point.seconds, 60.0)
            if point.samples and point.seconds
            else None
            for point in points
        )
        if name == "succeeded" or any(values):
            yield Series(name, tone, values)


def _latency(points: Sequence[MetricsPoint]) -> Iterator[Series]:
    together = [merged([each.latency for each in point.operations.values()]) for point in points]
    for share, tone in ((0.5, "good"), (0.95, "warn")):
        yield Series(f"p{share * 100:.0f}", tone, tuple(quantile(each, share) for each in together))


def _busy(points: Sequence[MetricsPoint], step: float) -> Values:
    """Per cent of one core, from the processor time at the end of each point and the one before."""
    values: list[float | None] = []
    before: float | None = None
    for point in points:
        figure = point.figures.get("process.cpu_seconds")
        last = None if figure is None else figure.last
        # Less than before: the daemon was started anew.
        if before is None or last is None or last < before:
            values.append(None)
        else:
            values.append((last - before) / step * 100)
        before = last
    return tuple(values)


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}" if value == round(value) else f"{value:.1f}"


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g} s" if value < 10 else f"{value:.0f} s"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} %"


def sparkline(values: Values, width: int) -> str:
    """A line of blocks, the newest at the right; a space where nothing was measured.

    Args:
        values: Oldest first.
        width: Cells; of more values each cell shows the highest of its share.
    """
    if not values or width < 1:
        return ""
    cells = [_highest(some) for some in _shares(values, min(width, len(values)))]
    top = max((cell for cell in cells if cell is not None), default=0.0)
    return "".join(_spark(cell, top) for cell in cells)


def _shares(values: Values, count: int) -> Iterator[Values]:
    for number in range(count):
        yield values[number * len(values) // count : (number + 1) * len(values) // count]


def _highest(values: Values) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _spark(value: float | None, top: float) -> str:
    if value is None:
        return " "
    return _SPARKS[0] if top <= 0 else _SPARKS[round(max(0.0, value) / top * (len(_SPARKS) - 1))]


def sparks(drawn: Sequence[Chart], width: int) -> Iterator[Line]:
    """All charts as sparklines, each with its last, least and most.

    Args:
        drawn: The charts.
        width: Cells of a line.
    """
    room = max(10, width - 40)
    for number, chart in enumerate(drawn):
        if number:
            yield BLANK
        yield titled(chart.title)
        for series in chart.series:
            known = [value for value in series.values if value is not None]
            last, ends = chart.spell(known[-1] if known else None), "no sample"
            if known:
                ends = f"{chart.spell(min(known))} to {chart.spell(max(known))}"
            yield (
                (f"{series.name:<11}", series.tone),
                (f"{last:>8} ", ""),
                (sparkline(series.values, room).ljust(room), series.tone),
                (f" {ends}", "dim"),
            )


def segments(values: Values) -> Iterator[tuple[list[int], list[float]]]:
    """The stretches without a gap: the numbers of their points, and the values."""
    numbers: list[int] = []
    found: list[float] = []
    for number, value in enumerate((*values, None)):
        if value is not None:
            numbers.append(number)
            found.append(value)
        elif numbers:
            yield numbers, found
            numbers, found = [], []


def ticks(times: Sequence[datetime], most: int) -> tuple[list[float], list[str]]:
    """So many points at most, evenly, and what stands below them."""
    if not times:
        return [], []
    count = max(1, min(most, len(times)))
    chosen = sorted({round(at * (len(times) - 1) / max(1, count - 1)) for at in range(count)})
    return list(map(float, chosen)), [f"{times[at].astimezone():%H:%M}" for at in chosen]
