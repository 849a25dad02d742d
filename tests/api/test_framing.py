from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swarmd.api.framing import Framer, Oversize


def all_of(framer: Framer, *pieces: bytes) -> list[bytes | Oversize]:
    found: list[bytes | Oversize] = []
    for piece in pieces:
        framer.feed(piece)
        while (frame := framer.next()) is not None:
            found.append(frame)
    return found


def test_lines_are_cut_and_blank_ones_left_out() -> None:
    assert all_of(Framer(), b'{"a":1}\n\n  \r\n{"b"', b":2}\n") == [b'{"a":1}', b'{"b":2}']


def test_a_line_over_the_limit_is_refused_once_and_the_next_one_is_read() -> None:
    framer = Framer(limit=10)
    found = all_of(framer, b"x" * 8, b"x" * 8, b"x" * 8, b"x\nfine\n")
    assert found == [Oversize.FRAME, b"fine"]


def test_a_whole_line_over_the_limit_is_refused() -> None:
    assert all_of(Framer(limit=4), b"12345\n1234\n") == [Oversize.FRAME, b"1234"]


def test_what_is_discarded_is_not_kept() -> None:
    framer = Framer(limit=1000)
    for _ in range(100):
        all_of(framer, b"x" * 500)
        assert len(framer._buffer) <= 1000


def test_the_rest_is_the_line_without_its_newline() -> None:
    framer = Framer(limit=10)
    assert all_of(framer, b"one\ntwo") == [b"one"]
    assert framer.rest() == b"two"
    assert framer.rest() is None
    assert all_of(framer, b"x" * 11) == [Oversize.FRAME]
    assert framer.rest() is None


@given(
    lines=st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), max_size=20),
    cuts=st.lists(st.integers(1, 9), max_size=100),
)
def test_cutting_the_bytes_elsewhere_changes_nothing(lines: list[bytes], cuts: list[int]) -> None:
    data = b"".join(line + b"\n" for line in lines)
    pieces, rest = [], data
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    assert all_of(Framer(limit=16), *pieces, rest) == [
        line if len(line) <= 16 else Oversize.FRAME
        for line in lines
        if len(line) > 16 or (line and not line.isspace())
    ]
