"""Places, and moving between them."""

from __future__ import annotations

import itertools
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from swarmd.errors import (
    Conflict,
    OperationCancelled,
    ProviderError,
    ResourceLimitError,
    StateError,
    ValidationError,
)
from swarmd.ports import Call
from swarmd.providers.local.data import folders, sweeping
from swarmd.providers.local.data.layout import InstanceDirs, Layout
from swarmd.providers.shared.account import Account
from swarmd.providers.shared.archive import PARTS
from swarmd.providers.shared.faults import translate
from tests.providers.local_data.conftest import deepen
from tests.support import wait_until


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_modes_are_those_of_the_design(layout: Layout, dirs: InstanceDirs) -> None:
    assert mode_of(layout.root) == 0o711
    for folder in (dirs.root, dirs.private, dirs.log, layout.trash, layout.incoming):
        assert mode_of(folder) == 0o700
    for place in (dirs.workspace, dirs.home, dirs.user_data, dirs.extensions):
        assert place.is_dir()
        assert mode_of(place) == 0o700
    assert dirs.record.parent == dirs.private
    assert dirs.config_file.parent == dirs.root


@pytest.mark.parametrize("bad", ["", ".trash", "a/b", "..", "a\0b"])
def test_what_is_no_id_is_refused(layout: Layout, bad: str) -> None:
    with pytest.raises(ValidationError):
        layout.instance(bad)


def test_data_of_another_user_is_refused(public_path: Path, stranger: Account) -> None:
    root = public_path / "data"
    root.mkdir()
    os.chown(root, stranger.uid, stranger.gid)
    with pytest.raises(StateError, match="belongs to uid"):
        Layout(root).prepare()


def test_a_link_in_the_place_of_the_daemons_folder_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (root / ".trash").symlink_to(tmp_path)
    with pytest.raises(ProviderError):
        Layout(root).prepare()


def test_making_again_restores_what_is_missing_and_keeps_the_rest(
    dirs: InstanceDirs, account: Account
) -> None:
    (dirs.workspace / "kept").write_text("x")
    dirs.extensions.rmdir()
    folders.make(dirs, account)
    folders.make(dirs, account)
    assert (dirs.workspace / "kept").read_text() == "x"
    assert dirs.extensions.is_dir()


def test_a_planted_link_is_not_followed(
    dirs: InstanceDirs, account: Account, tmp_path: Path
) -> None:
    dirs.home.rmdir()
    dirs.home.symlink_to(tmp_path)
    with pytest.raises(ProviderError, match="no folder any more") as caught:
        folders.make(dirs, account)
    assert caught.value.next_step


def test_folders_are_the_accounts(public_path: Path, stranger: Account) -> None:
    layout = Layout(public_path / "data")
    layout.prepare()
    dirs = layout.instance("01one")
    folders.make(dirs, stranger)
    (dirs.home).rmdir()
    folders.make(dirs, stranger)
    for folder in (dirs.root, dirs.workspace, dirs.home):
        assert folder.stat().st_uid == stranger.uid
    for folder in (dirs.private, dirs.log):
        assert folder.stat().st_uid == os.geteuid()


def test_trash_and_restore_keep_everything(layout: Layout, dirs: InstanceDirs) -> None:
    (dirs.workspace / "a").write_text("x")
    dirs.record.write_text("{}")
    for _ in range(2):
        folders.trash(layout, dirs.id)
        assert not dirs.root.exists()
        assert (layout.trash_of(dirs.id).workspace / "a").read_text() == "x"
        assert dirs.record.exists()
    for _ in range(2):
        folders.restore(layout, dirs.id)
        assert (dirs.workspace / "a").read_text() == "x"
        assert not layout.trash_of(dirs.id).root.exists()
    assert layout.ids() == {dirs.id}


def test_two_of_the_same_are_not_mixed(
    layout: Layout, dirs: InstanceDirs, account: Account
) -> None:
    folders.trash(layout, dirs.id)
    folders.make(dirs, account)
    with pytest.raises(Conflict):
        folders.trash(layout, dirs.id)
    with pytest.raises(Conflict):
        folders.restore(layout, dirs.id)


@pytest.mark.parametrize("trashed", [False, True])
def test_purge_leaves_nothing(layout: Layout, dirs: InstanceDirs, trashed: bool) -> None:
    outside = layout.root.parent / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    (dirs.workspace / "link").symlink_to(outside)
    (dirs.workspace / "locked").mkdir()
    (dirs.workspace / "locked" / "f").write_text("x")
    (dirs.workspace / "locked").chmod(0)
    (dirs.workspace / "readonly").mkdir()
    (dirs.workspace / "readonly" / "f").write_text("x")
    (dirs.workspace / "readonly").chmod(0o555)
    os.mkfifo(dirs.workspace / "pipe")
    if trashed:
        folders.trash(layout, dirs.id)
    folders.purge(layout, dirs.id)
    folders.purge(layout, dirs.id)
    assert layout.ids() == set()
    assert [path.name for path in layout.doomed.iterdir()] == []
    assert (outside / "precious").read_text() == "x"


def test_purge_of_a_very_deep_tree(layout: Layout, dirs: InstanceDirs) -> None:
    deepen(dirs.workspace, 3000)
    try:
        folders.purge(layout, dirs.id)
        assert layout.ids() == set()
        assert [path.name for path in layout.doomed.iterdir()] == []
    finally:  # what is left would be too deep for pytest to remove
        subprocess.run(["rm", "-rf", str(layout.root)], check=True)


