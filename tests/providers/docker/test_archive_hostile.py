"""Archives that nobody vouches for, on their way into a container; no engine is needed."""

from __future__ import annotations

import posixpath
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from swarmd.errors import OperationCancelled, ValidationError
from swarmd.ports import Call
from swarmd.providers.docker import archive
from swarmd.providers.docker.archive import as_docker
from swarmd.providers.docker.intake import LIMITS
from swarmd.providers.local.data import archive as local_archive
from swarmd.providers.local.data import folders
from swarmd.providers.local.data.layout import Layout
from swarmd.providers.shared.account import own
from swarmd.providers.shared.archive import Limits
from swarmd.providers.shared.tarformat import END, Extent, Kind, Member, header, padded
from swarmd.providers.shared.tarreader import Stream, TarReader
from tests.providers.local_data import test_archive_hostile as local
from tests.providers.local_data.archives import a_call, file, folder, link, pack, picture

PREFIX = b"home/coder/"
HOSTILE = dict(local.HOSTILE) | {
    "through a link of the home": pack(link("home/.local", "x"), file("user-data/settings.json")),
    "through a file of the home": pack(file("home/.local"), file("extensions/a/b")),
    "a part under a link": pack(link("home/.local", "x")),
    "hard link to itself": pack(link("workspace/a", "workspace/a", Kind.HARDLINK)),
    "hard link to no part": pack(link("workspace/a", "bin/sh", Kind.HARDLINK)),
    "hard link to the home": pack(folder("home"), link("home/a", "home", Kind.HARDLINK)),
    "beside the part": pack(file("home/project.home"), file("home/project/x")),
}


def put_in(
    chunks: Iterable[bytes], call: Call | None = None, limits: Limits | None = None
) -> bytes:
    made = as_docker(
        chunks, call or a_call(), uid=1000, gid=1001, home="/home/coder", limits=limits
    )
    return b"".join(made)


def members(data: bytes) -> list[tuple[Member, bytes]]:
    reader = TarReader(Stream([data], lambda: None))
    return [(member, b"".join(content)) for member, content in reader.members()]


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_archives_are_refused(name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        put_in([HOSTILE[name]])
    assert caught.value.field == "archive"
    assert caught.value.next_step


@pytest.mark.parametrize("name", sorted(local.HOSTILE))
def test_the_words_are_those_of_the_local_provider(tmp_path: Path, name: str) -> None:
    layout = Layout(tmp_path / "data")
    layout.prepare()
    with pytest.raises(ValidationError) as ours:
        put_in([HOSTILE[name]], limits=Limits())
    with pytest.raises(ValidationError) as theirs:
        local_archive.unpack([HOSTILE[name]], layout.instance("01new"), own(), a_call())
    kinds = ("through a link or a file", "replaces a folder", "hard link to")
    if not any(kind in str(theirs.value) for kind in kinds):
        assert str(ours.value) == str(theirs.value)
    else:
        assert str(ours.value).split(": ")[0].split(" to ")[0] in str(theirs.value)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(size=99), "99 bytes"),
        (Limits(entries=2), "2 members"),
        (Limits(apparent=99), "99 bytes"),
        (Limits(folders=1), "1 folders"),
        (Limits(folder_names=30), "over 30 bytes"),
    ],
)
def test_bombs_are_refused(limits: Limits, words: str) -> None:
    many = [folder(f"workspace/d{number}") for number in range(9)]
    with pytest.raises(ValidationError, match=words):
        put_in([pack(*many, file("workspace/a", bytes(100)))], limits=limits)


def test_folders_that_nothing_named_count_too() -> None:
    deep = [file(f"workspace/{number}/{'d/' * 20}f") for number in range(9)]
    with pytest.raises(ValidationError, match="more than 50 folders"):
        put_in([pack(*deep)], limits=Limits(folders=50))


