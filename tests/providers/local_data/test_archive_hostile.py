"""Archives that nobody vouches for: all of it, or nothing."""

from __future__ import annotations

import os
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from swarmd.errors import ProviderError, ResourceLimitError, ValidationError
from swarmd.ports import Call
from swarmd.providers.local.data import archive, folders
from swarmd.providers.local.data.layout import InstanceDirs, Layout
from swarmd.providers.shared.account import own
from swarmd.providers.shared.tarformat import END, Extent, Kind, Member, header, padded
from tests.providers.local_data.archives import (
    Limits,
    a_call,
    file,
    fill,
    folder,
    leftovers,
    link,
    pack,
    refuse,
)

HUGE = Member(b"workspace/x", Kind.FILE, size=1 << 50)
HOSTILE: dict[str, bytes] = {
    "absolute": pack(file("/etc/passwd")),
    "dots": pack(file("workspace/../../x")),
    "dots at the end": pack(folder("workspace/..")),
    "outside the parts": pack(file("bin/sh")),
    "top file": pack(file("x")),
    "part is a file": pack(file("workspace")),
    "part is a link": pack(link("workspace", "/etc")),
    "empty name": pack(file("workspace/a"), Member(b"\0", Kind.FILE)),
    "zero in the name": pack(file("workspace/a\0b")),
    "zero in the target": pack(link("workspace/a", "b\0c")),
    "absolute link": pack(link("workspace/a", "/etc/passwd")),
    "link out": pack(link("workspace/a", "../../etc")),
    "link to nothing": pack(link("workspace/a", "")),
    "through a link": pack(link("workspace/a", "b"), folder("workspace/b"), file("workspace/a/x")),
    "through an outside link": pack(
        link("workspace/a", "/tmp", outside=True), file("workspace/a/x")
    ),
    "folder over a link": pack(link("workspace/a", "b"), folder("workspace/a")),
    "through a made parent": pack(link("workspace/a", "."), file("workspace/a/b/c/d")),
    "through a file": pack(file("workspace/a"), file("workspace/a/b")),
    "deep through a file": pack(file("workspace/a"), file("workspace/a/b/c/d")),
    "file over a folder": pack(folder("workspace/a"), file("workspace/a")),
    "link over a folder": pack(folder("workspace/a"), link("workspace/a", "b")),
    "late link under a folder": pack(folder("workspace/a/b"), link("workspace/a", "/etc")),
    "hard link out": pack(link("workspace/a", "/etc/passwd", Kind.HARDLINK)),
    "hard link up": pack(link("workspace/a", "workspace/../../x", Kind.HARDLINK)),
    "hard link to nothing": pack(link("workspace/a", "workspace/b", Kind.HARDLINK)),
    "hard link to the top": pack(link("workspace/a", ".", Kind.HARDLINK)),
    "hard link to a folder": pack(link("workspace/a", "workspace", Kind.HARDLINK)),
    "hard link to a link": pack(
        link("workspace/l", "/etc/passwd", outside=True),
        link("workspace/a", "workspace/l", Kind.HARDLINK),
    ),
    "hard link through a link": pack(
        link("workspace/l", "/etc", outside=True),
        link("workspace/a", "workspace/l/passwd", Kind.HARDLINK),
    ),
    "long part": pack(file("workspace/" + "n" * 256)),
    "long name": pack(file("workspace/" + "n/" * 2100 + "x")),
    "deep": pack(file("workspace/" + "n/" * 300 + "x")),
    "long target": pack(link("workspace/a", "t/" * 3000)),
    "cut off in data": pack(file("workspace/a", bytes(5000)))[:3000],
    "cut off before the end": pack(file("workspace/a"))[: -len(END)],
    "half an end": pack(file("workspace/a"))[: -len(END) // 2],
    "lone zero block": bytes(512) + pack(file("workspace/a")),
    "data after the end": pack(file("workspace/a")) + b"x",
    "empty": b"",
    "text": b"this is not a tar archive at all\n" * 100,
    "gzip": b"\x1f\x8b\x08" + os.urandom(2000),
    "claims a petabyte": header(HUGE) + bytes(1 << 16),
    "ends after a header": header(Member(b"workspace/a", Kind.FILE))[:-512] + END,
    "a huge header": tarfile.TarInfo("x").tobuf()[:124] + b"77777777777\0" + bytes(376) + END,
}


def tar_of(kind: bytes, name: str = "workspace/x", **changes: object) -> bytes:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in changes.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT) + END


