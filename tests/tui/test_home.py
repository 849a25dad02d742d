"""The first view, as it looks and as it is driven."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.messages.enums import (
    DaemonState,
    HealthStatus,
    InstanceStatus,
    OperationKind,
)
from swarmd.messages.instance import Failure
from tests.tui import scene
from tests.tui.driving import after, online, press, until
from tests.tui.fake import FakeDaemon
from tui.app import SwarmdApp
from tui.navigation import Place
from tui.views.home import HomeView
from tui.widgets.table import Table

HELD = Failure(
    type="provider_error",
    message="cleo/homework is held: a crash loop: it ended, although it was tried 3 times",
    details={"held": True, "next_step": "Look at its log, then swarmctl start cleo/homework."},
)


def well() -> FakeDaemon:
    return FakeDaemon(
        instances=[scene.instance(name, number=at) for at, name in enumerate(("web", "docs"), 1)],
        providers=(scene.provider("local", instances=2),),
    )


def ill() -> FakeDaemon:
    """Everything that can be wrong at once, but for the daemon itself."""
    rows = (
        *scene.a_class()[:3],
        scene.instance(
            "homework",
            number=4,
            owner="cleo",
            provider="box1",
            status=InstanceStatus.ERROR,
            health=HealthStatus.UNHEALTHY,
            last_error=HELD,
        ),
        *(
            scene.instance(f"lab-{at}", number=10 + at, health=HealthStatus.UNHEALTHY)
            for at in range(7)
        ),
    )
    reasons = (
        "provider box1: no engine answers on /var/run/docker.sock: Connection refused",
        "the state cannot be written: No space left on device",
    )
    stuck = scene.operation(
        1, OperationKind.CREATE, rows[0], started_at=scene.ago(1200), step="pull"
    )
    return FakeDaemon(
        instances=rows,
        providers=(scene.provider("local"), scene.provider("box1", "docker", ok=False)),
        operations=(stuck,),
        status=scene.status(rows, state=DaemonState.DEGRADED, reasons=reasons),
    )


def app_of(daemon: FakeDaemon) -> SwarmdApp:
    return SwarmdApp(daemon.client, clock=scene.clock)


def test_all_is_well(snap_compare: Any, size: tuple[int, int]) -> None:
    """It says so, with counts."""
    assert snap_compare(app_of(well()), terminal_size=size, run_before=after())


def test_an_empty_daemon(snap_compare: Any, size: tuple[int, int]) -> None:
    """It says what to do next."""
    daemon = FakeDaemon(providers=(scene.provider("local", instances=0),))
    assert snap_compare(app_of(daemon), terminal_size=size, run_before=after())


def test_an_ill_one(snap_compare: Any, size: tuple[int, int]) -> None:
    """What is wrong stands in the order in which one should look."""
    assert snap_compare(app_of(ill()), terminal_size=size, run_before=after())


def test_no_daemon(
    snap_compare: Any, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how to start one, and tries again by itself."""
    for name in ("tui.link._RETRY_BASE", "tui.link._RETRY_CAP"):
        monkeypatch.setattr(name, 600.0)  # the picture is taken at the first attempt
    daemon = FakeDaemon()
    daemon.die()
    app = app_of(daemon)

    async def run(pilot: Any) -> None:
        await until(pilot, lambda: app.snapshot.link.message, lambda: app.snapshot.link)
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=run)


@pytest.mark.anyio
async def test_enter_goes_to_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    app = app_of(ill())
    went: list[Place] = []
    monkeypatch.setattr(app, "go", went.append)
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("enter", "j", "enter")
        await until(pilot, lambda: len(went) == 2, lambda: went)
        assert [place.view for place in went] == ["provider", "instance"]
        assert went[0].target == "box1"
        assert isinstance(app.view, HomeView)


@pytest.mark.anyio
async def test_enter_puts_the_cursor_on_what_is_wrong() -> None:
    """On the first that "and N more" stands for, sorted by health; on what does not end."""
    daemon = ill()
    app = app_of(daemon)
    (stuck,) = daemon.operations

    async def entered(name: str) -> Table[Any]:
        await pilot.press("enter")
        await until(pilot, lambda: app.path.here.view == name, lambda: app.path)
        await until(pilot, lambda: app.view and app.view.ready, lambda: app.view)
        assert app.view is not None
        return app.view.query_one(Table)

    async with app.run_test() as pilot:
        await online(pilot)
        home = app.view
        await pilot.press(*"jjjjj")
        table = await entered("instances")
        assert table.order == ("health", False)
        assert app.snapshot.instances[table.key or ""].name == "lab-3"
        await pilot.press("escape")
        await until(pilot, lambda: app.view is home, lambda: app.path)
        await pilot.press("j")
        assert (await entered("operations")).key == stuck


@pytest.mark.anyio
async def test_the_cursor_stays_on_what_it_was_on() -> None:
    daemon = ill()
    app = app_of(daemon)
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("j")
        view = app.view
        assert isinstance(view, HomeView)
        before = view.under_cursor
        assert before is not None
        assert before.startswith("instance:")
        daemon.providers["box1"] = scene.provider("box1", "docker")
        daemon.emit(type="provider_updated", target="box1", data={"ok": True})
        await until(
            pilot, lambda: app.snapshot.providers["box1"].health.ok, lambda: app.snapshot.providers
        )
        await pilot.pause()
        assert view.under_cursor == before
        await press("1")(pilot)
