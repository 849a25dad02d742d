"""The daemon itself, as it looks and as it is driven."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.messages.enums import DaemonState
from swarmd.messages.replies import (
    ActorInfo,
    ActorList,
    DoctorReport,
    Done,
    Finding,
    ReloadReport,
)
from swarmd.messages.requests import (
    DaemonActors,
    DaemonDoctor,
    DaemonReload,
    DaemonShutdown,
    DaemonStatus,
)
from tests.tui import scene
from tests.tui.driving import SIZES, after, online, press, until
from tests.tui.fake import FakeDaemon
from tui.app import SwarmdApp
from tui.screens.confirm import Confirm
from tui.screens.details import Details
from tui.views.daemon import DaemonView
from tui.widgets.pane import Pane

ACTORS = ActorList(
    items=(
        ActorInfo(name="supervisor", state="running", mailbox=0, restarts=0, last_pong_seconds=0.4),
        ActorInfo(name="registry", state="running", mailbox=212, restarts=0, last_pong_seconds=0.5),
        ActorInfo(
            name="provider:box1",
            state="failed",
            mailbox=0,
            restarts=5,
            last_failure="ProviderUnreachable: no engine answers on /var/run/docker.sock",
        ),
    ),
    dead_letters=0,
)
REPORT = DoctorReport(
    findings=(
        Finding(level="problem", subject="disk of state", message="0.2 GiB free", next_step="Free"),
        Finding(level="ok", subject="provider local", message="works"),
    ),
    strays=(),
)


@pytest.fixture
def daemon() -> FakeDaemon:
    rows = scene.a_class()
    reasons = ("actor provider:box1 is failed",)
    status = scene.status(rows, state=DaemonState.DEGRADED, reasons=reasons)
    daemon = FakeDaemon(rows, (scene.provider("local"),), status=status)
    daemon.answers[DaemonActors] = lambda _: ACTORS
    daemon.answers[DaemonDoctor] = lambda _: REPORT
    return daemon


async def here(pilot: Any) -> DaemonView:
    app = await online(pilot)
    await pilot.press("8")
    view = app.view
    assert isinstance(view, DaemonView)
    await until(pilot, lambda: len(view.table.keys) == 3, lambda: view.table.keys)
    return view


@pytest.mark.parametrize("size", SIZES)
def test_degraded(snap_compare: Any, app: SwarmdApp, size: tuple[int, int]) -> None:
    """Why, and which actor."""
    assert snap_compare(app, terminal_size=size, run_before=after(here))


def test_the_doctor(snap_compare: Any, app: SwarmdApp) -> None:
    """The worst first, with what to do."""
    assert snap_compare(app, terminal_size=SIZES[0], run_before=after(here, press("f")))


@pytest.mark.anyio
async def test_reload_and_shutdown(app: SwarmdApp, daemon: FakeDaemon) -> None:
    daemon.answers[DaemonReload] = lambda _: ReloadReport(
        applied=("health.interval",), restart_required=("daemon.socket",)
    )
    daemon.answers[DaemonShutdown] = lambda _: Done()
    async with app.run_test() as pilot:
        await here(pilot)
        await pilot.press("L")
        await until(pilot, lambda: isinstance(app.screen, Details), lambda: app.screen)
        await pilot.pause()
        text = app.screen.query_one(Pane).text
        assert "health.interval" in text
        assert "daemon.socket" in text
        await pilot.press("escape", "X")
        await until(pilot, lambda: isinstance(app.screen, Confirm), lambda: app.screen)
        await pilot.press("n", "X")
        await until(pilot, lambda: isinstance(app.screen, Confirm), lambda: app.screen)
        assert daemon.requests(DaemonShutdown) == []
        await pilot.press("y")
        await until(pilot, lambda: daemon.requests(DaemonShutdown), lambda: daemon.asked)


@pytest.mark.anyio
async def test_its_figures_are_read_while_one_looks(app: SwarmdApp, daemon: FakeDaemon) -> None:
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("8")
        await until(pilot, lambda: isinstance(app.view, DaemonView), lambda: app.view)
        before = len(daemon.requests(DaemonStatus))
        daemon.status = scene.status(daemon.instances.values(), running=7)
        assert app.view is not None
        app.view.tick()
        pane = app.view.query_one(Pane)
        await until(pilot, lambda: "7 operations" in pane.text, lambda: pane.text)
        assert len(daemon.requests(DaemonStatus)) == before + 1
