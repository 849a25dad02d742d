"""The daemon itself, as it looks and as it is driven."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.core.doctor import Disk, Facts, examine
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
from tests.tui.driving import after, online, press, until
from tests.tui.fake import FakeDaemon
from tui.app import SwarmdApp
from tui.model.inside import about, disks_of
from tui.model.snapshot import Link, LinkState
from tui.model.text import plain
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
        Finding(
            level="warning",
            subject="disk of state",
            message="0.2 GiB of 20.0 GiB free (/var/lib/swarmd)",
            next_step="Free some: swarmctl ls --trash shows what swarmctl rm --force removes.",
        ),
        Finding(level="ok", subject="provider local", message="works"),
        Finding(
            level="ok",
            subject="disk of data",
            message="310.5 GiB of 500.0 GiB free (/srv/swarmd/data)",
        ),
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
    await until(pilot, lambda: "/srv/swarmd/data" in view.pane.text, lambda: view.pane.text)
    return view


def test_the_disks_are_those_that_the_doctor_looks_at() -> None:
    """By the doctor's own words for them."""
    looked = (
        Disk("state", "/var/lib/swarmd", 9 << 30, 20 << 30),
        Disk("data", "/srv/data", -1, 0, "No such file or directory"),
    )
    facts = Facts(
        providers=(scene.provider("local"),), actors=ACTORS.items, disks=looked,
        quarantined=(), strays=(), write_error=None, insecure=False,
    )  # fmt: skip
    online, status = Link(state=LinkState.ONLINE), scene.status(())
    disks = disks_of(examine(facts))
    lines = list(about(status, online, "/run/s.sock", disks, now=scene.NOW, width=78))
    shown = [
        (plain(each).split(maxsplit=1)[1], each[1][1]) for each in lines if "disk" in each[0][0]
    ]
    assert sorted(shown) == [
        ("data: /srv/data: No such file or directory", "bad"),
        ("state: 9.0 GiB of 20.0 GiB free (/var/lib/swarmd)", ""),
    ]


def test_degraded(snap_compare: Any, app: SwarmdApp, size: tuple[int, int]) -> None:
    """Why, and which actor."""
    assert snap_compare(app, terminal_size=size, run_before=after(here))


def test_the_doctor(snap_compare: Any, app: SwarmdApp, size: Any) -> None:
    """The worst first, with what to do."""
    assert snap_compare(app, terminal_size=size, run_before=after(here, press("f")))


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
