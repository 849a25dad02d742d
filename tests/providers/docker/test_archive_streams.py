"""An export out of a tar as an engine sends it; no engine is needed."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.errors import OperationCancelled, ProviderError
from swarmd.ports import Call
from swarmd.providers.docker.archive import Source, export
from swarmd.providers.docker.pieces import gathered
from swarmd.providers.docker.times import Fractions
from swarmd.providers.shared.tarformat import Kind, Member, opening
from swarmd.providers.shared.tarreader import Stream, TarReader
from tests.providers.local_data.archives import a_call

TYPES = {
    "file": tarfile.REGTYPE,
    "folder": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "pipe": tarfile.FIFOTYPE,
    "device": tarfile.CHRTYPE,
    "contiguous": b"Z",
}


def engine_tar(*entries: tuple[str, str, str]) -> bytes:
    """A tar of (name, kind, content or target), as Go writes it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as out:
        for name, kind, content in entries:
            info = tarfile.TarInfo(name)
            info.type, info.mtime = TYPES[kind], 1_700_000_000
            if kind == "file":
                info.size = len(content.encode())
                out.addfile(info, io.BytesIO(content.encode()))
            else:
                info.linkname = content
                out.addfile(info)
    return made.getvalue()


HOME = (
    ("coder", "folder", ""),
    ("coder/.bashrc", "file", "rc"),
    ("coder/project", "folder", ""),
    ("coder/project/a", "file", "text"),
)


def members(data: bytes) -> dict[str, Member]:
    reader = TarReader(Stream([data], lambda: None))
    return {member.name.decode(): member for member, _ in reader.members()}


def exported(
    *entries: tuple[str, str, str], base: str = "coder", others: tuple[Source, ...] = ()
) -> dict[str, Member]:
    return members(b"".join(export([engine_tar(*entries)], a_call(), base=base, others=others)))


def test_an_export_begins_with_its_version_and_has_the_parts() -> None:
    data = b"".join(export([engine_tar(*HOME)], a_call(), base="coder"))
    assert data.startswith(opening())
    assert list(members(data)) == ["home", "home/.bashrc", "workspace", "workspace/a"]


@pytest.mark.parametrize("base", ["home/coder", "/home/coder/", "./home/coder"])
def test_a_base_may_be_deeper(base: str) -> None:
    found = exported(("home/coder", "folder", ""), ("home/coder/x", "file", ""), base=base)
    assert list(found) == ["home", "home/x"]


def test_names_outside_the_base_are_the_engines_fault() -> None:
    for name in ("other/x", "coder/../x"):
        with pytest.raises(ProviderError, match="outside coder") as caught:
            exported((name, "file", ""))
        assert caught.value.next_step


def test_pipes_and_devices_are_left_out_and_told() -> None:
    notes: list[str] = []
    call = Call(
        deadline=time.monotonic() + 60,
        clock=time.monotonic,
        progress=lambda message, fraction: notes.append(message),
    )
    entries = (("coder/p", "pipe", ""), ("coder/d", "device", ""), ("coder/f", "file", "x"))
    data = b"".join(export([engine_tar(*entries)], call, base="coder"))
    assert list(members(data)) == ["home/f"]
    assert notes == ["left out, a named pipe: coder/p", "left out, a character device: coder/d"]


def test_links() -> None:
    found = exported(
        *HOME,
        ("coder/project/hard", "hardlink", "coder/project/a"),
        ("coder/hard", "hardlink", "coder/project/a"),
        ("coder/project/rc", "symlink", "../.bashrc"),
        ("coder/project/env", "symlink", "/usr/bin/env"),
        ("coder/project/up", "symlink", "../../x"),
        ("coder/again", "hardlink", "coder/project/rc"),
    )
    assert found["workspace/hard"].target == b"workspace/a"
    assert found["home/hard"].target == b"workspace/a"
    assert (found["workspace/rc"].target, found["workspace/rc"].outside) == (
        b"../home/.bashrc",
        False,
    )
    assert (found["workspace/env"].target, found["workspace/env"].outside) == (
        b"/usr/bin/env",
        True,
    )
    assert found["workspace/up"].outside
    again = found["home/again"]
    assert again.kind is Kind.SYMLINK, "a second name of a link is made a second link"
    assert (again.target, again.outside) == (b"../.bashrc", True), "it leads elsewhere from there"