for _label, _kind in {
    "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
    "pipe": tarfile.FIFOTYPE,
    "old sparse": b"S",
    "unknown kind": b"Z",
    "continued": b"M",
}.items():
    HOSTILE[_label] = tar_of(_kind)
for _kind in (b"x", b"g", b"L", b"K"):
    HOSTILE[f"a header of a gigabyte {_kind!r}"] = tar_of(_kind, size=1 << 30)


def sparse(records: dict[str, str], data: bytes, size: int | None = None) -> bytes:
    info = tarfile.TarInfo("workspace/x")
    info.size = len(data) if size is None else size
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", **records}
    return info.tobuf(tarfile.PAX_FORMAT) + padded(data) + END


HOSTILE |= {
    "sparse: beyond its end": sparse({"GNU.sparse.realsize": "5"}, padded(b"1\n4\n2\n") + b"xx"),
    "sparse: overlapping": sparse(
        {"GNU.sparse.realsize": "50"}, padded(b"2\n4\n4\n6\n2\n") + b"xxxxxx"
    ),
    "sparse: more data": sparse({"GNU.sparse.realsize": "50"}, padded(b"1\n4\n2\n") + b"xxx"),
    "sparse: less data": sparse({"GNU.sparse.realsize": "50"}, padded(b"1\n4\n9\n") + b"xxx"),
    "sparse: no map": sparse({"GNU.sparse.realsize": "50"}, b"x"),
    "sparse: endless number": sparse({"GNU.sparse.realsize": "50"}, b"1" * 4096),
    "sparse: endless map": sparse({"GNU.sparse.realsize": "50"}, padded(b"99999999\n")),
    "sparse: no size": sparse({}, padded(b"0\n")),
    "sparse: a bad number": sparse({"GNU.sparse.realsize": "50"}, padded(b"-1\n")),
    "sparse: exabytes": sparse({"GNU.sparse.realsize": str(1 << 60)}, padded(b"0\n")),
    "sparse: version 0": sparse({"GNU.sparse.minor": "9"}, padded(b"0\n")),
}


def raw_pax(data: bytes) -> bytes:
    info = tarfile.TarInfo("pax")
    info.type, info.size = b"x", len(data)
    return info.tobuf(tarfile.USTAR_FORMAT) + padded(data) + tar_of(b"0")


HOSTILE |= {
    "pax: no length": raw_pax(b"path=x\n"),
    "pax: zero length": raw_pax(b"0 path=x\n"),
    "pax: too long": raw_pax(b"99 path=x\n"),
    "pax: no end": raw_pax(b"9 path=xy"),
    "pax: no key": raw_pax(b"5 =x\n"),
    "pax: bad time": raw_pax(b"15 mtime=never\n"),
    "newer format": pack(file("workspace/a")).replace(b"x", b"x"),
}
HOSTILE["newer format"] = (
    raw_pax(b"20 SWARMD.format=99\n")[:156] + b"g" + raw_pax(b"20 SWARMD.format=99\n")[157:]
)


def fixed_checksum(data: bytes) -> bytes:
    block = data[:148] + b" " * 8 + data[156:512]
    return data[:148] + b"%06o\0 " % sum(block) + data[156:]


HOSTILE["newer format"] = fixed_checksum(HOSTILE["newer format"])
HOSTILE["negative size"] = fixed_checksum(
    pack(file("workspace/a"))[1536:][:124].ljust(124, b"\0") + b"\xff" * 12 + bytes(376) + END
)
HOSTILE["a number that is none"] = fixed_checksum(
    tar_of(b"0")[:124] + b"9zzzzzzzzzz\0" + tar_of(b"0")[136:]
)


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_archives_are_refused(layout: Layout, name: str) -> None:
    refuse(layout, [HOSTILE[name]])


def test_the_reason_is_told(layout: Layout) -> None:
    for name, words in {
        "absolute": "absolute name",
        "character device": "a character device",
        "through a link": "through a link",
        "text": "no tar archive",
        "cut off in data": "cut off",
        "newer format": "newer version",
        "link out": "link out of the tree",
    }.items():
        assert words in str(refuse(layout, [HOSTILE[name]])), name


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(size=99), "99 bytes"),
        (Limits(entries=2), "2 members"),
        (Limits(apparent=99), "99 bytes"),
        (Limits(folders=1), "1 folders"),
    ],
)
def test_bombs_are_refused(layout: Layout, limits: Limits, words: str) -> None:
    data = pack(folder("workspace/d"), folder("workspace/e"), file("workspace/a", bytes(100)))
    assert words in str(refuse(layout, [data], limits))


