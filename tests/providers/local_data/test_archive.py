"""Archives: a round trip that keeps everything, and hostile ones that leave nothing."""

from __future__ import annotations

import io
import os
import random
import socket
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from swarmd.errors import OperationCancelled, ProviderError, ResourceLimitError, ValidationError
from swarmd.ports import Call
from swarmd.providers.local.account import Account, own
from swarmd.providers.local.data import archive, folders
from swarmd.providers.local.data.layout import InstanceDirs, Layout
from swarmd.providers.local.data.tarformat import END, Extent, Kind, Member, header, padded

Limits = archive.Limits


def a_call() -> Call:
    return Call(deadline=time.monotonic() + 60, clock=time.monotonic)


def fill(dirs: InstanceDirs) -> None:
    """Everything that a home of a developer may hold."""
    work = dirs.workspace
    (work / "empty").mkdir()
    (work / "empty").chmod(0o750)
    (work / "file").write_bytes(os.urandom(100_001))
    (work / "none").touch()
    (work / "script").write_text("#!/bin/sh\n")
    (work / "script").chmod(0o755)
    (work / "readonly").write_text("x")
    (work / "readonly").chmod(0o444)
    os.link(work / "file", work / "hard")
    (work / "zsub").mkdir()
    os.link(work / "file", work / "zsub" / "hard")
    (work / "soft").symlink_to("file")
    (work / "dangling").symlink_to("nowhere/at/all")
    (work / "python").symlink_to("/usr/bin/python3")
    (work / "up").symlink_to("../../../outside")
    (work / "ünï-码.txt").write_text("x")
    Path(os.fsdecode(bytes(work) + b"/not-\xff-utf8")).write_text("x")
    Path(os.fsdecode(bytes(work) + b"/soft-\xfe")).symlink_to(os.fsdecode(b"to-\xff"))
    (work / "with\nnewline and = signs").write_text("x")
    (work / ("n" * 255)).write_text("long")
    deep = work / "/".join(["d" * 60] * 12)
    deep.mkdir(parents=True)
    (deep / "leaf").write_text("deep")
    with (dirs.home / "sparse").open("wb") as file:
        file.seek(1 << 20)
        file.write(b"middle")
        file.seek(40 << 20)
        file.write(b"end")
        file.truncate(64 << 20)
    with (dirs.home / "hole").open("wb") as file:
        file.truncate(8 << 20)
    (dirs.home / ".config").mkdir()
    (dirs.user_data / "settings.json").write_text("{}")
    (dirs.extensions / "a.b-1.0").mkdir()
    for number, path in enumerate(sorted(dirs.root.rglob("*"), reverse=True)):
        moment = 1_700_000_000_123_456_789 + number * 1_000_000_007
        os.utime(path, ns=(moment, moment), follow_symlinks=False)
    os.utime(work / "none", ns=(0, -1_500_000_001))


def picture(root: Path) -> dict[bytes, tuple[object, ...]]:
    """What an archive has to keep, of everything below a folder."""
    found: dict[bytes, tuple[object, ...]] = {}
    names: dict[int, list[bytes]] = {}
    for top, below, files in os.walk(bytes(root)):
        for name in sorted([*below, *files]):
            path = os.path.join(top, name)  # noqa: PTH118 - names as bytes
            seen = os.lstat(path)
            content: object = None
            if stat.S_ISLNK(seen.st_mode):
                content = bytes(Path(os.fsdecode(path)).readlink())
            elif stat.S_ISREG(seen.st_mode):
                content = hash(Path(os.fsdecode(path)).read_bytes())
                names.setdefault(seen.st_ino, []).append(path[len(bytes(root)) :])
            found[path[len(bytes(root)) :]] = (seen.st_mode, seen.st_mtime_ns, content)
    for group in names.values():
        for path in group:
            found[path] += (tuple(group),)
    return found


