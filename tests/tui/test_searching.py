"""Searching in a log that is broken into rows, and moving about in it."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from tests.tui.driving import until
from tui.model.text import occurrences
from tui.widgets.logpane import LogPane


class Log(App[None]):
    """A log alone."""

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {"dim": "#888888"}

    def compose(self) -> ComposeResult:
        yield LogPane()


@pytest.fixture
def laid(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How wide it was each time that it was laid out."""
    widths: list[int] = []
    arrange = LogPane._arrange

    def counted(pane: LogPane) -> None:
        widths.append(pane.size.width)
        arrange(pane)

    monkeypatch.setattr(LogPane, "_arrange", counted)
    return widths


@pytest.mark.anyio
async def test_what_stands_over_a_break_is_found(laid: list[int]) -> None:
    async with Log().run_test(size=(40, 10)) as pilot:
        pane = pilot.app.query_one(LogPane)
        room = pane.room
        pane.append([*(f"line {n}" for n in range(30)), "." * (room - 3) + "needle", "the end"])
        await pilot.pause()
        assert pane.seek("NEEDLE")
        assert pane._finds() == [30], "the row in which it begins"
        cuts = [pane._cuts(row, "") for row in (29, 30, 31, 32)]
        assert cuts == [[], [(room - 3, room)], [(0, 3)], []], "it is marked in both of its rows"
        assert not pane.seek("haystack")
        pane.focus()
        top = pane.scroll_offset.y
        await pilot.press("ctrl+u")
        await until(pilot, lambda: pane.scroll_offset.y == top - 5, lambda: pane.scroll_offset)
        laid.clear()
        await pilot.resize_terminal(60, 10)
        await until(pilot, lambda: laid, lambda: pane.size)
        await pilot.pause()
        assert len(laid) == 1, "a full log takes long to lay out"


@pytest.mark.parametrize(
    ("text", "sought", "found"),
    [
        ("abcABC", "bc", [(1, 3), (4, 6)]),
        ("aaaa", "aa", [(0, 2), (2, 4)]),
        ("abc", "", []),
        ("", "a", []),
    ],
)
def test_occurrences(text: str, sought: str, found: list[tuple[int, int]]) -> None:
    assert occurrences(text, sought) == found
