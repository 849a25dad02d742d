"""Tables and texts."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.cli.grid import Column, cell_width, column, cut, render, shrink
from swarmd.cli.text import age, clock, dash, pairs, safe, size, yes

COLUMNS = (
    column("NAME"),
    column("STATUS", coloured=True, fixed=True),
    column("NOTE"),
    column("ID", wide=True),
)
ROWS: list[dict[str, str | None]] = [
    {"name": "web", "status": "running", "note": "a long note that will not fit", "id": "01x"},
    {"name": "日本語の名前", "status": "error", "note": None, "id": "01y"},
]


def lines(width: int | None, **options: bool) -> list[str]:
    return list(render(COLUMNS, ROWS, width=width, **options))


def test_columns_are_aligned_by_cells() -> None:
    header, first, second = lines(None)
    assert header == "NAME          STATUS   NOTE"
    assert first == "web           running  a long note that will not fit"
    assert second == "日本語の名前  error    -"


@pytest.mark.parametrize("width", [20, 30, 40, 80])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(cell_width, lines(width))) <= width


def test_fixed_columns_are_shortened_last() -> None:
    narrow = lines(24)
    assert "running" in narrow[1]
    assert "…" in narrow[1]


def test_wide_shows_everything_whole() -> None:
    header, first, _ = lines(20, wide=True)
    assert header.endswith("ID")
    assert "a long note that will not fit" in first


def test_status_words_have_colours() -> None:
    assert "\x1b[32mrunning\x1b[0m" in lines(None, colour=True)[1]
    assert "\x1b[31merror" in lines(None, colour=True)[2]
    assert "\x1b" not in "".join(lines(None))


def test_without_header() -> None:
    assert len(lines(None, header=False)) == 2


@given(st.text(max_size=30), st.integers(1, 20))
def test_a_cut_text_fits(text: str, width: int) -> None:
    short = cut(text, width)
    assert cell_width(short) <= max(width, 1)
    if cell_width(text) <= width:
        assert short == text


@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(1, 100))
def test_shrinking_stops_at_the_width_or_at_one_cell(widths: list[int], width: int) -> None:
    now = shrink(widths, width, [False] * len(widths))
    assert all(new <= old for new, old in zip(now, widths, strict=True))
    fits = sum(now) + 2 * (len(now) - 1) <= width
    assert fits or all(w == 1 for w in now)


def test_control_characters_are_shown_not_sent() -> None:
    assert safe("a\x1b[31mb\nc") == "a\\x1b[31mb\\nc"
    row = {"name": "x\x1b]0;title\x07", "status": "running", "note": "a\nb"}
    assert "\x1b" not in "".join(render(COLUMNS, [row], width=None))


NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        ("2026-01-31T12:00:00Z", "0s"),
        ("2026-01-31T11:59:30Z", "30s"),
        ("2026-01-31T11:00:00Z", "1h"),
        ("2026-01-31T11:30:00.123456Z", "29m"),
        ("2026-01-28T11:00:00+00:00", "3d"),
        ("2026-01-31T12:00:09Z", "0s"),
        (None, "-"),
    ],
)
def test_ages(moment: str | None, told: str) -> None:
    assert age(moment, NOW) == told


@pytest.mark.parametrize(
    ("count", "told"),
    [(None, "-"), (0, "0B"), (1023, "1023B"), (1536, "1.5K"), (10 << 20, "10M"), (3 << 40, "3.0T")],
)
def test_sizes(count: int | None, told: str) -> None:
    assert size(count) == told


def test_small_texts() -> None:
    assert (yes(1), yes(None)) == ("yes", "no")
    assert (dash(None), dash(""), dash(0)) == ("-", "-", "0")
    assert (pairs({"a": "b", "c": "d"}), pairs({}), pairs(None)) == ("a=b,c=d", "-", "-")
    assert clock(None) == "-"
    assert len(clock("2026-01-31T12:00:00Z")) == len("2026-01-31 12:00:00")


def test_a_column_may_compute() -> None:
    doubled = Column("N", lambda row: str(row["n"] * 2))
    assert list(render([doubled], [{"n": 4}], width=None)) == ["N", "8"]
