"""Filters, marks and searches: how they are seen, and how one gets out of them again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.command import CommandPalette

from swarmd.messages.config import TuiConfig
from tests.tui import scene
from tests.tui.driving import online, until
from tests.tui.fake import FakeDaemon
from tests.tui.test_operations import ALL
from tests.tui.test_trouble import snapshot
from tui.app import SwarmdApp
from tui.command_line import known
from tui.model.nothing import narrowed, why_nothing
from tui.model.snapshot import Link, LinkState, Snapshot
from tui.views.instances import InstancesView
from tui.views.table_view import TableView
from tui.widgets.frame import Prompt, TitleBar


def title(app: SwarmdApp) -> str:
    """What the line at the top says."""
    return str(app.query_one(TitleBar).render())


def table_view(app: SwarmdApp) -> TableView:
    assert isinstance(app.view, TableView)
    return app.view


@pytest.fixture
def daemon() -> FakeDaemon:
    return FakeDaemon(scene.a_class(), (scene.provider("local"),), ALL)


@pytest.mark.anyio
async def test_escape_ends_a_filter_before_it_goes_back(app: SwarmdApp) -> None:
    """In every view with a table; and that it is on can be seen."""
    ways = (("2",), ("3",), ("4",), ("5",), ("6",), ("3", "enter"))
    async with app.run_test(size=(120, 30)) as pilot:
        await online(pilot)
        for way in ways:
            for key in way:
                await pilot.press(key)
            await pilot.press("slash", *"qqq", "enter")
            here, view = app.path, table_view(app)
            await until(pilot, lambda: "/qqq: nothing found" in title(app), lambda: title(app))
            assert "Escape ends the filter" in view.table.empty, way
            await pilot.press("escape")
            await until(pilot, lambda: "/qqq" not in title(app), lambda: title(app))
            assert (view.table.filtered, app.path) == ("", here), way
            assert view.table.empty == why_nothing(app.snapshot, view.WHAT, "", view.none())


@pytest.mark.anyio
@pytest.mark.parametrize("keymap", [{}, {"prompt.leave": "ctrl+g"}])
async def test_enter_and_tab_where_one_types(daemon: FakeDaemon, keymap: dict[str, str]) -> None:
    """Enter ends a filter and does a command, tab completes one, and leaves neither."""
    app = SwarmdApp(daemon.client, TuiConfig(keymap=keymap), clock=scene.clock)
    async with app.run_test(size=(120, 30)) as pilot:
        await online(pilot)
        await pilot.press("2", "slash", *"docs", "tab", "!")
        prompt = app.query_one(Prompt)
        await until(pilot, lambda: prompt.value == "docs!", lambda: prompt.value)
        await pilot.press("backspace", "enter")
        await until(pilot, lambda: not prompt.has_class("-shown"), lambda: prompt.classes)
        assert table_view(app).table.filtered == "docs"
        await pilot.press("colon", *"prov")
        await until(pilot, lambda: prompt._suggestion, lambda: prompt.value)
        await pilot.press("tab")
        await until(pilot, lambda: prompt.value == "providers", lambda: prompt.value)
        await pilot.press("enter")
        await until(pilot, lambda: app.path.here.view == "providers", lambda: app.path)


@pytest.mark.anyio
async def test_tab_goes_through_all_that_begin_likewise(app: SwarmdApp) -> None:
    async with app.run_test(size=(120, 30)) as pilot:
        await online(pilot)
        await pilot.press("2")
        fitting = [each for each in known(app) if each.startswith("re")]
        assert len(fitting) > 2
        await pilot.press("colon", *"re")
        prompt = app.query_one(Prompt)
        seen = ["re"]
        for _ in (*fitting, "again"):
            await pilot.press("tab")
            await until(pilot, lambda: prompt.value != seen[-1], lambda: prompt.value)
            seen.append(prompt.value)
        assert seen[1:] == [*fitting, fitting[0]]
        await pilot.press("escape")
        await until(pilot, lambda: not prompt.has_class("-shown"), lambda: prompt.classes)
        offered = known(app)
        await pilot.press("colon", *"re", "backspace", "backspace")
        await until(pilot, lambda: prompt.value == "", lambda: prompt.value)
        await pilot.press("tab")
        await until(pilot, lambda: prompt.value == offered[0], lambda: prompt.value)
        for _ in range(3):  # as fast as a key that is held down: nothing is handled in between
            prompt.action_complete(":")
        assert prompt.value == offered[3]
        await pilot.press("ctrl+u", *"theme ")
        await until(pilot, lambda: prompt.value == "theme ", lambda: prompt.value)
        await pilot.press("tab")
        await until(pilot, lambda: prompt.value[6:] in app.available_themes, lambda: prompt.value)


@pytest.mark.anyio
async def test_marks_are_counted_and_let_go_first(app: SwarmdApp) -> None:
    async with app.run_test(size=(120, 30)) as pilot:
        await online(pilot)
        await pilot.press("2", "space", "space", "slash", *"docs", "enter")
        await until(pilot, lambda: "/docs · 1 of 2 marked" in title(app), lambda: title(app))
        await pilot.press("escape")
        await until(pilot, lambda: "marked" not in title(app), lambda: title(app))
        assert table_view(app).table.filtered == "docs"
        await pilot.press("slash")
        prompt = app.query_one(Prompt)
        await until(pilot, lambda: prompt.value == "docs", lambda: prompt.value)
        await pilot.press("backspace", "enter")
        await until(pilot, lambda: table_view(app).table.filtered == "doc", lambda: title(app))


@pytest.mark.anyio
async def test_a_table_is_found_as_it_was_left(app: SwarmdApp) -> None:
    """Its order and its cursor, not its marks: what is forgotten is not acted on."""
    async with app.run_test(size=(120, 30)) as pilot:
        await online(pilot)
        await pilot.press("2", "S", "S", "R", "down", "down", "space")
        await until(pilot, lambda: "1 marked" in title(app), lambda: title(app))
        before = table_view(app).table
        order, key = before.order, before.key
        assert order[1]
        await pilot.press("6", "2")
        await until(
            pilot,
            lambda: isinstance(app.view, InstancesView) and table_view(app).table is not before,
            lambda: app.view,
        )
        await until(pilot, lambda: app.view and app.view.ready, lambda: app.view)
        after = table_view(app).table
        assert (after.order, after.key, after.marked) == (order, key, set())


@pytest.mark.anyio
async def test_what_one_types_in_ends_when_one_goes_elsewhere(app: SwarmdApp) -> None:
    async with app.run_test(size=(120, 30)) as pilot:
        await online(pilot)
        await pilot.press("2", "slash", *"web")
        prompt = app.query_one(Prompt)
        await until(pilot, lambda: table_view(app).table.filtered == "web", lambda: title(app))
        assert prompt.has_class("-shown")
        await pilot.click(InstancesView, offset=(10, 5))
        await until(pilot, lambda: not prompt.has_class("-shown"), lambda: app.focused)
        assert table_view(app).table.filtered == "web"
        await pilot.press("colon", *"st", "ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette), lambda: app.screen)
        await until(pilot, lambda: not prompt.has_class("-shown"), lambda: prompt.classes)


LOST = replace(snapshot(), link=Link(state=LinkState.LOST))


@pytest.mark.parametrize(
    ("known", "filtered", "said"),
    [
        (Snapshot(), "", "the daemon has not answered"),
        (Snapshot(), "web", "the daemon has not answered"),
        (snapshot(), "", "None."),
        (snapshot(), "w\x1beb", "No alert fits 'w"),
        (LOST, "", "when the connection was lost"),
        (LOST, "web", "Escape ends the filter"),
    ],
)
def test_why_there_is_nothing(known: Snapshot, filtered: str, said: str) -> None:
    told = why_nothing(known, "alert", filtered, "None.")
    assert said in told
    assert told.isprintable()
    assert len(told) < 79


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"filtered": ""}, ""),
        ({"filtered": "web"}, "/web"),
        ({"filtered": "web", "found": False}, "/web: nothing found"),
        ({"filtered": "", "marks": (2, 2)}, "2 marked"),
        ({"filtered": "web", "marks": (0, 2)}, "/web · 0 of 2 marked"),
        ({"filtered": "w" * 30}, "/" + "w" * 19 + "…"),
    ],
)
def test_how_it_is_narrowed(facts: dict[str, Any], told: str) -> None:
    assert narrowed(**facts) == told