def test_a_bomb_is_refused_before_it_is_written(layout: Layout) -> None:
    """Endless zeros behind a header that claims them all: nothing is read beyond the limit."""

    def endless() -> Iterator[bytes]:
        yield header(Member(b"workspace/x", Kind.FILE, size=1 << 45))
        while True:
            pytest.fail("the data of a refused member was asked for")

    refuse(layout, endless())


def test_a_sender_that_fails_leaves_nothing(layout: Layout) -> None:
    def breaks() -> Iterator[bytes]:
        yield pack(file("workspace/a", bytes(5000)))[:2500]
        raise OSError(5, "Input/output error")

    with pytest.raises(ProviderError) as caught:
        archive.unpack(breaks(), layout.instance("01new"), own(), a_call())
    assert "Input/output" in caught.value.details["cause"]
    assert layout.ids() == set()
    assert leftovers(layout) == []


@pytest.mark.root
def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("root: mounting needs it")
    mounted = tmp_path / "disk"
    mounted.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(mounted)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("root: cannot mount here")
    try:
        layout = Layout(mounted / "data")
        layout.prepare()
        with pytest.raises(ResourceLimitError) as caught:
            archive.unpack(
                [pack(file("workspace/a", b"x" * (2 << 20)))],
                layout.instance("01new"),
                own(),
                a_call(),
            )
        assert caught.value.next_step
        assert layout.ids() == set()
        assert leftovers(layout) == []
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


_part = st.sampled_from(["a", "b", "c", "..", ".", "", "workspace", "d" * 10])
_name = st.builds(
    lambda start, parts: "/".join([start, *parts]),
    st.sampled_from(["workspace", "workspace", "home", "", "..", "."]),
    st.lists(_part, max_size=4),
)
_member = st.one_of(
    st.builds(file, _name, st.binary(max_size=600)),
    st.builds(folder, _name),
    st.builds(link, _name, _name),
    st.builds(lambda name, target: link(name, target, Kind.HARDLINK), _name, _name),
    st.builds(lambda name: link(name, "/", outside=True), _name),
    st.builds(
        lambda name, at, data: (
            Member(
                name.encode(),
                Kind.FILE,
                size=at + len(data) + 7,
                extents=(Extent(at, len(data)),),
            ),
            data,
        ),
        _name,
        st.integers(0, 9999),
        st.binary(max_size=99),
    ),
)


def _sparse_pack(members: list[tuple[Member, bytes] | Member]) -> bytes:
    """As ``pack``, but sparse members get their map."""
    data = b""
    for each in members:
        member, content = each if isinstance(each, tuple) else (each, b"")
        data += header(member) + padded(member.sparse_map + content)
    return data + END


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(_member, max_size=8),
    st.one_of(st.none(), st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=40))),
    st.integers(1, 3000),
)
@example([link("workspace/a", "../home"), file("workspace/a/x")], None, 512)
def test_whatever_comes_stays_inside_or_is_refused(
    tmp_path: Path,
    members: list[tuple[Member, bytes] | Member],
    damage: tuple[int, bytes] | None,
    size: int,
) -> None:
    layout = Layout(tmp_path / "data")
    layout.prepare()
    outside = tmp_path / "outside"
    outside.mkdir(exist_ok=True)
    dirs = layout.instance("01new")
    data = _sparse_pack(members)
    if damage is not None:
        at, junk = damage
        data = data[:at] + junk + data[at + len(junk) :]
    try:
        archive.unpack(
            (data[at : at + size] for at in range(0, len(data), size)),
            dirs,
            own(),
            a_call(),
            Limits(apparent=1 << 30),
        )
    except ValidationError:
        assert layout.ids() == set()
    else:
        for path in dirs.root.rglob("*"):
            mode = path.lstat().st_mode
            assert stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)
            assert not mode & (stat.S_ISUID | stat.S_ISGID)
        folders.purge(layout, dirs.id)
    assert leftovers(layout) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "outside"]
    assert list(outside.iterdir()) == []


def descriptors() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def test_no_descriptor_is_left_open(layout: Layout, dirs: InstanceDirs, call: Call) -> None:
    fill(dirs)
    before = descriptors()
    generator = archive.export(dirs, call)
    for _ in range(20):
        next(generator)
    generator.close()  # type: ignore[attr-defined]
    for name in sorted(HOSTILE):
        refuse_with(layout, HOSTILE[name])
    assert descriptors() == before


def refuse_with(layout: Layout, data: bytes) -> None:
    with pytest.raises(ValidationError):
        archive.unpack([data], layout.instance("01new"), own(), a_call())
