"""The frame: palette, command line, help, settings, bad days."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.command import CommandPalette
from textual.geometry import Size
from textual.widgets import Static

from swarmd.errors import DaemonUnreachable, PermissionDenied
from swarmd.messages.config import TuiConfig
from swarmd.messages.enums import EventType
from swarmd.messages.replies import Version
from swarmd.messages.requests import StartInstance
from tests.tui import scene
from tests.tui.driving import after, online, press, settled, until
from tests.tui.fake import FakeDaemon
from tui.app import SwarmdApp
from tui.command_line import carry_out
from tui.commands import commands_of
from tui.main import read_settings
from tui.model.snapshot import LinkState
from tui.screens.help import Help
from tui.widgets.frame import TitleBar
from tui.widgets.table import Table

NOT_THERE = DaemonUnreachable(
    "no daemon answers on /run/swarmd/swarmd.sock: No such file or directory",
    next_step="Start the daemon: swarmd (or make run). Another socket: --socket.",
)
NOT_ALLOWED = DaemonUnreachable(
    "no daemon answers on /run/swarmd/swarmd.sock: Permission denied",
    next_step="Ask for membership of the group in access.socket_group, or run it as the owner.",
    details={"cause": "[Errno 13] Permission denied"},
)


def test_help(snap_compare: Any, app: SwarmdApp, size: tuple[int, int]) -> None:
    """Every key that holds in the table of instances, by group."""
    steps = after(press("2", "question_mark"))
    assert snap_compare(app, terminal_size=size, run_before=steps)


@pytest.mark.parametrize("keys", [("slash", *"web"), ("colon", *"ev")], ids=["filter", "command"])
def test_what_is_typed_is_seen(
    snap_compare: Any, app: SwarmdApp, keys: tuple[str, ...], size: Any
) -> None:
    """The line stands above the keys, not below them."""
    assert snap_compare(app, terminal_size=size, run_before=after(press("2", *keys)))


def test_no_daemon(snap_compare: Any, daemon: FakeDaemon, size: tuple[int, int]) -> None:
    """How to start it, and that it is tried again."""
    daemon.die(NOT_THERE)
    app = SwarmdApp(daemon.client, clock=scene.clock)

    async def refused(pilot: Any) -> None:
        link = app.link
        await until(pilot, lambda: app.snapshot.link.attempt == 3, lambda: link.snapshot.link)

    assert snap_compare(app, terminal_size=size, run_before=refused)


def test_a_light_theme(snap_compare: Any, daemon: FakeDaemon, size: Any) -> None:
    """The same table in the light theme."""
    app = SwarmdApp(daemon.client, TuiConfig(theme="light"), clock=scene.clock)
    assert snap_compare(app, terminal_size=size, run_before=after(press("2")))


def test_high_contrast(snap_compare: Any, daemon: FakeDaemon, size: Any) -> None:
    """The same table in the theme of high contrast."""
    app = SwarmdApp(daemon.client, TuiConfig(theme="contrast"), clock=scene.clock)
    assert snap_compare(app, terminal_size=size, run_before=after(press("2")))


@pytest.mark.anyio
async def test_who_may_not_connect_is_told(daemon: FakeDaemon) -> None:
    daemon.die(NOT_ALLOWED)
    app = SwarmdApp(daemon.client, clock=scene.clock)
    async with app.run_test() as pilot:
        link = app.link
        await until(pilot, lambda: link.snapshot.link.attempt, lambda: link.snapshot.link)
        assert app.snapshot.link.state is LinkState.REFUSED
        assert "access.socket_group" in app.snapshot.link.next_step


@pytest.mark.anyio
async def test_another_version_is_told(daemon: FakeDaemon) -> None:
    daemon.version = Version(version="9.0.0", protocol=9)
    app = SwarmdApp(daemon.client, clock=scene.clock)
    async with app.run_test() as pilot:
        link = app.link
        await until(pilot, lambda: link.snapshot.link.attempt, lambda: link.snapshot.link)
        assert app.snapshot.link.state is LinkState.MISMATCH
        assert "9.0.0" in app.snapshot.link.message


@pytest.mark.anyio
async def test_a_command_line_goes_to_views_and_does_things(
    app: SwarmdApp, daemon: FakeDaemon
) -> None:
    daemon.answers[StartInstance] = lambda request: daemon.instances[request.id]
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("colon", *"inst", "enter")
        await until(pilot, lambda: app.path.here.view == "instances", lambda: app.path)
        await pilot.press("colon", *"filter lab", "enter")
        await until(pilot, lambda: len(app.view.rows()) == 1 if app.view else 0, lambda: app.view)
        await pilot.press("colon", *"start", "enter")
        await until(pilot, lambda: daemon.requests(StartInstance), lambda: daemon.asked)
        await pilot.press("colon", *"theme light", "enter")
        await until(pilot, lambda: app.theme == "light", lambda: app.theme)


@pytest.mark.anyio
async def test_the_palette_has_every_action_and_view(app: SwarmdApp) -> None:
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("2")
        await until(pilot, lambda: app.path.here.view == "instances", lambda: app.path)
        names = {each.name for each in commands_of(app)}
        assert {"start", "stop", "restart", "recover", "delete", "instances"} <= names
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette), lambda: app.screen)


@pytest.mark.anyio
async def test_help_closes_by_its_own_key(app: SwarmdApp) -> None:
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Help), lambda: app.screen)
        await pilot.press("question_mark")
        await until(pilot, lambda: not isinstance(app.screen, Help), lambda: app.screen)


@pytest.mark.anyio
async def test_the_settings_change_keys(daemon: FakeDaemon) -> None:
    daemon.answers[StartInstance] = lambda request: daemon.instances[request.id]
    settings = TuiConfig(keymap={"instance.start": "ctrl+t"})
    app = SwarmdApp(daemon.client, settings, clock=scene.clock)
    async with app.run_test() as pilot:
        await online(pilot)
        await pilot.press("2", *["down"] * 4, "ctrl+t")
        await until(pilot, lambda: daemon.requests(StartInstance), lambda: daemon.asked)


@pytest.mark.anyio
async def test_what_the_daemon_refuses_is_told_with_the_next_step(
    app: SwarmdApp, daemon: FakeDaemon
) -> None:
    refusal = PermissionDenied("you may not start cleo/lab", next_step="Ask cleo to share it.")
    daemon.answers[StartInstance] = lambda _: refusal
    async with app.run_test(notifications=True) as pilot:
        await online(pilot)
        app.do("start", [app.snapshot.instances[scene.a_class()[4].id]])

        def told() -> list[str]:
            return [each.message for each in app._notifications]

        await until(pilot, lambda: any("Ask cleo" in each for each in told()), told)


def test_settings_that_cannot_be_read_are_no_reason_to_stop(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[tui]\ntheme = 3\n")
    settings, notice = read_settings(str(file))
    assert settings == TuiConfig()
    assert "tui.theme" in notice


def test_settings_are_read(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[tui]\ntheme = "nord"\nread_only = true\n')
    assert read_settings(str(file)) == (TuiConfig(theme="nord", read_only=True), "")


@pytest.mark.anyio
async def test_a_view_that_cannot_draw_does_not_end_the_link(
    app: SwarmdApp, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with app.run_test(notifications=True) as pilot:
        await online(pilot)

        def broken(*_: object) -> None:
            raise ZeroDivisionError("odd")

        monkeypatch.setattr(app.view, "show", broken)
        daemon.put(scene.instance("web", number=1), type=EventType.INSTANCE_UPDATED)
        await until(pilot, lambda: app._notifications, lambda: app.snapshot)
        monkeypatch.undo()
        daemon.put(scene.instance("new", number=9), type=EventType.INSTANCE_CREATED)
        await until(pilot, lambda: len(app.snapshot.instances) == 7, lambda: app.snapshot)


@pytest.mark.anyio
async def test_what_is_behind_a_question_follows_the_terminal(app: SwarmdApp) -> None:
    """A title as wide as the terminal was before is not what stands there."""
    async with app.run_test(size=(80, 24)) as pilot:
        await online(pilot)
        await pilot.press("2", "question_mark")
        await until(pilot, lambda: isinstance(app.screen, Help), lambda: app.screen)
        await pilot.resize_terminal(120, 30)
        title = app.screen_stack[0].query_one(TitleBar)
        await until(pilot, lambda: len(str(title.render()).rstrip()) > 110, title.render)
        table = app.screen_stack[0].query_one(Table)
        await until(pilot, lambda: "URL" in table.render_line(0).text, lambda: table.render_line(0))


@pytest.mark.anyio
async def test_a_table_fitted_to_no_room_is_fitted_anew(
    app: SwarmdApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told of its size before it had its place, it took the columns of no width at all."""
    async with app.run_test(size=(140, 40)) as pilot:
        await online(pilot)
        await pilot.press("2")
        await until(pilot, lambda: app.screen.query(Table), lambda: app.path)
        table = app.screen.query_one(Table)
        await until(pilot, lambda: "URL" in table.render_line(0).text, lambda: table.render_line(0))
        url = app.snapshot.instances[table.keys[0]].url or ""
        with monkeypatch.context() as not_placed:
            not_placed.setattr(Table, "size", Size())
            table.on_resize(events.Resize(app.size, app.size))
            table.render_line(1)
        assert "URL" in table.render_line(0).text
        assert url in table.render_line(1).text