def pack(*members: tuple[Member, bytes] | Member) -> bytes:
    data = b""
    for each in members:
        member, content = each if isinstance(each, tuple) else (each, b"")
        data += header(member) + padded(content)
    return data + END


def file(name: str, content: bytes = b"x", **changes: object) -> tuple[Member, bytes]:
    changes.setdefault("size", len(content))
    return Member(name.encode(), Kind.FILE, **changes), content  # type: ignore[arg-type]


def link(name: str, target: str, kind: Kind = Kind.SYMLINK, **changes: object) -> Member:
    return Member(name.encode(), kind, target=target.encode(), **changes)  # type: ignore[arg-type]


def folder(name: str) -> Member:
    return Member(name.encode(), Kind.FOLDER, 0o755)


def leftovers(layout: Layout) -> list[str]:
    return [str(path) for place in (layout.incoming, layout.doomed) for path in place.iterdir()]


def refuse(layout: Layout, data: Iterable[bytes], limits: Limits | None = None) -> ValidationError:
    """Unpack it into a new instance, which must be refused and leave nothing."""
    dirs = layout.instance("01new")
    with pytest.raises(ValidationError) as caught:
        archive.unpack(data, dirs, own(), a_call(), limits)
    assert caught.value.field == "archive"
    assert caught.value.next_step
    assert layout.ids() == set()
    assert leftovers(layout) == []
    return caught.value


# --- round trip ---


@pytest.mark.parametrize("size", [1 << 18, 777])
def test_a_round_trip_keeps_everything(
    layout: Layout, dirs: InstanceDirs, account: Account, call: Call, size: int
) -> None:
    fill(dirs)
    before = picture(dirs.root)
    data = b"".join(archive.export(dirs, call))
    assert len(data) < 3 << 20, "holes are not sent"
    there = layout.instance("01two")
    chunks = (data[at : at + size] for at in range(0, len(data), size))
    archive.unpack(chunks, there, account, call)
    assert picture(there.root) == before
    for name in ("sparse", "hole"):
        assert (there.home / name).stat().st_blocks <= (dirs.home / name).stat().st_blocks + 16
    assert there.log.is_dir()
    assert leftovers(layout) == []
    assert b"".join(archive.export(there, call)) == data, "the order is fixed"


def test_other_tools_read_it(dirs: InstanceDirs, call: Call, tmp_path: Path) -> None:
    fill(dirs)
    data = b"".join(archive.export(dirs, call))
    with tarfile.open(fileobj=io.BytesIO(data)) as read:
        names = {os.fsencode(name) for name in read.getnames()}
        sparse = read.extractfile("home/sparse")
        assert sparse is not None
        assert sparse.read() == (dirs.home / "sparse").read_bytes()
    expected = {b"workspace", b"home", b"user-data", b"extensions"}
    expected |= {path[1:] for path in picture(dirs.root)}
    assert names == expected
    (tmp_path / "out").mkdir()
    done = subprocess.run(
        ["tar", "-xf", "-", "-C", str(tmp_path / "out")],
        input=data,
        check=True,
        capture_output=True,
    )
    assert b"rror" not in done.stderr
    assert (tmp_path / "out" / "home" / "sparse").read_bytes() == sparse_bytes(dirs)
    assert (tmp_path / "out" / "home" / "sparse").stat().st_blocks < 200


def sparse_bytes(dirs: InstanceDirs) -> bytes:
    return (dirs.home / "sparse").read_bytes()


