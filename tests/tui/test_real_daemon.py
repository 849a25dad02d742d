"""The app on a real daemon: create, see it become healthy, read its log, all by keys."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmd.client.aio import AsyncClient
from swarmd.messages.enums import HealthStatus, InstanceStatus
from tests.daemon import DaemonProcess
from tests.tui.driving import online, until
from tui import link
from tui.app import SwarmdApp
from tui.model.snapshot import LinkState
from tui.screens.create import CreateForm
from tui.screens.run import Run
from tui.views.instance import InstanceView
from tui.widgets.logpane import LogPane
from tui.widgets.pane import Pane


@pytest.fixture
def real(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon of its own, whose instances are stand-ins that write a line for each request."""
    daemon = DaemonProcess(tmp_path, settings={"health": {"check_interval": "1s"}})
    try:
        yield daemon.start()
    finally:
        daemon.close()


@pytest.mark.anyio
async def test_an_instance_is_made_watched_and_asked(real: DaemonProcess) -> None:
    app = SwarmdApp(lambda: AsyncClient(str(real.socket)))
    async with app.run_test(size=(120, 40)) as pilot:
        await online(pilot)
        await pilot.press("2", "c")
        await until(pilot, lambda: isinstance(app.screen, CreateForm), lambda: app.screen)
        form = app.screen
        assert isinstance(form, CreateForm)
        await until(pilot, lambda: "local" in form.result.text, lambda: form.result.text)
        await pilot.press(*"chatty-web", "enter")
        await until(pilot, lambda: isinstance(app.view, InstanceView), real.last_words)
        view = app.view
        assert isinstance(view, InstanceView)
        await until(
            pilot,
            lambda: (
                (row := app.snapshot.instances.get(view.target)) is not None
                and row.status is InstanceStatus.RUNNING
                and row.health is HealthStatus.HEALTHY
            ),
            lambda: (app.snapshot.instances, real.last_words()),
        )

        overview = view.query_one("#overview", Pane)
        await until(pilot, lambda: "Nothing is wrong" in overview.text, lambda: overview.text)
        await pilot.press("H")
        health = view.query_one("#health", Pane)
        await until(pilot, lambda: "Answers took" in health.text, lambda: health.text)
        await pilot.press("L")
        log = view.query_one(LogPane)
        await until(pilot, lambda: "request 2" in log.text, lambda: log.text)
        await pilot.press("W")
        story = view.query_one("#story", Pane)
        await until(pilot, lambda: "create" in story.text, lambda: story.text)

        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, Run), lambda: app.screen)
        run = app.screen
        assert isinstance(run, Run)
        await until(pilot, lambda: run.query("Input"), lambda: run)
        await pilot.press(*"expr", "space", *"40", "space", "+", "space", "2", "enter")
        await until(pilot, lambda: "\n42" in run.pane.text, lambda: run.pane.text)
        await until(pilot, lambda: not run.running, lambda: run.running)


@pytest.mark.anyio
async def test_a_daemon_that_is_stopped_in_its_tracks_is_not_shown_as_online(
    real: DaemonProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "_PULSE_SECONDS", 0.1)
    monkeypatch.setattr(link, "_ANSWER_SECONDS", 2.0)
    app = SwarmdApp(lambda: AsyncClient(str(real.socket)))
    async with app.run_test(size=(120, 40)) as pilot:
        await online(pilot)
        real.signal(signal.SIGSTOP)
        try:
            await until(
                pilot,
                lambda: app.snapshot.link.state is LinkState.LOST,
                lambda: app.snapshot.link,
            )
            assert "has not answered" in app.snapshot.link.message
        finally:
            real.signal(signal.SIGCONT)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: app.snapshot.link.online, lambda: app.snapshot.link)


@pytest.mark.anyio
async def test_a_command_that_is_ended_here_ends_there(real: DaemonProcess) -> None:
    real.create("web")
    app = SwarmdApp(lambda: AsyncClient(str(real.socket)))

    def sleeping() -> list[str]:
        return [each.command for each in real.instance_processes() if "sleep" in each.command]

    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("2", "e")
        await until(pilot, lambda: isinstance(app.screen, Run), lambda: app.screen)
        run = app.screen
        assert isinstance(run, Run)
        await until(pilot, lambda: run.query("Input"), lambda: run)
        await pilot.press(*"sleep", "space", *"4321", "enter")
        await until(pilot, lambda: sleeping() == ["sleep 4321"], real.last_words)
        assert run.running
        await pilot.press("ctrl+c")
        await until(pilot, lambda: not sleeping(), sleeping)
        await until(pilot, lambda: not run.running, lambda: run.running)
        assert app.screen is run, "one can run another"