def test_holes_count_by_default_since_the_engine_fills_them() -> None:
    size = (256 << 30) + 1
    hole = Member(b"workspace/x", Kind.FILE, size=size, extents=(Extent(size, 0),))
    with pytest.raises(ValidationError, match="are larger than"):
        put_in([header(hole) + hole.sparse_map + END])


def test_a_bomb_is_refused_before_it_is_read() -> None:
    def endless() -> Iterator[bytes]:
        yield header(Member(b"workspace/x", Kind.FILE, size=1 << 45))
        while True:
            pytest.fail("the data of a refused member was asked for")

    with pytest.raises(ValidationError):
        put_in(endless())


def test_a_cancelled_call_ends_it() -> None:
    call = a_call()
    call.cancelled.set()
    with pytest.raises(OperationCancelled):
        put_in([pack(file("workspace/a"))], call)


def test_what_the_sender_raises_comes_out() -> None:
    def breaks() -> Iterator[bytes]:
        yield pack(file("workspace/a", bytes(5000)))[:2500]
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        put_in(breaks())


# --- what is sent on ------------------------------------------------------------------------------


def test_names_owners_and_rights() -> None:
    data = put_in(
        [
            pack(
                folder("workspace"),
                file("workspace/a/b", b"text", mode=0o6755, mtime_ns=1_500_000_000_123_456_789),
                link("workspace/hard", "workspace/a/b", Kind.HARDLINK),
                link("workspace/out", "/usr/bin/env", outside=True),
                link("workspace/rc", "../home/.bashrc"),
                file("user-data/x"),
            )
        ]
    )
    found = {member.name: (member, content) for member, content in members(data)}
    assert [name.removeprefix(PREFIX).decode() for name in found] == [
        "project",
        "project/a",
        "project/a/b",
        "project/hard",
        "project/out",
        "project/rc",
        ".local",
        ".local/share",
        ".local/share/code-server",
        ".local/share/code-server/x",
        ".local/share/code-server/extensions",
    ]
    inner, content = found[PREFIX + b"project/a/b"]
    assert (inner.mode, inner.mtime_ns, content) == (0o755, 1_500_000_000_123_456_789, b"text")
    assert found[PREFIX + b"project/hard"][0].target == PREFIX + b"project/a/b"
    assert found[PREFIX + b"project/out"][0].target == b"/usr/bin/env"
    assert found[PREFIX + b"project/rc"][0].target == b"../.bashrc"
    implied = found[PREFIX + b"project/a"][0]
    assert implied.mode == 0o700
    assert abs(implied.mtime_ns - time.time_ns()) < 60e9
    assert b"0001750\x000001751\x00" in data


def test_large_ids_and_the_home_itself() -> None:
    home = Member(b"home", Kind.FOLDER, 0o055)
    made = as_docker([header(home) + END], a_call(), uid=1 << 31, gid=1 << 30)
    data = b"".join(made)
    assert b"uid=2147483648\n" in data
    assert b"gid=1073741824\n" in data
    first, *rest = members(data)
    assert (first[0].name, first[0].mode) == (b".", 0o755), "its user can always reach it"
    assert next(member.name for member, _ in rest) == b"project"


def test_what_is_moved_aside_is_told() -> None:
    notes: list[str] = []
    call = Call(
        deadline=time.monotonic() + 60,
        clock=time.monotonic,
        progress=lambda message, fraction: notes.append(message),
    )
    put_in([pack(*(file(f"home/project/{number}") for number in range(40)))], call)
    assert notes == ["'home/project' is put in as 'home/project.home'"]


@pytest.mark.parametrize("parts", [3, 60_000])
def test_sparse_files_keep_their_content(parts: int) -> None:
    extents = tuple(Extent(number * 20 + 7, 3) for number in range(parts))
    size = parts * 20 + 999
    sparse = Member(b"workspace/s", Kind.FILE, size=size, extents=extents)
    content = b"abc" * parts
    archived = header(sparse) + padded(sparse.sparse_map + content) + END
    chunks = (archived[at : at + 1000] for at in range(0, len(archived), 1000))
    ((member, sent),) = [each for each in members(put_in(chunks)) if each[0].kind is Kind.FILE]
    assert member.size == size
    if member.extents is not None:
        assert (member.extents, sent) == (extents, content)
    else:
        assert sent == (bytes(7) + b"abc" + bytes(10)) * parts + bytes(999)
    assert (member.extents is None) == (parts > 1000), "a map too large for engines is filled"


