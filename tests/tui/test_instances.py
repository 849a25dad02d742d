"""The table of instances, as it looks and as it is driven."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from swarmd.messages.config import TuiConfig
from swarmd.messages.enums import EventType, HealthStatus, InstanceStatus
from swarmd.messages.requests import (
    DeleteInstance,
    RestartInstance,
    StartInstance,
    StatsInstance,
    StopInstance,
)
from tests.tui import scene
from tests.tui.driving import after, online, press, until
from tests.tui.fake import FakeDaemon
from tui.app import SwarmdApp
from tui.screens.confirm import Confirm
from tui.views.instances import InstancesView


def test_a_class_at_work(snap_compare: Any, app: SwarmdApp, size: tuple[int, int]) -> None:
    """Six instances, sorted by name; colours tell how each is."""
    assert snap_compare(app, terminal_size=size, run_before=after(press("2")))


def test_a_question_before_a_stop(snap_compare: Any, app: SwarmdApp, size: tuple[int, int]) -> None:
    """It names what will be lost, and No has the focus."""
    assert snap_compare(app, terminal_size=size, run_before=after(press("2", "down", "x")))


def view_of(app: SwarmdApp) -> InstancesView:
    assert isinstance(app.view, InstancesView)
    return app.view


@pytest.mark.anyio
async def test_an_event_changes_a_row(app: SwarmdApp, daemon: FakeDaemon) -> None:
    async with app.run_test() as pilot:
        await online(pilot)
        web = scene.instance("web", number=1, status=InstanceStatus.STOPPED)
        daemon.put(web, type=EventType.INSTANCE_STATUS_CHANGED)
        rows = app.snapshot.instances
        await until(
            pilot,
            lambda: app.snapshot.instances[web.id].status is InstanceStatus.STOPPED,
            lambda: app.snapshot.instances[web.id],
        )
        assert rows[web.id].status is InstanceStatus.RUNNING  # a snapshot never changes


@pytest.mark.anyio
async def test_the_cursor_stays_on_its_row(app: SwarmdApp, daemon: FakeDaemon) -> None:
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("2", "G")
        table = view_of(app).table
        here = table.key
        daemon.put(scene.instance("aaa", number=9), type=EventType.INSTANCE_CREATED)
        await until(pilot, lambda: len(table.keys) == 7, lambda: table.keys)
        assert table.key == here


@pytest.mark.anyio
async def test_marked_ones_are_stopped_after_one_question(
    app: SwarmdApp, daemon: FakeDaemon
) -> None:
    daemon.answers[StopInstance] = lambda request: daemon.instances[request.id]
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("2", "space", "space", "x")
        await until(pilot, lambda: isinstance(app.screen, Confirm), lambda: app.screen)
        await pilot.press("y")
        await until(pilot, lambda: len(daemon.requests(StopInstance)) == 2, lambda: daemon.asked)


@pytest.mark.anyio
async def test_the_answer_is_no_unless_one_says_yes(app: SwarmdApp, daemon: FakeDaemon) -> None:
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("2", "d")
        await until(pilot, lambda: isinstance(app.screen, Confirm), lambda: app.screen)
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, Confirm), lambda: app.screen)
        assert daemon.requests(DeleteInstance) == []


@pytest.mark.anyio
async def test_one_is_restarted_and_one_deleted(app: SwarmdApp, daemon: FakeDaemon) -> None:
    """Agent-7 is starting: something may run in it, so that it is asked as well."""
    daemon.answers[RestartInstance] = lambda request: daemon.instances[request.id]
    daemon.answers[DeleteInstance] = lambda request: daemon.instances[request.id]
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("2")
        for key, kind in (("r", RestartInstance), ("d", DeleteInstance)):
            await pilot.press(key)
            await until(pilot, lambda: isinstance(app.screen, Confirm), lambda: app.screen)
            assert daemon.requests(kind) == []
            await pilot.press("y")
            await until(pilot, partial(daemon.requests, kind), lambda: daemon.asked)
            assert [each.id for each in daemon.requests(kind)] == [scene.a_class()[5].id]


@pytest.mark.anyio
@pytest.mark.parametrize("lost", [False, True])
async def test_a_key_that_is_grey_says_why(daemon: FakeDaemon, lost: bool) -> None:
    app = SwarmdApp(daemon.client, TuiConfig(read_only=not lost), clock=scene.clock)
    async with app.run_test(notifications=True) as pilot:
        await online(pilot)
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.view, InstancesView), lambda: app.view)
        if lost:
            daemon.die()
            await until(pilot, lambda: not app.snapshot.link.online, lambda: app.snapshot.link)
        told = app._notifications
        for key in ("s", "x", "u"):
            app.clear_notifications()
            await pilot.press(key)
            await until(pilot, lambda: len(told) == 1, lambda: list(told))
            assert {each.message for each in told} == {app.refusal()}
            assert {each.severity for each in told} == {"warning"}
        app.clear_notifications()
        await pilot.press("j", "slash", "s")  # neither a key that holds nor a letter is refused
        await until(pilot, lambda: view_of(app).table.filtered == "s", lambda: app.focused)
        assert len(told) == 0
        assert not {StartInstance, StopInstance} & {type(each) for each in daemon.asked}


@pytest.mark.anyio
async def test_a_filter_finds_by_letters(app: SwarmdApp) -> None:
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("2", "slash", "c", "h", "w")
        table = view_of(app).table
        await until(pilot, lambda: table.filtered == "chw", lambda: table.filtered)
        assert [app.snapshot.instances[key].ref for key in table.keys] == ["cleo/homework"]
        await pilot.press("escape")
        assert len(table.keys) == 6


@pytest.mark.anyio
async def test_a_lost_connection_is_shown_and_mended(app: SwarmdApp, daemon: FakeDaemon) -> None:
    async with app.run_test() as pilot:
        await online(pilot)
        daemon.die()
        await until(pilot, lambda: not app.snapshot.link.online, lambda: app.snapshot.link)
        assert len(app.snapshot.instances) == 6
        daemon.live()
        ill = scene.instance("web", number=1, health=HealthStatus.UNHEALTHY)
        daemon.put(ill, type=EventType.INSTANCE_HEALTH_CHANGED)
        app.link.retry()
        await online(pilot)
        await until(
            pilot,
            lambda: app.snapshot.instances[ill.id].health is HealthStatus.UNHEALTHY,
            lambda: app.snapshot.instances[ill.id],
        )
        assert app.snapshot.seq == daemon.seq


@pytest.mark.anyio
async def test_the_settings_choose_the_columns(daemon: FakeDaemon) -> None:
    settings = TuiConfig(columns=("status", "name", "nmae"))
    app = SwarmdApp(daemon.client, settings, clock=scene.clock)
    async with app.run_test(notifications=True) as pilot:
        await online(pilot)
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.view, InstancesView), lambda: app.view)
        await until(pilot, lambda: view_of(app).table.keys, lambda: view_of(app).table.keys)
        shown = [column.name for column, _ in view_of(app).table._shown()]
        assert shown == ["status", "name"]
        told = [each.message for each in app._notifications]
        assert any("nmae" in each and "uptime" in each for each in told), told


@pytest.mark.anyio
async def test_columns_that_are_wider_than_the_terminal_are_scrolled_to(daemon: FakeDaemon) -> None:
    wanted = ("name", "owner", "provider", "status", "health", "cpu", "memory", "idle", "url")
    app = SwarmdApp(daemon.client, TuiConfig(columns=wanted), clock=scene.clock)
    async with app.run_test(size=(80, 24)) as pilot:
        await online(pilot)
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.view, InstancesView), lambda: app.view)
        table = view_of(app).table
        await until(pilot, lambda: table.max_scroll_x > 0, lambda: table.virtual_size)
        assert [column.name for column, _ in table._shown()] == list(wanted)
        await pilot.press("right", "right")
        await until(pilot, lambda: table.scroll_offset.x == 2, lambda: table.scroll_offset)


@pytest.mark.anyio
async def test_figures_are_sorted_by_and_asked_of_nobody_but_the_daemon(
    app: SwarmdApp, daemon: FakeDaemon
) -> None:
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.view, InstancesView), lambda: app.view)
        view = view_of(app)
        await until(
            pilot, lambda: view.figures.of(scene.a_class()[0].id).cores, lambda: daemon.asked
        )
        view.table.sort("cpu")
        names = [app.snapshot.instances[key].name for key in view.table.keys]
        assert names[:3] == ["homework", "docs", "web"]
        assert all(each.measured for each in daemon.requests(StatsInstance))


@pytest.mark.anyio
async def test_where_the_wheel_has_led_to_news_do_not_lead_away(daemon: FakeDaemon) -> None:
    for number in range(100):
        made = scene.instance(f"lab-{number:03}", number=100 + number)
        daemon.instances[made.id] = made
    app = SwarmdApp(daemon.client, clock=scene.clock)
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("2")
        table = view_of(app).table
        table.scroll_to(y=50, animate=False, immediate=True)
        here = table.key
        table.refigure()
        new = scene.instance("another", number=300)
        daemon.put(new, type=EventType.INSTANCE_CREATED)
        await until(pilot, lambda: new.id in table.keys, lambda: table.keys)
        assert (table.scroll_offset.y, table.key) == (50, here)
        await pilot.press("down")
        assert table.shows_cursor