def test_parts_that_lie_elsewhere() -> None:
    work = engine_tar(
        ("work", "folder", ""),
        ("work/mine", "file", "x"),
        ("work/project", "folder", ""),
        ("work/up", "symlink", "../x"),
        ("work/hard", "hardlink", "work/mine"),
    )
    other = Source([work], "work", "workspace")
    hard = ("coder/hard", "hardlink", "coder/project/a")
    found = exported(*HOME, hard, others=(other,))
    assert list(found) == [
        "home",
        "home/.bashrc",
        "workspace",
        "workspace/mine",
        "workspace/project",
        "workspace/up",
        "workspace/hard",
    ]
    assert found["workspace/up"].outside is False, "it stays in the archive"
    assert found["workspace/hard"].target == b"workspace/mine"


@pytest.mark.parametrize("damage", ["cut", "none", "text", "kind"])
def test_what_is_no_whole_tar_is_the_engines_fault(damage: str) -> None:
    data = engine_tar(*HOME)
    sent = {
        "cut": data[:3000],
        "none": b"",
        "text": b"not found\n" * 200,
        "kind": engine_tar(("coder/x", "contiguous", "")),
    }[damage]
    with pytest.raises(ProviderError, match="broke off or is damaged") as caught:
        list(export([sent], a_call(), base="coder"))
    assert caught.value.details["cause"]
    assert caught.value.next_step


def test_a_cancelled_call_ends_it() -> None:
    call = a_call()
    call.cancelled.set()
    with pytest.raises(OperationCancelled):
        list(export([engine_tar(*HOME)], call, base="coder"))


def test_it_asks_for_no_more_than_it_sends() -> None:
    asked: list[int] = []

    def chunks() -> Iterator[bytes]:
        data = engine_tar(("coder/f", "file", "x" * (4 << 20)))
        for at in range(0, len(data), 1 << 18):
            asked.append(at)
            yield data[at : at + (1 << 18)]

    stream = export(chunks(), a_call(), base="coder")
    next(stream)
    assert len(asked) <= 2


# --- times ----------------------------------------------------------------------------------------


def test_parts_of_a_second_are_added() -> None:
    listed = b"".join(
        (
            b"1700000000.1234567890 \0",
            b"1700000000.0000000010 .bashrc\0",
            b"1700000000.9999999990 project/a\0",
            b"no record\0",
            b"-1.5000000000 project\0",
        )
    )
    times = (listed[at : at + 7] for at in range(0, len(listed), 7))
    data = b"".join(export([engine_tar(*HOME)], a_call(), base="coder", times=times))
    second = 1_700_000_000 * 10**9
    assert {name: member.mtime_ns - second for name, member in members(data).items()} == {
        "home": 123_456_789,
        "home/.bashrc": 1,
        "workspace": 0,
        "workspace/a": 999_999_999,
    }


@given(st.dictionaries(st.integers(0, 5000), st.integers(0, 10**9 - 1), max_size=2000))
def test_the_table_of_times(known: dict[int, int]) -> None:
    listed = b"".join(b"5.%09d0 a\n%d\0" % (part, name) for name, part in known.items())
    times = Fractions([listed], a_call())
    for name in range(5001):
        assert times.exact(b"a\n%d" % name, 7 * 10**9) == 7 * 10**9 + known.get(name, 0)
    assert times.exact(b"a\n1", 7 * 10**9 + 5) == 7 * 10**9 + 5, "exact already"


def test_the_table_of_times_grows_and_takes_the_last_word() -> None:
    listed = b"".join(
        b"5.%09d0 %d\0" % (turn + name, name) for turn in (1, 2) for name in range(5000)
    )
    times = Fractions([listed], a_call())
    assert all(times.exact(b"%d" % name, 0) == 2 + name for name in range(5000))


def test_the_table_of_times_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarmd.providers.docker.times._MOST", 10)
    times = Fractions((b"5.%09d0 %d\0" % (1, name) for name in range(10_000)), a_call())
    assert times.exact(b"3", 0) == 1
    assert times.exact(b"9999", 0) == 0


# --- pieces ---------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=40), max_size=60), st.integers(1, 60))
def test_pieces_are_gathered(pieces: list[bytes], enough: int) -> None:
    made = list(gathered(iter(pieces), enough))
    assert b"".join(made) == b"".join(pieces)
    assert all(len(piece) * 2 >= enough - 1 for piece in made[:-1])
    assert all(len(piece) < enough + 40 for piece in made)


def test_a_large_piece_is_not_copied() -> None:
    large = bytes(200)
    found = list(gathered([b"a" * 60, large, large, b"b"], 100))
    assert found == [b"a" * 60, large, large, b"b"]
    assert found[1] is large
    assert found[2] is large
