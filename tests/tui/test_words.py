"""Figures, filters and paths: small and pure."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.tui import scene
from tui.model.fuzzy import fuzzy
from tui.model.words import share, since, size, span
from tui.navigation import Path, Place
from tui.widgets.columns import fit


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0s"), (0, "0s"), (59, "59s"), (60, "1m"), (65, "1m 5s"), (3600, "1h"), (7260, "2h 1m"),
     (86400, "1d"), (100000, "1d 3h")],
)  # fmt: skip
def test_a_span(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_since_never() -> None:
    assert since(None, scene.NOW) == "-"
    assert since(scene.NOW - timedelta(seconds=5), scene.NOW) == "5s"


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "-"), (0, "0B"), (999, "999B"), (1536 << 20, "1.5G"), (512 << 20, "512M"),
     (120 << 30, "120G")],
)  # fmt: skip
def test_a_size(count: float | None, text: str) -> None:
    assert size(count) == text


def test_a_share_of_nothing_is_not_known() -> None:
    assert share(1, 0) == share(None, 3) == "-"
    assert share(1, 4) == "25%"


@pytest.mark.parametrize(
    ("typed", "fits"),
    [("hw3", True), ("HOME", True), ("ana run", True), ("3w", False), ("anaweb", False), ("", True),
     ("ana/h", True), (".*", False)],
)  # fmt: skip
def test_letters_in_their_order_in_one_word(typed: str, fits: bool) -> None:
    assert fuzzy(typed)("ana/homework-3 local running healthy") is fits


@given(st.text(), st.integers(1, 40), st.booleans())
def test_what_is_made_to_fit_is_as_wide_as_it_is_to_be(text: str, width: int, right: bool) -> None:
    fitted = fit(text, width, right=right)
    assert cell_len(fitted) == width
    assert not any(ord(each) < 0x20 or ord(each) == 0x7F for each in fitted)


HOME, LIST, ONE = Place("home"), Place("instances"), Place("instance", "01a")


def test_a_path_goes_in_and_back() -> None:
    path = Path((HOME,)).jump(LIST).into(ONE)
    assert path.places == (HOME, LIST, ONE)
    assert path.back().here == LIST
    assert path.into(LIST).places == (HOME, LIST)
    assert path.jump(HOME).places == (HOME,)
    assert Path((HOME,)).back().here == HOME
