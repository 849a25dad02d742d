"""What is seen when there is nothing to see: no daemon, no rows, nothing that fits, no colours."""

from __future__ import annotations

import re
from typing import Any

import pytest
from textual.color import Color

from swarmd.errors import Unavailable
from swarmd.messages.config import TuiConfig
from swarmd.messages.replies import Version
from swarmd.messages.requests import DaemonMetrics, ListAlerts
from tests.tui import scene
from tests.tui.driving import SIZES, after, online, press, until
from tests.tui.fake import FakeDaemon
from tests.tui.test_shell import NOT_ALLOWED
from tui.app import SwarmdApp
from tui.widgets.frame import TitleBar

ALERTS_OFF = Unavailable(
    "alerting is off: nothing is judged", next_step="Set alerting.enabled = true, and reload."
)
METRICS_OFF = Unavailable(
    "telemetry is off: nothing is measured",
    next_step="Set telemetry.enabled = true in the configuration, then restart swarmd.",
)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again long after the picture was taken."""
    monkeypatch.setattr("tui.link._RETRY_BASE", 5.0)


@pytest.fixture
def nothing() -> SwarmdApp:
    """A daemon that has only just been started."""
    daemon = FakeDaemon(providers=(scene.provider("local", instances=0),))
    daemon.answers[DaemonMetrics] = lambda _: METRICS_OFF
    return SwarmdApp(daemon.client, clock=scene.clock)


async def failed(pilot: Any) -> None:
    """A step: until it was tried once, in vain."""
    link = pilot.app.link
    await until(pilot, lambda: link.snapshot.link.attempt == 1, lambda: link.snapshot.link)
    await pilot.pause()


def test_lost(snap_compare: Any, app: SwarmdApp, daemon: FakeDaemon, size: tuple[int, int]) -> None:
    """What one saw stays, and the line at the top says what it is worth."""

    async def dies(_: Any) -> None:
        daemon.die()

    steps = after(press("2"), dies, failed)
    assert snap_compare(app, terminal_size=size, run_before=steps)


def test_refused(snap_compare: Any, app: SwarmdApp, daemon: FakeDaemon, size: Any) -> None:
    """Who may not connect reads what to ask for."""
    daemon.die(NOT_ALLOWED)
    assert snap_compare(app, terminal_size=size, run_before=failed)


def test_another_version(snap_compare: Any, app: SwarmdApp, daemon: FakeDaemon, size: Any) -> None:
    """Which of the two is older, and what to do."""
    daemon.version = Version(version="9.0.0", protocol=9)
    assert snap_compare(app, terminal_size=size, run_before=failed)


def test_no_instance(snap_compare: Any, nothing: SwarmdApp, size: tuple[int, int]) -> None:
    """Which key makes the first."""
    assert snap_compare(nothing, terminal_size=size, run_before=after(press("2")))


@pytest.mark.parametrize(
    "keys",
    [("3", "enter"), ("4",), ("5",), ("6",), ("7",)],
    ids=["provider", "operations", "events", "alerts", "metrics-off"],
)
def test_nothing_yet(
    snap_compare: Any, nothing: SwarmdApp, keys: tuple[str, ...], size: Any
) -> None:
    """Why there is nothing, and what to do next."""
    steps = after(*(press(key) for key in keys))
    assert snap_compare(nothing, terminal_size=size, run_before=steps)


def test_alerting_is_off(snap_compare: Any, app: SwarmdApp, daemon: FakeDaemon, size: Any) -> None:
    """Nobody takes an empty list for a good one."""
    daemon.answers[ListAlerts] = lambda _: ALERTS_OFF
    assert snap_compare(app, terminal_size=size, run_before=after(press("6")))


def test_nothing_fits(snap_compare: Any, app: SwarmdApp, size: Any) -> None:
    """The filter is named, in the list and at the top, with the way out; marks are counted."""
    steps = after(press("2", "space"), press("slash", *"nowhere", "enter"))
    assert snap_compare(app, terminal_size=size, run_before=steps)


@pytest.mark.anyio
async def test_no_color(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wants no colours gets shades of grey, everywhere."""
    monkeypatch.setenv("NO_COLOR", "1")
    app = SwarmdApp(daemon.client, clock=scene.clock)
    async with app.run_test(size=SIZES[0]) as pilot:
        await online(pilot)
        await pilot.press("2")
        await pilot.pause()
        drawn = app.export_screenshot()
    found = re.findall(r"fill[:=]\s?\"?#([0-9a-f]{6})", drawn)
    window = {"ff5f57", "febc2e", "28c840"}  # the picture's own buttons
    coloured = {each for each in found if len({each[:2], each[2:4], each[4:]}) > 1} - window
    assert "1 unhealthy" in drawn.replace("&#160;", " ")
    assert coloured <= {"c5c8c6"}, "the picture's own letters"


@pytest.mark.anyio
async def test_another_theme_recolours_what_is_there(daemon: FakeDaemon) -> None:
    app = SwarmdApp(daemon.client, TuiConfig(theme="light"), clock=scene.clock)
    async with app.run_test() as pilot:
        await online(pilot)

        def seen() -> str:
            return str(getattr(app.query_one(TitleBar).render(), "spans", ""))

        def has(tone: str) -> bool:
            red, green, blue = Color.parse(app.theme_variables[tone]).rgb
            return f"Color({red}, {green}, {blue})" in seen()

        ill = app.theme_variables["text-error"]
        await until(pilot, lambda: has("text-error"), seen)
        app.theme = "contrast"
        await until(pilot, lambda: app.theme_variables["text-error"] != ill, seen)
        await until(pilot, lambda: has("text-error"), seen)
