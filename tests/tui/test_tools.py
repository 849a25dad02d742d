"""What is done with instances beside starting and stopping, through to the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from textual.pilot import Pilot

from swarmd.errors import Conflict, InstanceNotFound, Unavailable
from swarmd.messages.config import TuiConfig
from swarmd.messages.enums import OperationKind, RecoveryAction
from swarmd.messages.replies import Credentials
from swarmd.messages.requests import (
    CancelOperation,
    CredentialsInstance,
    ExecInstance,
    GetInstance,
    KeepInstance,
    RecoverInstance,
    StartInstance,
)
from swarmd.messages.wire import Chunk
from tests.tui import detail, scene
from tests.tui.driving import after, online, until
from tests.tui.fake import FakeDaemon
from tui.app import SwarmdApp
from tui.screens.choose import Choose
from tui.screens.confirm import Confirm
from tui.screens.run import Run
from tui.screens.tell import Tell
from tui.screens.update import UpdateForm


@pytest.fixture
def daemon(daemon: FakeDaemon) -> FakeDaemon:
    """One that answers for single instances."""
    return detail.busy(daemon)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No desktop, no remote login."""
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "USER", "LOGNAME"):
        monkeypatch.delenv(name, raising=False)


def use(app: SwarmdApp, name: str, *instances: Any) -> None:
    """As the key of a view does."""
    app.use(name, [app.snapshot.instances[each.id] for each in instances])


def told(app: SwarmdApp) -> list[str]:
    """All that was notified."""
    return [f"{each.title}: {each.message}" for each in app._notifications]


def output(chunks: list[tuple[str, str]], code: int) -> list[Chunk]:
    """What a command writes, and how it ends."""
    made = [Chunk(stream="s1", seq=0, data=text, channel=where) for where, text in chunks]
    return [*made, Chunk(stream="s1", seq=9, end=True, exit_code=code)]


GIT = output(
    [("stdout", "On branch main\nChanges not staged for commit:\n"),
     ("stdout", "\tmodified:   \x1b[31mREADME.md\x1b[m\n"),
     ("stderr", "warning: LF will be replaced by CRLF\n")],
    3,
)  # fmt: skip


def test_a_command(snap_compare: Any, app: SwarmdApp, daemon: FakeDaemon, size: Any) -> None:
    """What it wrote, and its exit code."""
    daemon.streams[ExecInstance] = lambda _: GIT

    async def run(pilot: Pilot[Any]) -> None:
        use(app, "exec", detail.WEB)
        screen = await ran(pilot, "git status")
        await until(pilot, lambda: "CRLF" in screen.pane.text, lambda: screen.pane.text)
        await until(pilot, lambda: not screen.running, lambda: screen.running)

    assert snap_compare(app, terminal_size=size, run_before=after(run))


def test_a_choice_of_recoveries(snap_compare: Any, app: SwarmdApp, size: Any) -> None:
    """Each way says what is done and lost by it."""

    async def ask(pilot: Pilot[Any]) -> None:
        use(app, "recover", detail.WEB, detail.DOCS)
        await until(pilot, lambda: isinstance(app.screen, Choose), lambda: app.screen)

    assert snap_compare(app, terminal_size=size, run_before=after(ask))


@pytest.mark.anyio
async def test_a_lease_for_all_that_are_chosen(app: SwarmdApp, daemon: FakeDaemon) -> None:
    daemon.answers[KeepInstance] = lambda request: daemon.instances[request.id]
    async with app.run_test() as pilot:
        await online(pilot)
        use(app, "keep", detail.WEB, detail.DOCS)
        await until(pilot, lambda: isinstance(app.screen, Choose), lambda: app.screen)
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: len(daemon.requests(KeepInstance)) == 2, lambda: daemon.asked)
        assert {each.duration for each in daemon.requests(KeepInstance)} == {4 * 3600}


async def ran(pilot: Pilot[Any], command: str) -> Run:
    """The screen, in which this was entered."""
    await until(pilot, lambda: isinstance(pilot.app.screen, Run), lambda: pilot.app.screen)
    screen = pilot.app.screen
    assert isinstance(screen, Run)
    await until(pilot, lambda: screen.query("Input"), lambda: screen)
    await pilot.pause()
    await pilot.press(*("space" if letter == " " else letter for letter in command), "enter")
    return screen


