"""Events, live and scrubbed back, as they look and as they are driven."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from swarmd.core.past import Moment
from swarmd.messages.enums import EventType, HealthStatus, InstanceStatus
from swarmd.messages.events import Event, PastRow
from tests.tui import scene
from tests.tui.driving import after, online, until
from tests.tui.fake import FakeDaemon
from tui.app import SwarmdApp
from tui.screens.details import Details
from tui.views.events import EventsView

WEB, DOCS, *_ = scene.a_class()
COURSE: tuple[tuple[EventType, Any, dict[str, Any]], ...] = (
    (EventType.OPERATION_STARTED, WEB, {
        "kind": "create", "state": "running", "status": "creating",
    }),
    (EventType.INSTANCE_CREATED, WEB, {"status": "created"}),
    (EventType.INSTANCE_STATUS_CHANGED, WEB, {"before": "created", "status": "running"}),
    (EventType.OPERATION_ENDED, WEB, {"kind": "create", "state": "succeeded", "status": "running"}),
    (EventType.INSTANCE_HEALTH_CHANGED, WEB, {"health": "healthy", "before": "unknown"}),
    (EventType.INSTANCE_HEALTH_CHANGED, WEB, {
        "health": "unhealthy", "before": "healthy", "why": "3 probes in a row were not answered",
    }),
    (EventType.INSTANCE_STATUS_CHANGED, DOCS, {"before": "running", "status": "stopped"}),
    (EventType.DAEMON_STATE_CHANGED, None, {"state": "degraded"}),
)  # fmt: skip
STEP_SECONDS = 60


def course(daemon: FakeDaemon) -> None:
    """Eight events, a minute apart; the last was a minute ago."""
    for number, (kind, about, data) in enumerate(COURSE):
        facts = {} if about is None else {"name": about.name, "provider": "local"}
        daemon.seq += 1
        daemon.events.append(
            Event(
                seq=daemon.seq,
                journal=daemon.journal,
                at=scene.NOW - timedelta(seconds=STEP_SECONDS * (len(COURSE) - number)),
                type=kind,
                target=about and about.id,
                ref=about and about.ref,
                owner=about and about.owner,
                data={**facts, **data},
            )
        )


@pytest.fixture
def daemon() -> FakeDaemon:
    """A journal that begins with a table of one instance at event 100."""
    daemon = FakeDaemon(instances=scene.a_class(), providers=(scene.provider("local"),))
    docs = PastRow(
        id=DOCS.id,
        owner=DOCS.owner,
        name=DOCS.name,
        provider="local",
        status=InstanceStatus.RUNNING,
        health=HealthStatus.HEALTHY,
    )
    daemon.past = Moment(100, scene.ago(3600), {docs.id: docs}, gap=False)
    course(daemon)
    return daemon


async def here(pilot: Any) -> EventsView:
    """In the view, everything read."""
    app = await online(pilot)
    await pilot.press("5")
    view = app.view
    assert isinstance(view, EventsView)
    await until(pilot, lambda: len(view.table.keys) >= len(COURSE), lambda: view.table.keys)
    return view


async def back(pilot: Any, text: str = "5m ago") -> EventsView:
    view = await here(pilot)
    await pilot.press("t")
    await pilot.press(*("space" if letter == " " else letter for letter in text), "enter")
    await until(pilot, lambda: view.reel is not None, lambda: view.reel)
    await pilot.pause()
    return view


def test_live(snap_compare: Any, app: SwarmdApp, size: tuple[int, int]) -> None:
    """The newest at the end, where the cursor is."""
    assert snap_compare(app, terminal_size=size, run_before=after(here))


def test_as_it_was(snap_compare: Any, app: SwarmdApp, size: tuple[int, int]) -> None:
    """The events around the moment, and the table as it was then."""
    assert snap_compare(app, terminal_size=size, run_before=after(back))


def statuses(view: EventsView) -> dict[str, str]:
    assert view.reel is not None
    return {row.name: f"{row.status} {row.health}" for row in view.reel.moment.rows.values()}


@pytest.mark.anyio
async def test_stepping_through_the_past(app: SwarmdApp, daemon: FakeDaemon) -> None:
    async with app.run_test() as pilot:
        view = await back(pilot)
        assert view.reel is not None
        assert view.reel.seq == 104
        assert statuses(view) == {"docs": "running healthy", "web": "running unknown"}
        await pilot.press("left", "left")
        assert statuses(view) == {"docs": "running healthy", "web": "created unknown"}
        await pilot.press("right", "right", "right")
        assert statuses(view)["web"] == "running healthy"
        await pilot.press("left", "left", "left", "left", "left")
        assert statuses(view) == {"docs": "running healthy"}
        assert view.reel.oldest
        await pilot.press("left")  # nothing older is kept: one stays
        assert view.reel.is_first
        await pilot.press("home")
        await until(pilot, lambda: view.reel is None, lambda: view.reel)
        assert view.table.key == str(daemon.seq)


@pytest.mark.anyio
async def test_it_follows_unless_one_has_scrolled_up(app: SwarmdApp, daemon: FakeDaemon) -> None:
    async with app.run_test() as pilot:
        view = await here(pilot)
        daemon.put(WEB, type=EventType.INSTANCE_UPDATED)
        await until(pilot, lambda: view.table.key == str(daemon.seq), lambda: view.table.key)
        await pilot.press("k")
        stays = view.table.key
        daemon.put(WEB, type=EventType.INSTANCE_UPDATED)
        await until(pilot, lambda: view.new == 1, lambda: view.new)
        assert view.table.key == stays
        await pilot.press("G")
        await until(pilot, lambda: view.new == 0, lambda: view.new)
        assert view.table.key == str(daemon.seq)


@pytest.mark.anyio
async def test_filters_and_one_event(app: SwarmdApp) -> None:
    async with app.run_test() as pilot:
        view = await here(pilot)
        await pilot.press("k", "i")
        assert view.table.filtered == "target:ana/docs"
        assert list(view.table.keys) == ["107"]
        await pilot.press("i", "y")
        assert view.table.filtered == "type:instance_status_changed"
        assert list(view.table.keys) == ["103", "107"]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Details), lambda: app.screen)
        await pilot.press("escape", "escape")
        assert view.table.filtered == ""


@pytest.mark.anyio
async def test_it_does_not_follow_where_the_wheel_has_led_away(
    app: SwarmdApp, daemon: FakeDaemon
) -> None:
    for _ in range(60):
        daemon.put(WEB, type=EventType.INSTANCE_UPDATED)
    async with app.run_test() as pilot:
        view = await here(pilot)
        await until(pilot, lambda: view.table.key == str(daemon.seq), lambda: view.table.key)
        last = view.table.scroll_offset.y
        assert last > 0
        view.table.scroll_to(y=0, animate=False, immediate=True)
        daemon.put(WEB, type=EventType.INSTANCE_UPDATED)
        await until(pilot, lambda: view.new == 1, lambda: view.new)
        assert view.table.scroll_offset.y == 0
        view.table.scroll_to(y=last, animate=False, immediate=True)
        daemon.put(WEB, type=EventType.INSTANCE_UPDATED)
        await until(pilot, lambda: view.table.key == str(daemon.seq), lambda: view.table.key)
        assert view.new == 0


@pytest.mark.anyio
async def test_what_could_not_be_read_back_is_read_once_the_connection_is_there(
    app: SwarmdApp, daemon: FakeDaemon
) -> None:
    async with app.run_test() as pilot:
        await online(pilot)
        daemon.die()
        await until(pilot, lambda: not app.snapshot.link.online, lambda: app.snapshot.link)
        await pilot.press("5")
        await until(pilot, lambda: isinstance(app.view, EventsView), lambda: app.view)
        assert isinstance(app.view, EventsView)
        view = app.view
        daemon.live()
        await pilot.press("ctrl+r")
        await until(
            pilot, lambda: len(view.table.keys) >= len(COURSE), lambda: list(view.table.keys)
        )
        assert view.table.key == str(daemon.seq), "it is followed"
