"""Archives: a round trip that keeps everything."""

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
from collections.abc import Callable
from pathlib import Path

import pytest

from swarmd.errors import OperationCancelled, ProviderError
from swarmd.ports import Call
from swarmd.providers.local.data import archive, folders
from swarmd.providers.local.data.layout import InstanceDirs, Layout
from swarmd.providers.shared.account import Account, own
from tests.providers.local_data.archives import (
    a_call,
    file,
    fill,
    folder,
    leftovers,
    link,
    pack,
    picture,
)


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
        "from swarmd.providers.shared.account import own\n"
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
