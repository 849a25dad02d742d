"""Going about faster than views come and go."""

from __future__ import annotations

import asyncio

import pytest

from swarmd.messages.enums import EventType
from swarmd.messages.requests import DaemonActors, DaemonMetrics
from tests.tui import detail, scene
from tests.tui.driving import online, until
from tests.tui.fake import FakeDaemon
from tests.tui.test_alerts import FULL
from tests.tui.test_daemon_view import ACTORS
from tests.tui.test_metrics import report
from tui.app import SwarmdApp
from tui.navigation import Place
from tui.views.instance import TABS
from tui.views.table_of_views import VIEWS
from tui.widgets.frame import TitleBar


@pytest.mark.anyio
async def test_no_view_is_left_half_made(app: SwarmdApp, daemon: FakeDaemon) -> None:
    """Each of these is cut off by the next, and events come meanwhile."""
    names = [view.name for view in VIEWS if view.key]
    async with app.run_test() as pilot:
        await online(pilot)
        for turn in range(1, 25):
            app.action_view(names[turn * 3 % len(names)])
            daemon.put(scene.a_class()[0], type=EventType.INSTANCE_UPDATED)
            for _ in range(turn % 5):
                await asyncio.sleep(0)
        await until(
            pilot,
            lambda: app.view is not None and app.view.ready and app.snapshot.seq == daemon.seq,
            lambda: (app.view, app.snapshot.seq, daemon.seq),
        )
        assert len(app.query("#body > View")) <= 2


@pytest.mark.parametrize("size", [(40, 10), (300, 60)])
@pytest.mark.anyio
async def test_every_view_stands_any_terminal(
    app: SwarmdApp, daemon: FakeDaemon, size: tuple[int, int]
) -> None:
    """Very narrow or very wide: each is drawn, and what goes wrong in one would be told."""
    detail.busy(daemon)
    daemon.alerts = {FULL.id: FULL}
    daemon.answers |= {DaemonMetrics: report, DaemonActors: lambda _: ACTORS}
    row = detail.WEB
    places = [Place(each.name, title=each.title) for each in VIEWS if each.key]
    places += [Place("provider", "local", "local"), Place("instance", row.id, row.ref)]
    async with app.run_test(size=size, notifications=True) as pilot:
        await online(pilot)
        daemon.put(row, type=EventType.INSTANCE_UPDATED)
        for place in places:
            app.go(place)
            await until(pilot, lambda: app.view and app.view.ready, lambda: app.path)
            assert app.view is not None
            for name in [name for name, _, _ in TABS] if place.view == "instance" else []:
                await app.view.run_action(f"tab('{name}')")
                await pilot.pause()
            app.view.tick()
            await pilot.pause()
            assert app.query_one(TitleBar).size.height == 1
        for key in ("c", "question_mark") if size[0] < 80 else ():
            await pilot.press(key, "escape")
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert [each.message for each in app._notifications if "cannot show" in each.message] == []


@pytest.mark.anyio
async def test_leaving_while_a_view_is_on_its_way_is_no_fault(app: SwarmdApp) -> None:
    for turns in range(8):
        leaving = SwarmdApp(app.link._connect, clock=scene.clock)
        async with leaving.run_test() as pilot:
            await online(pilot)
            leaving.action_view("instances")
            for _ in range(turns):
                await asyncio.sleep(0)
            leaving.exit()