@pytest.mark.anyio
async def test_the_same_is_not_said_twice_at_a_time(app: SwarmdApp) -> None:
    async with app.run_test() as pilot:
        await online(pilot)
        for text in ("copied", "copied", "another", "copied"):
            app.notify(text)

        def seen() -> list[str]:
            return [each.message for each in app._notifications]

        await until(pilot, lambda: seen() == ["another", "copied"], seen)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("theme nope", "There is no theme 'nope'. There are contrast, dark, light"),
        ("theme", "The theme is 'dark'. There are contrast, dark, light"),
        ("nope", "ctrl+p lists them all"),
    ],
)
async def test_what_is_not_known_is_named_with_what_is(
    app: SwarmdApp, typed: str, said: str
) -> None:
    async with app.run_test() as pilot:
        await online(pilot)
        carry_out(app, typed)
        await until(pilot, lambda: app._notifications, lambda: typed)
        assert [said in each.message for each in app._notifications] == [True]


@pytest.mark.anyio
async def test_a_view_that_cannot_be_drawn_ends_nothing(
    app: SwarmdApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither when news come nor when time passes."""

    def broken(_: object) -> None:
        raise ValueError("boom")

    async with app.run_test() as pilot:
        await online(pilot)
        assert app.view is not None
        monkeypatch.setattr(type(app.view), "tick", broken)
        app._tick()
        app._tick()
        await until(pilot, lambda: app._notifications, lambda: app.view)
        (told,) = app._notifications
        assert "boom" in told.message
        assert app.is_running


@pytest.mark.anyio
@pytest.mark.parametrize("key", ["4", "5", "6"])
async def test_nothing_is_counted_before_anything_was_told(daemon: FakeDaemon, key: str) -> None:
    daemon.die(NOT_THERE)
    app = SwarmdApp(daemon.client, clock=scene.clock)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.snapshot.link.attempt, lambda: app.snapshot.link)
        await pilot.press(key)
        line = "#line" if key == "5" else "#counts"
        await until(pilot, lambda: app.view and app.view.query(line), lambda: app.view)
        await settled(pilot)
        assert str(app.screen.query_one(line, Static).render()).strip() == ""
