"""Alerts, as they look and as they are driven."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.errors import Unavailable
from swarmd.messages.alert import Alert
from swarmd.messages.enums import AlertSeverity, AlertState, AlertType, EventType
from swarmd.messages.requests import AcknowledgeAlert, ListAlerts
from tests.tui import scene
from tests.tui.driving import after, online, press, until
from tests.tui.fake import FakeDaemon
from tests.tui.test_trouble import LOOP, WEB, snapshot
from tui.app import SwarmdApp
from tui.model import alarms
from tui.model.alarms import lasts, urgency
from tui.model.text import plain
from tui.model.trouble import Kind, troubles
from tui.views.alerts import AlertsView


def alert(number: int, kind: AlertType, **facts: Any) -> Alert:
    facts.setdefault("severity", AlertSeverity.WARNING)
    facts.setdefault("state", AlertState.ACTIVE)
    facts.setdefault("raised_at", scene.ago(600 * number))
    facts.setdefault("subject", "box1")
    facts.setdefault("message", f"something about {kind}")
    return Alert(id=f"01a{number:023d}", type=kind, **facts)


FULL = alert(
    1,
    AlertType.PROVIDER_UTILIZATION,
    message="provider box1 has 9 of 10 instances (90 %, more than 80 %)",
    details={"value": 0.9, "threshold": 0.8, "next_step": "Add a provider, or delete some."},
)
DOWN = alert(2, AlertType.PROVIDER_DOWN, severity=AlertSeverity.ERROR, target="box1")
DISK = alert(
    3, AlertType.DISK_FULL, severity=AlertSeverity.ERROR, subject="state",
    message="the disk of the state has 0.2 GiB left",
)  # fmt: skip
TAKEN = alert(
    4, AlertType.ERROR_RATE, subject="operations", state=AlertState.ACKNOWLEDGED,
    message="12 % of the operations of the last 10 minutes failed",
    acknowledged_at=scene.ago(60), acknowledged_by="ben", note="the registry is slow today",
)  # fmt: skip
OVER = alert(
    5, AlertType.OPERATION_LATENCY, subject="operations", state=AlertState.RESOLVED,
    resolved_at=scene.ago(1200),
)  # fmt: skip


@pytest.fixture
def daemon() -> FakeDaemon:
    daemon = FakeDaemon(scene.a_class(), (scene.provider("local"),))
    daemon.alerts = {each.id: each for each in (OVER, TAKEN, DISK, DOWN, FULL)}

    def acknowledge(request: AcknowledgeAlert) -> Alert:
        taken = replace(
            daemon.alerts[request.id],
            state=AlertState.ACKNOWLEDGED,
            acknowledged_by="ana",
            acknowledged_at=scene.NOW,
        )
        daemon.alerts[taken.id] = taken
        daemon.emit(type=EventType.ALERT, target=taken.id, data={"state": "acknowledged"})
        return taken

    daemon.answers[AcknowledgeAlert] = acknowledge
    return daemon


async def here(pilot: Any) -> AlertsView:
    app = await online(pilot)
    await pilot.press("6")
    view = app.view
    assert isinstance(view, AlertsView)
    await until(pilot, lambda: len(view.table.keys) == 5, lambda: view.table.keys)
    return view


def test_active_first(snap_compare: Any, app: SwarmdApp, size: tuple[int, int]) -> None:
    """Those that nobody has taken over, the worst first; all of one below."""
    steps = after(here, press("down", "down"))
    assert snap_compare(app, terminal_size=size, run_before=steps)


@pytest.mark.anyio
async def test_marked_ones_are_acknowledged(app: SwarmdApp, daemon: FakeDaemon) -> None:
    async with app.run_test() as pilot:
        view = await here(pilot)
        assert list(view.table.keys) == [each.id for each in (DOWN, DISK, FULL, TAKEN, OVER)]
        await pilot.press("space", "space", "a")
        await until(
            pilot, lambda: len(daemon.requests(AcknowledgeAlert)) == 2, lambda: daemon.asked
        )
        await until(pilot, lambda: view.table.keys[0] == FULL.id, lambda: list(view.table.keys))
        await pilot.press("escape", "G", "a")  # what is resolved is not acknowledged
        await pilot.pause()
        assert len(daemon.requests(AcknowledgeAlert)) == 2


@pytest.mark.anyio
async def test_alerting_that_is_off_says_what_switches_it_on(
    app: SwarmdApp, daemon: FakeDaemon
) -> None:
    step = "Set alerting.enabled = true in the configuration."
    daemon.answers[ListAlerts] = lambda _: Unavailable("nothing is judged", next_step=step)
    async with app.run_test() as pilot:
        await online(pilot)
        assert step in app.snapshot.alerts_off
        await pilot.press("6")
        assert isinstance(app.view, AlertsView)


def test_the_order() -> None:
    some = sorted((OVER, TAKEN, FULL, DISK, DOWN), key=urgency)
    assert some == [DOWN, DISK, FULL, TAKEN, OVER]
    assert (lasts(OVER, scene.NOW), lasts(FULL, scene.NOW)) == ("30m", "10m")


def test_home_names_what_nobody_has_taken_over() -> None:
    """What has a line of its own (a provider that is down, what is held) is not told twice."""
    alerts = {each.id: each for each in (OVER, TAKEN, DISK, DOWN, FULL)}
    found = troubles(snapshot(WEB, alerts=alerts), scene.NOW)
    assert [(each.kind, each.key) for each in found] == [
        (Kind.ALERT, f"alert:{FULL.id}"),
        (Kind.DISK, f"alert:{DISK.id}"),
    ]
    held = alert(6, AlertType.INSTANCE_HELD, target=LOOP.id)
    (line,) = troubles(snapshot(LOOP, alerts={held.id: held}), scene.NOW)
    assert line.kind is Kind.HELD
    assert found[0].todo == "Add a provider, or delete some."


@pytest.mark.parametrize(("past", "said"), [(True, "0 resolved lately"), (False, "acknowledged")])
def test_those_that_ended_are_counted_once_they_are_known(past: bool, said: str) -> None:
    assert plain(alarms.counts({}, past=past)).endswith(said)