@pytest.mark.parametrize("form", ["gnu", "pax", "ustar", "posix-sparse"])
def test_archives_of_gnu_tar_are_taken(
    layout: Layout, dirs: InstanceDirs, account: Account, call: Call, form: str
) -> None:
    (dirs.workspace / ("n" * 90)).mkdir()
    (dirs.workspace / ("n" * 90) / ("m" * (100 if form == "ustar" else 200))).write_text("x")
    (dirs.workspace / "soft").symlink_to("n" * (90 if form == "ustar" else 180))
    with (dirs.workspace / "sparse").open("wb") as big:
        big.seek(1 << 20)
        big.write(b"x")
    options = ["--format=posix", "--sparse"] if form == "posix-sparse" else [f"--format={form}"]
    done = subprocess.run(
        ["tar", *options, "-cf", "-", "-C", str(dirs.root), "workspace"],
        check=True,
        capture_output=True,
    )
    there = layout.instance("01two")
    archive.unpack([done.stdout], there, account, call)
    one, two = picture(dirs.root), picture(there.root)
    assert one.keys() == two.keys()
    assert [value[2] for value in one.values()] == [value[2] for value in two.values()]


def test_another_workspace_can_be_sent(dirs: InstanceDirs, call: Call, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").write_text("x")
    outside = lambda: os.open(tmp_path / "elsewhere", folders.FOLDER)  # noqa: E731
    data = b"".join(archive.export(dirs, call, workspace=outside))
    with tarfile.open(fileobj=io.BytesIO(data)) as read:
        assert "workspace/mine" in read.getnames()


def test_everything_is_the_accounts(public_path: Path, stranger: Account, call: Call) -> None:
    layout = Layout(public_path / "data")
    layout.prepare()
    dirs = layout.instance("01one")
    data = pack(
        file("workspace/a/b/f", mode=0o6755), link("workspace/s", "a"), folder("workspace/e")
    )
    archive.unpack([data], dirs, stranger, call)
    for path in (dirs.root, *dirs.root.rglob("*")):
        assert path.lstat().st_uid == stranger.uid, path
    assert stat.S_IMODE((dirs.workspace / "a/b/f").stat().st_mode) == 0o755


def test_an_import_replaces_what_an_earlier_one_left(
    layout: Layout, dirs: InstanceDirs, account: Account, call: Call
) -> None:
    (dirs.workspace / "old").write_text("x")
    archive.unpack([pack(file("workspace/new"))], dirs, account, call)
    assert [path.name for path in dirs.workspace.iterdir()] == ["new"]
    assert leftovers(layout) == []


def test_what_export_leaves_out_is_told(dirs: InstanceDirs) -> None:
    notes: list[str] = []
    call = Call(
        deadline=time.monotonic() + 60,
        clock=time.monotonic,
        progress=lambda message, fraction: notes.append(message),
    )
    os.mkfifo(dirs.workspace / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    here = os.open(dirs.user_data, os.O_RDONLY)
    listener.bind(f"/proc/self/fd/{here}/ipc.sock")
    os.close(here)
    data = b"".join(archive.export(dirs, call))
    listener.close()
    with tarfile.open(fileobj=io.BytesIO(data)) as read:
        assert read.getnames() == ["workspace", "home", "user-data", "extensions"]
    assert any("workspace/pipe" in note for note in notes)
    assert any("user-data/ipc.sock" in note for note in notes)


def vanish(workspace: Path) -> None:
    (workspace / "later").unlink()
    (workspace / "zfolder").rmdir()


def swap(workspace: Path) -> None:
    vanish(workspace)
    (workspace / "later").symlink_to("/etc/passwd")
    (workspace / "zfolder").symlink_to("/etc")


@pytest.mark.parametrize("change", ["shrink", "grow", "vanish", "swap"])
def test_files_that_change_while_they_are_sent(
    layout: Layout, dirs: InstanceDirs, account: Account, change: str
) -> None:
    big, later = dirs.workspace / "big", dirs.workspace / "later"
    big.write_bytes(b"y" * (3 << 18))
    later.write_bytes(b"z" * 1000)
    (dirs.workspace / "zfolder").mkdir()
    acts: dict[str, Callable[[], None]] = {
        "shrink": lambda: os.truncate(big, 10),
        "grow": lambda: os.truncate(big, 4 << 18),
        "vanish": lambda: vanish(dirs.workspace),
        "swap": lambda: swap(dirs.workspace),
    }
    notes: list[str] = []
    call = Call(
        deadline=time.monotonic() + 60,
        clock=time.monotonic,
        progress=lambda message, fraction: notes.append(message),
    )
    chunks: list[bytes] = []
    for chunk in archive.export(dirs, call):
        chunks.append(chunk)
        if chunk[:1] == b"y" and change in acts:
            acts.pop(change)()
    there = layout.instance("01two")
    archive.unpack(chunks, there, account, a_call())
    assert (there.workspace / "big").stat().st_size == 3 << 18
    if change == "shrink":
        assert any("became shorter" in note for note in notes)
    if change == "vanish":
        assert not (there.workspace / "later").exists()
        assert any("vanished" in note for note in notes)
    if change == "swap":
        for name in ("later", "zfolder"):
            assert (there.workspace / name).is_symlink()


def test_a_planted_part_is_not_followed(dirs: InstanceDirs, call: Call) -> None:
    dirs.home.rmdir()
    dirs.home.symlink_to("/etc")
    with pytest.raises(ProviderError) as caught:
        list(archive.export(dirs, call))
    assert caught.value.details["cause"]


def test_a_part_that_is_missing_is_passed_over(dirs: InstanceDirs, call: Call) -> None:
    dirs.home.rmdir()
    with tarfile.open(fileobj=io.BytesIO(b"".join(archive.export(dirs, call)))) as read:
        assert read.getnames() == ["workspace", "user-data", "extensions"]


def test_what_cannot_be_read_fails_the_export(dirs: InstanceDirs, call: Call) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (dirs.workspace / "locked").write_text("x")
    (dirs.workspace / "locked").chmod(0)
    with pytest.raises(ProviderError, match="cannot be read") as caught:
        list(archive.export(dirs, call))
    assert caught.value.next_step


def test_cancelled_on_the_way(layout: Layout, dirs: InstanceDirs, cancelled: Call) -> None:
    (dirs.workspace / "a").write_text("x")
    with pytest.raises(OperationCancelled):
        list(archive.export(dirs, cancelled))
    data = pack(file("workspace/a"))
    with pytest.raises(OperationCancelled):
        archive.unpack([data], layout.instance("01new"), own(), cancelled)
    assert layout.ids() == {dirs.id}
    assert leftovers(layout) == []


@pytest.mark.timeout(300)
def test_memory_is_bounded(layout: Layout, dirs: InstanceDirs) -> None:
    """One GiB out and in again, in a process of its own: at most 16 MiB more than before."""
    with (dirs.workspace / "big").open("wb") as big:
        block = random.Random(1).randbytes(1 << 20)
        for _ in range(1024):
            big.write(block)
    program = (
        "import sys, time, resource; from pathlib import Path\n"
        "from swarmd.ports import Call\n"
        "from swarmd.providers.local.account import own\n"
        "from swarmd.providers.local.data import archive\n"
        "from swarmd.providers.local.data.layout import Layout\n"
        "layout = Layout(Path(sys.argv[1]))\n"
        "call = Call(deadline=time.monotonic() + 250, clock=time.monotonic)\n"
        "archive.unpack(archive.export(layout.instance('small'), call),"
        " layout.instance('01sm'), own(), call)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "archive.unpack(archive.export(layout.instance(sys.argv[2]), call),"
        " layout.instance('01two'), own(), call)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    folders.make(layout.instance("small"), own())
    done = subprocess.run(
        [sys.executable, "-c", program, str(layout.root), dirs.id],
        check=True,
        capture_output=True,
        text=True,
    )
    assert (layout.instance("01two").workspace / "big").stat().st_size == 1 << 30
    assert int(done.stdout) * 1024 < 16 << 20
    for name in ("01two", dirs.id):
        folders.purge(layout, name)


# --- hostile archives ---


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
