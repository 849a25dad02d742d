"""The book of ports: which one is chosen, and which are left alone for a day."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.errors import ResourceLimitError
from swarmd.providers.shared.portbook import QUARANTINE_SECONDS, PortBook, choose
from swarmd.providers.shared.reserved import ReservationFile
from tests.support import free_port

numbers = st.integers(100, 120)


@given(
    st.sets(numbers),
    st.dictionaries(numbers, st.floats(0, 100)),
    st.floats(0, 100),
    st.sets(numbers),
)
def test_the_chosen_port_is_the_first_that_may_be_had(
    used: set[int], reserved: dict[int, float], now: float, taken: set[int]
) -> None:
    ports = range(100, 121)
    chosen = choose(ports, used, reserved, now, lambda port: port not in taken)
    fit = [port for port in ports if port not in used | taken and not reserved.get(port, 0.0) > now]
    assert chosen == (fit[0] if fit else None)


def test_a_day_later_a_port_may_be_had_again(tmp_path: Path) -> None:
    now = [1000.0]
    port = free_port()
    file = tmp_path / ".ports.jsonl"
    book = PortBook(range(port, port + 1), file, lambda: now[0])
    assert book.take("a", "127.0.0.1") == port
    book.release(port, "somebody else")
    book.release(port, "a")
    again = PortBook(range(port, port + 1), file, lambda: now[0])
    again.load({})
    again.forget_expired()
    with pytest.raises(ResourceLimitError, match="1 of 1 wait"):
        again.take("b", "127.0.0.1")
    now[0] += QUARANTINE_SECONDS + 1
    again.forget_expired()
    assert again.take("b", "127.0.0.1") == port
    assert file.read_bytes() == b""


def test_a_port_that_was_never_used_is_free_at_once(tmp_path: Path) -> None:
    port = free_port()
    book = PortBook(range(port, port + 1), tmp_path / "ports", lambda: 0.0)
    book.take("a", "127.0.0.1")
    book.give_back_all("a")
    book.take("b", "127.0.0.1")
    book.give_back(port, "a")
    with pytest.raises(ResourceLimitError):
        book.take("c", "127.0.0.1")
    book.give_back(port, "b")
    assert book.take("c", "127.0.0.1") == port


def released(file: Path, *ports: int) -> PortBook:
    """A book in which each of these was somebody's, and is not any more."""
    book = PortBook(range(100, 200), file, lambda: 1000.0, lambda _address, _port: True)
    book.load(dict.fromkeys(ports, "a"))
    for port in ports:
        book.release(port, "a")
    return book


def reserved(file: Path) -> set[int]:
    return set(ReservationFile(file).read())


def test_a_reservation_is_one_line_more(tmp_path: Path) -> None:
    """Else each delete writes down all the others of that day again."""
    file = tmp_path / "ports"
    book = released(file, 101, 102)
    before, inode = file.read_bytes(), file.stat().st_ino
    book.take("b", "127.0.0.1", 103)
    book.release(103, "b")
    assert file.read_bytes().startswith(before)
    assert file.read_bytes().count(b"\n") == 3
    assert file.stat().st_ino == inode
    assert reserved(file) == {101, 102, 103}


@pytest.mark.parametrize("cut", range(1, 16))
def test_a_line_that_was_cut_off_costs_that_port_alone(tmp_path: Path, cut: int) -> None:
    """As a kill or a full disk leaves it; what is reserved after it is whole again."""
    file = tmp_path / "ports"
    released(file, 101, 102)
    file.write_bytes(file.read_bytes()[:-cut])
    left = {101, 102} if cut == 1 else {101}
    assert reserved(file) == left
    again = PortBook(range(100, 200), file, lambda: 1000.0)
    again.load({103: "a"})
    again.release(103, "a")
    assert reserved(file) == {*left, 103}


@pytest.mark.parametrize("content", [b"{", b"[1]\n[2, 3, 4]\nnull\n", b"\xff\n", b'{"until":{}}'])
def test_a_spoiled_file_costs_nothing_else(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "ports"
    file.write_bytes(content)
    book = PortBook(range(100, 200), file, lambda: 0.0)
    book.load({7: "a"})
    book.check_wanted("b", 8)
    book.release(7, "a")
    assert reserved(file) == {7}


def test_what_the_disk_had_no_room_for_is_written_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ports"
    book = released(file, 101)

    def full(self: Path, mode: str) -> IO[bytes]:
        with open_(self, mode) as stream:
            stream.write(b'{"port":102,')
        raise OSError(28, "No space left on device")

    open_ = Path.open
    book.take("b", "127.0.0.1", 102)
    book.take("c", "127.0.0.1", 103)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(Path, "open", full)
        book.release(102, "b")
    assert book.owned("b") == [102]
    book.release(103, "c")
    assert reserved(file) == {101, 102, 103}


def test_a_file_that_somebody_removed_is_written_again(tmp_path: Path) -> None:
    file = tmp_path / "ports"
    book = released(file, 101)
    file.unlink()
    book.take("b", "127.0.0.1", 102)
    book.release(102, "b")
    assert reserved(file) == {101, 102}