def test_purge_can_be_cut_off_and_repeated(
    layout: Layout, dirs: InstanceDirs, cancelled: Call
) -> None:
    (dirs.workspace / "a").write_text("x")
    with pytest.raises(OperationCancelled):
        folders.purge(layout, dirs.id, cancelled.check)
    assert layout.ids() == {dirs.id}, "its record stays until its data is gone"
    folders.purge(layout, dirs.id)
    assert layout.ids() == set()
    assert list(layout.doomed.iterdir()) == []


def test_a_killed_purge_of_many_files_is_resumed(layout: Layout, dirs: InstanceDirs) -> None:
    for folder in range(20):
        (dirs.workspace / str(folder)).mkdir()
        for number in range(500):
            (dirs.workspace / str(folder) / str(number)).touch()
    program = (
        "import sys; from pathlib import Path; from swarmd.providers.local.data import folders;"
        "from swarmd.providers.local.data.layout import Layout;"
        "folders.purge(Layout(Path(sys.argv[1])), sys.argv[2],"
        " lambda: print('.', flush=True))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(layout.root), dirs.id], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    with child.stdout:
        for _ in range(1000):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
    child.wait()
    assert not dirs.root.exists()
    left = sum(len(files) for _, _, files in os.walk(layout.doomed))
    assert 0 < left < 10_000
    sweeping.sweep(layout)
    assert list(layout.doomed.iterdir()) == []
    folders.purge(layout, dirs.id)
    assert layout.ids() == set()


@pytest.mark.root
def test_a_bind_mount_of_the_same_filesystem_is_left_alone(
    layout: Layout, dirs: InstanceDirs, tmp_path: Path
) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("x")
    mounted = dirs.workspace / "mounted"
    mounted.mkdir()
    done = subprocess.run(
        ["mount", "--bind", str(tmp_path / "precious"), str(mounted)],
        check=False,
        capture_output=True,
    )
    if done.returncode:
        pytest.skip(f"root: cannot mount here: {done.stderr!r}")
    try:
        with pytest.raises(ProviderError, match="mounted"):
            folders.purge(layout, dirs.id)
        assert (tmp_path / "precious" / "file").read_text() == "x"
    finally:
        for path in [*layout.doomed.glob("*/workspace/mounted"), mounted]:
            subprocess.run(["umount", str(path)], check=False, capture_output=True)
    folders.purge(layout, dirs.id)


def test_a_folder_with_a_device_number_of_its_own_is_removed(
    layout: Layout, dirs: InstanceDirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a btrfs subvolume has it: it is no mount."""
    (dirs.workspace / "subvolume").mkdir()
    (dirs.workspace / "subvolume" / "f").write_text("x")
    fstat, numbers = os.fstat, itertools.count(1000)

    class Shown:
        def __init__(self, descriptor: int) -> None:
            self._real = fstat(descriptor)
            self.st_dev = next(numbers)

        def __getattr__(self, name: str) -> object:
            return getattr(self._real, name)

    monkeypatch.setattr(os, "fstat", Shown)
    folders.purge(layout, dirs.id)
    assert layout.ids() == set()


@pytest.mark.root
def test_a_mounted_filesystem_is_left_alone(layout: Layout, dirs: InstanceDirs) -> None:
    mounted = dirs.workspace / "mounted"
    mounted.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "none", str(mounted)], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip(f"root: cannot mount here: {done.stderr!r}")
    try:
        (mounted / "precious").write_text("x")
        with pytest.raises(ProviderError, match="mounted"):
            folders.purge(layout, dirs.id)
        moved = list(layout.doomed.glob("*/workspace/mounted"))
        assert (moved[0] / "precious").read_text() == "x"
    finally:
        for path in [*layout.doomed.glob("*/workspace/mounted"), mounted]:
            subprocess.run(["umount", str(path)], check=False, capture_output=True)
    folders.purge(layout, dirs.id)
    assert layout.ids() == set()


def test_a_full_disk_is_a_resource_limit() -> None:
    error = translate(OSError(28, "No space left on device"), "making x", field="config.workspace")
    assert isinstance(error, ResourceLimitError)
    assert error.field == "config.workspace"
    assert error.next_step
    assert "No space left" in error.details["cause"]


@pytest.mark.root
def test_a_disk_that_is_full_leaves_nothing_half_made(tmp_path: Path, account: Account) -> None:
    if os.geteuid() != 0:
        pytest.skip("root: mounting needs it")
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "nr_inodes=10", "none", str(disk)], check=False
    )
    if done.returncode:
        pytest.skip("root: cannot mount here")
    try:
        layout = Layout(disk / "data")
        layout.prepare()
        dirs = layout.instance("01one")
        with pytest.raises(ResourceLimitError) as caught:
            folders.make(dirs, account)
        assert caught.value.next_step
        assert not dirs.root.exists()
        assert list(layout.incoming.iterdir()) == []
    finally:
        wait_until(lambda: subprocess.run(["umount", str(disk)], check=False).returncode == 0)


def test_parts_are_named_as_in_archives() -> None:
    assert PARTS == ("workspace", "home", "user-data", "extensions")
