"""Metrics, as they look and as they are driven."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.core.telemetry.histogram import observe
from swarmd.errors import Unavailable
from swarmd.messages.enums import EventType, OperationKind
from swarmd.messages.requests import DaemonMetrics
from swarmd.messages.telemetry import (
    Figure,
    Histogram,
    MetricsPoint,
    MetricsReport,
    OperationMetrics,
)
from swarmd.messages.units import Duration
from tests.tui import scene
from tests.tui.driving import SIZES, after, online, press, until
from tests.tui.fake import FakeDaemon
from tui.app import SwarmdApp
from tui.model.measures import charts, segments, sparkline, sparks, ticks
from tui.model.text import plain
from tui.views.metrics import MetricsView
from tui.widgets.pane import Pane
from tui.widgets.plot import Plot

POINTS = 30
STEP_SECONDS = 120


def figure(value: float) -> Figure:
    return Figure(min=value, mean=value, max=value, last=value)


def point(number: int) -> MetricsPoint:
    """A wave; the eleventh and twelfth point have no sample."""
    at = scene.NOW - timedelta(seconds=STEP_SECONDS * (POINTS - number))
    if number in (10, 11):
        return MetricsPoint(at=at, samples=0)
    wave = math.sin(number / 4)
    latency = Histogram()
    for seconds in (0.4, 0.8, 1.5 + wave, 9.0 + 4 * wave):
        latency = observe(latency, seconds)
    return MetricsPoint(
        at=at,
        samples=2,
        seconds=STEP_SECONDS,
        figures={
            "instances.status.running": figure(round(20 + 8 * wave)),
            "instances.status.stopped": figure(round(10 - 8 * wave)),
            "instances.status.error": figure(1 if number > 20 else 0),
            "health.healthy": figure(round(18 + 8 * wave)),
            "health.unhealthy": figure(2 if number > 20 else 0),
            "process.cpu_seconds": figure(number * (3 + wave)),
            "process.rss_bytes": figure((40 << 20) + number * 100_000),
        },
        operations={
            OperationKind.START: OperationMetrics(
                succeeded=round(6 + 4 * wave), failed=1 if number > 20 else 0, latency=latency
            )
        },
    )


def report(request: Any = None) -> MetricsReport:
    return MetricsReport(
        since=scene.ago(STEP_SECONDS * POINTS),
        until=scene.NOW,
        step=Duration(STEP_SECONDS),
        interval=Duration(60),
        points=tuple(map(point, range(POINTS))),
    )


@pytest.fixture
def daemon() -> FakeDaemon:
    daemon = FakeDaemon(scene.a_class(), (scene.provider("local"),))
    daemon.answers[DaemonMetrics] = report
    return daemon


async def here(pilot: Any) -> MetricsView:
    app = await online(pilot)
    await pilot.press("7")
    view = app.view
    assert isinstance(view, MetricsView)
    await until(pilot, lambda: view.drawn, lambda: view.drawn)
    await pilot.pause()
    return view


def test_an_hour(snap_compare: Any, app: SwarmdApp, size: tuple[int, int]) -> None:
    """Sparklines where there is little room, else plots; a gap stays a gap."""
    assert snap_compare(app, terminal_size=size, run_before=after(here))


def test_what_one_wants_instead(snap_compare: Any, app: SwarmdApp, size: Any) -> None:
    """Plots where there is little room, sparklines where there is much."""

    async def plotted(pilot: Any) -> None:
        view = pilot.app.view
        plots = size == SIZES[0]
        await until(pilot, lambda: view.has_class("-plots") is plots, lambda: view.classes)
        if not plots:
            return
        await until(pilot, lambda: len(view.query(Plot)) == 6, lambda: view.query(Plot))
        await until(
            pilot,
            lambda: all(plot.size.width and plot.shown for plot in view.query(Plot)),
            lambda: [plot.size for plot in view.query(Plot)],
        )

    steps = after(here, press("p"), plotted)
    assert snap_compare(app, terminal_size=size, run_before=steps)


@pytest.mark.anyio
async def test_ranges_and_new_samples(app: SwarmdApp, daemon: FakeDaemon) -> None:
    def asked() -> list[str]:
        return [each.since for each in daemon.requests(DaemonMetrics)]

    async with app.run_test() as pilot:
        await here(pilot)
        await pilot.press("left")
        await until(pilot, lambda: asked()[-1:] == ["15m"], asked)
        await pilot.press("right", "right", "right")
        await until(pilot, lambda: asked()[-1:] == ["24h"], asked)
        before = len(asked())
        daemon.emit(type=EventType.METRICS_COLLECTED, data={})
        await until(pilot, lambda: len(asked()) > before, asked)


@pytest.mark.anyio
async def test_telemetry_that_is_off_says_what_switches_it_on(
    app: SwarmdApp, daemon: FakeDaemon
) -> None:
    step = "Set telemetry.enabled = true in the configuration, then restart swarmd."
    daemon.answers[DaemonMetrics] = lambda _: Unavailable("nothing is measured", next_step=step)
    async with app.run_test(size=(120, 30)) as pilot:
        view = await here(pilot)
        assert step in view.query_one(Pane).text


def test_the_charts() -> None:
    drawn = {chart.title: chart for chart in charts(report())}
    by_name = {each.name: each.values for each in drawn["Instances by status"].series}
    assert list(by_name) == ["running", "stopped", "error"]
    assert by_name["running"][10:12] == (None, None)
    (cpu,) = drawn["Daemon: processor, %"].series
    assert cpu.values[0] is None  # there is nothing before it
    p50, p95 = drawn["How long they took"].series
    assert p50.values[0] is not None
    assert p95.values[0] is not None
    assert p50.values[0] < p95.values[0]
    ended = drawn["Operations that ended, a minute"].series
    assert [each.name for each in ended] == ["succeeded", "failed"]
    assert ended[0].values[0] == 3.0
    short = replace(point(0), seconds=3.0)  # the first sample of a daemon
    begun = {each.title: each for each in charts(replace(report(), points=(short,)))}
    assert begun["Operations that ended, a minute"].series[0].values == (6.0,)
    assert "no sample" not in "\n".join(map(plain, sparks(tuple(drawn.values()), 80)))


@pytest.mark.parametrize(
    ("values", "width", "drawn"),
    [
        ((), 10, ""),
        ((0.0, 0.0), 10, "▁▁"),
        ((0.0, 7.0), 10, "▁█"),
        ((None, 1.0, None), 10, " █ "),
        ((1.0, 2.0, 3.0, 8.0), 2, "▃█"),
        ((None, None), 10, "  "),
    ],
)
def test_sparklines(values: Any, width: int, drawn: str) -> None:
    assert sparkline(values, width) == drawn


def test_stretches_and_ticks() -> None:
    assert list(segments((None, 1.0, 2.0, None, 3.0))) == [([1, 2], [1.0, 2.0]), ([4], [3.0])]
    times = [scene.ago(60 * (10 - number)) for number in range(11)]
    assert ticks(times, 3) == ([0.0, 5.0, 10.0], ["11:50", "11:55", "12:00"])
    assert ticks([], 3) == ([], [])