@pytest.mark.anyio
async def test_a_command_is_ended_and_found_again(app: SwarmdApp, daemon: FakeDaemon) -> None:
    async def endless(_request: ExecInstance) -> AsyncIterator[Chunk]:
        yield Chunk(stream="s1", seq=0, data="begun\n", channel="stdout")
        await asyncio.Event().wait()

    daemon.streams[ExecInstance] = endless
    async with app.run_test() as pilot:
        await online(pilot)
        use(app, "exec", detail.WEB)
        screen = await ran(pilot, "sleep 'a b'")
        await until(pilot, lambda: "begun" in screen.pane.text, lambda: screen.pane.text)
        assert daemon.requests(ExecInstance)[0].command == ("sleep", "a b")
        await pilot.press("ctrl+c")
        await until(pilot, lambda: daemon.opened[-1].closed, lambda: daemon.opened)
        assert app.screen is screen
        await pilot.press("up")
        assert screen.query_one("Input").value == "sleep 'a b'"  # type: ignore[attr-defined]
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not screen, lambda: app.screen)
        assert app.commands == ["sleep 'a b'"]


@pytest.mark.anyio
async def test_recovery_asks_how_once_for_all(app: SwarmdApp, daemon: FakeDaemon) -> None:
    def recover(request: RecoverInstance) -> Any:
        if request.id == detail.DOCS.id:
            return Conflict("another wish won: stop by ana", next_step="Start it again.")
        return daemon.instances[request.id]

    daemon.answers[RecoverInstance] = recover
    async with app.run_test(notifications=True) as pilot:
        await online(pilot)
        use(app, "recover", detail.WEB, detail.DOCS)
        await until(pilot, lambda: isinstance(app.screen, Choose), lambda: app.screen)
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: len(app.screen_stack) == 1, lambda: app.screen_stack)
        assert daemon.requests(RecoverInstance) == []  # unless one chooses, nothing is done
        use(app, "recover", detail.WEB, detail.DOCS)
        await until(pilot, lambda: isinstance(app.screen, Choose), lambda: app.screen)
        await pilot.pause()
        await pilot.press("j", "j", "enter")
        await until(pilot, lambda: told(app), lambda: daemon.asked[-2:])
        assert {each.action for each in daemon.requests(RecoverInstance)} == {
            RecoveryAction.RECREATE
        }
        (text,) = told(app)
        assert "1 of 2 recovered, 1 not" in text
        assert "ana/docs: another wish won: stop by ana" in text


@pytest.mark.anyio
async def test_what_is_under_way_is_cancelled_for_all(app: SwarmdApp, daemon: FakeDaemon) -> None:
    for n, each in enumerate((detail.WEB, detail.DOCS)):
        operation = scene.operation(20 + n, OperationKind.RESTART, each)
        daemon.operations[operation.id] = operation
    daemon.answers[CancelOperation] = lambda request: daemon.operations[request.id]
    async with app.run_test(notifications=True) as pilot:
        await online(pilot)
        use(app, "cancel", detail.WEB, detail.DOCS)
        await until(pilot, lambda: isinstance(app.screen, Confirm), lambda: app.screen)
        await pilot.pause()
        await pilot.press("y")
        await until(pilot, lambda: told(app), lambda: daemon.asked[-2:])
        assert len(daemon.requests(CancelOperation)) == 2
        assert told(app) == [": 2 asked to end"]


@pytest.mark.anyio
async def test_url_and_password_are_copied(app: SwarmdApp, daemon: FakeDaemon) -> None:
    daemon.answers[CredentialsInstance] = lambda request: Credentials(
        id=request.id, url=detail.WEB.url, password="pw-secret"
    )
    async with app.run_test(notifications=True) as pilot:
        await online(pilot)
        use(app, "copy_url", detail.WEB)
        assert app.clipboard == detail.WEB.url
        use(app, "copy_password", detail.WEB)
        await until(pilot, lambda: app.clipboard == "pw-secret", lambda: app.clipboard)
        await until(pilot, lambda: len(told(app)) == 2, lambda: told(app))
        assert "pw-secret" not in str(told(app))
        use(app, "show_login", detail.WEB)
        await until(pilot, lambda: isinstance(app.screen, Tell), lambda: app.screen)