def replayed(data: bytes) -> None:
    """No member is put through, or over, what is no folder."""
    kinds: dict[bytes, Kind] = {b"": Kind.FOLDER, b"home": Kind.FOLDER, b"home/coder": Kind.FOLDER}
    for member, _ in members(data):
        assert member.name == PREFIX[:-1] or member.name.startswith(PREFIX)
        steps = member.name.split(b"/")
        assert b".." not in steps
        for length in range(1, len(steps)):
            assert kinds[b"/".join(steps[:length])] is Kind.FOLDER
        known = kinds.get(member.name)
        assert known is None or (known is Kind.FOLDER) == (member.kind is Kind.FOLDER)
        if member.kind is Kind.HARDLINK:
            assert kinds[member.target] in (Kind.FILE, Kind.HARDLINK)
        assert not member.mode & 0o6000
        kinds[member.name] = member.kind


_renamed = {"a": "project", "b": ".local", "c": "share", "dddddddddd": "code-server"}


def _near(name: bytes) -> bytes:
    """A name of the other test's, made one that may meet another part's place."""
    for old, new in _renamed.items():
        name = b"/".join(
            new.encode() if part == old.encode() else part for part in name.split(b"/")
        )
    return name


@settings(max_examples=300, deadline=None)
@given(st.lists(local._member, max_size=10), st.booleans(), st.integers(1, 3000))
def test_whatever_comes_nothing_goes_through_a_link(
    found: list[tuple[Member, bytes] | Member], near: bool, size: int
) -> None:
    data = b""
    for each in found:
        member, content = each if isinstance(each, tuple) else (each, b"")
        if near:
            member = replace(member, name=_near(member.name), target=_near(member.target))
        data += header(member) + padded(member.sparse_map + content)
    data += END
    try:
        made = put_in(data[at : at + size] for at in range(0, len(data), size))
    except ValidationError:
        return
    replayed(made)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(local._member, max_size=8))
@example([link("workspace/a", "../home/b"), file("home/b")])
@example([file("workspace/a"), link("workspace/b", "workspace/a", Kind.HARDLINK)])
def test_through_a_container_and_out_again_is_as_unpacked_at_once(
    tmp_path: Path, found: list[tuple[Member, bytes] | Member]
) -> None:
    """What goes in and comes out again is refused, or else is the same, as if it had not."""
    layout = Layout(tmp_path / "data")
    layout.prepare()
    data = local._sparse_pack(found)
    direct, through = layout.instance("01direct"), layout.instance("01through")
    try:
        try:
            local_archive.unpack([data], direct, own(), a_call(), LIMITS)
        except ValidationError:
            with pytest.raises(ValidationError):
                put_in([data])
            return
        inside = put_in([data])
        outward = archive.export([inside], a_call(), base="home/coder")
        local_archive.unpack(outward, through, own(), a_call())
        assert shape(through.root) == shape(direct.root)
    finally:
        for dirs in (direct, through):
            folders.purge(layout, dirs.id)


def shape(root: Path) -> dict[bytes, tuple[object, ...]]:
    """The picture without times, which folders that nothing named get anew.

    In a home there is nothing above the parts but the home: a link there leads to it.
    """
    found: dict[bytes, tuple[object, ...]] = {}
    for name, (mode, _, content, *names) in picture(root).items():
        if isinstance(content, bytes) and not content.startswith(b"/"):
            goal = posixpath.normpath(posixpath.join(posixpath.dirname(name), content))
            found[name] = (mode, b"/home" if goal == b"/" else goal)
        elif name not in (b"/home/.local", b"/home/.local/share"):
            found[name] = (mode, content, *names)
    return found
