"""Rows filtered and sorted: what is taken for unmoved stands where arranging anew puts it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.widgets.arranged import Arranged
from tui.widgets.columns import Column


def length(row: str) -> int | None:
    """Of an empty one it is not known."""
    return len(row) or None


RANK: Column[str] = Column("rank", "RANK", 4, str, order=length)
ROWS = st.dictionaries(st.sampled_from("abcdef"), st.text("xy", max_size=3))


def fits(row: str, text: str) -> bool:
    return text in row


def arranged(rows: dict[str, str], text: str, *, down: bool) -> Arranged[str]:
    found = Arranged(fits, RANK)
    found.rows, found.filter, found.down = rows, text, down
    found.arrange()
    return found


@given(ROWS, st.sampled_from(["", "x", "yy"]), st.booleans())
def test_it_shows_what_fits_in_order(rows: dict[str, str], text: str, down: bool) -> None:
    found = arranged(rows, text, down=down)
    assert set(found.keys) == {key for key, row in rows.items() if text in row}
    ranks = [length(rows[key]) for key in found.keys]
    known = [rank for rank in ranks if rank is not None]
    assert known == sorted(known, reverse=down)
    assert ranks == known + [None] * (len(ranks) - len(known)), "what is not known comes last"
    assert [found.place(key) for key in found.keys] == list(range(len(found.keys)))


@given(ROWS, ROWS, st.sampled_from(["", "x", "yy"]), st.booleans())
def test_where_each_stays_nothing_moves(
    before: dict[str, str], changes: dict[str, str], text: str, down: bool
) -> None:
    found = arranged(before, text, down=down)
    keys = found.keys
    found.rows = before | changes
    if all(found.stays(key, before) for key in changes):
        found.arrange()
        assert found.keys == keys