@pytest.mark.anyio
async def test_of_several_each_is_copied_after_its_name(app: SwarmdApp, daemon: FakeDaemon) -> None:
    def told_of(request: CredentialsInstance) -> Any:
        if request.id == detail.DOCS.id:
            return Conflict("it is being deleted")
        number = request.id[-1]
        return Credentials(
            id=request.id, url=None, password=f"pw-{number}" if number != "5" else None
        )

    daemon.answers[CredentialsInstance] = told_of
    web, docs, homework, _, lab, _ = scene.a_class()
    async with app.run_test(notifications=True) as pilot:
        await online(pilot)
        use(app, "copy_url", web, docs, homework)
        assert app.clipboard == f"ana/web {web.url}\nben/homework {homework.url}"
        await until(pilot, lambda: "ana/docs: no URL" in str(told(app)), lambda: told(app))
        use(app, "copy_password", web, docs, homework, lab)
        await until(pilot, lambda: "pw-1" in app.clipboard, lambda: app.clipboard)
        assert app.clipboard == "ana/web pw-1\nben/homework pw-3"
        use(app, "exec", web, homework)
        await until(pilot, lambda: "and 2 are marked" in str(told(app)), lambda: told(app))
        assert "ana/docs: it is being deleted" in str(told(app))
        assert "cleo/lab: no password" in str(told(app))
        assert "pw-" not in str(told(app))


@pytest.mark.anyio
async def test_who_could_not_be_read_is_named_and_the_others_are_changed(
    app: SwarmdApp, daemon: FakeDaemon
) -> None:
    read = daemon.answers[GetInstance]
    daemon.answers[GetInstance] = lambda request: (
        InstanceNotFound("there is no such instance") if request.id == detail.DOCS.id
        else read(request)
    )  # fmt: skip
    web, docs, homework, *_ = scene.a_class()
    async with app.run_test(notifications=True) as pilot:
        await online(pilot)
        use(app, "update", web, docs, homework)
        await until(pilot, lambda: isinstance(app.screen, UpdateForm), lambda: app.screen)
        assert isinstance(app.screen, UpdateForm)
        assert app.screen.heading == "Change 2 instances"
        gone = "ana/docs: there is no such instance"
        await until(pilot, lambda: gone in str(told(app)), lambda: told(app))


@pytest.mark.anyio
async def test_without_a_browser_here_it_is_told_how_to_reach_it(
    app: SwarmdApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with app.run_test() as pilot:
        await online(pilot)
        use(app, "open", detail.WEB)
        await until(pilot, lambda: isinstance(app.screen, Tell), lambda: app.screen)
        assert isinstance(app.screen, Tell)
        assert app.screen.copied == detail.WEB.url
        await pilot.pause()
        await pilot.press("escape")
        monkeypatch.setenv("SSH_CONNECTION", "10.0.0.9 50000 10.0.0.1 22")
        monkeypatch.setenv("USER", "ana")
        use(app, "open", detail.WEB)
        await until(pilot, lambda: isinstance(app.screen, Tell), lambda: app.screen)
        assert app.screen.copied == "ssh -N -L 21001:127.0.0.1:21001 ana@10.0.0.1"
        await pilot.pause()
        await pilot.press("y")
        assert app.clipboard == app.screen.copied


@pytest.mark.anyio
async def test_what_fails_says_why_and_read_only_refuses(
    daemon: FakeDaemon,
) -> None:
    daemon.answers[CredentialsInstance] = lambda _: Unavailable("not now", next_step="Later.")
    daemon.answers[StartInstance] = lambda _: Conflict("it is being deleted")
    app = SwarmdApp(daemon.client, TuiConfig(read_only=True), clock=scene.clock)
    async with app.run_test(notifications=True) as pilot:
        await online(pilot)
        for name in ("update", "exec", "recover", "cancel", "create"):
            use(app, name, detail.WEB)
        assert len(app.screen_stack) == 1
        use(app, "copy_password", detail.WEB)
        await until(pilot, lambda: "not now" in str(told(app)), lambda: told(app))
        assert "Later." in str(told(app))
