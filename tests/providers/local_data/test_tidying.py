"""Sweeping up at the start, and counting the disk: of trees that nobody vouches for."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from swarmd.providers.local.data import folders, sweeping, usage
from swarmd.providers.local.data.layout import InstanceDirs, Layout
from swarmd.providers.local.observe import DiskUsage
from swarmd.providers.shared.account import Account
from swarmd.providers.shared.rights import as_account
from tests.providers.local_data.conftest import deepen
from tests.support import wait_until


def test_sweep_removes_what_was_never_completed(
    layout: Layout, dirs: InstanceDirs, account: Account
) -> None:
    folders.fresh(layout, "01two", account)
    assert sweeping.sweep(layout) == 1
    assert list(layout.incoming.iterdir()) == []
    assert dirs.root.is_dir()


def test_sweep_removes_a_private_part_that_is_alone(layout: Layout, dirs: InstanceDirs) -> None:
    (layout.private / "01alone" / "log").mkdir(parents=True)
    (layout.private / "01known").mkdir()
    (layout.private / "01known" / "record.json").write_text("{}")
    (layout.private / ".ports.jsonl").write_text("{}")
    (layout.private / "01trash").mkdir()
    (layout.trash / "01trash").mkdir()
    assert sweeping.sweep(layout) == 1
    assert sorted(path.name for path in layout.private.iterdir()) == [
        ".ports.jsonl",
        "01known",
        "01one",
        "01trash",
    ]


def test_a_folder_that_cannot_be_removed_is_noted_and_the_rest_goes(
    public_path: Path, stranger: Account
) -> None:
    layout = Layout(public_path / "data")
    layout.prepare()
    stuck = layout.doomed / "01x.abc" / "sub"
    stuck.mkdir(parents=True)
    (stuck / "f").write_text("x")  # root's, below a daemon without rights
    (layout.doomed / "01y.abc").mkdir()
    for path in (layout.doomed, layout.incoming, layout.private, stuck.parent):
        os.chown(path, stranger.uid, stranger.gid)
    sweeper = sweeping.Sweeper(layout)
    with as_account(stranger):
        sweeper.put_aside()
        assert sweeper.remove() == 1
    assert [path.name for path in layout.doomed.iterdir()] == ["01x.abc"]
    assert list(sweeper.problems) == [str(layout.doomed / "01x.abc")]


def test_a_sweep_in_the_background_can_be_ended(layout: Layout, dirs: InstanceDirs) -> None:
    (layout.incoming / "01two.abc" / "sub").mkdir(parents=True)
    sweeper = sweeping.Sweeper(layout)
    sweeper.start()
    assert list(layout.incoming.iterdir()) == [], "put aside before anything is made"
    wait_until(lambda: not list(layout.doomed.iterdir()))
    sweeper.close()
    (layout.incoming / "01two.abc" / "sub").mkdir(parents=True)
    sweeper.start()
    sweeper.close()
    closed = sweeping.Sweeper(layout)
    closed.close()
    (layout.incoming / "01two.abc" / "sub").mkdir(parents=True)
    closed.put_aside()
    assert closed.remove() == 0
    assert sweeping.sweep(layout) >= 1


def test_two_removals_of_the_same_do_not_disturb_each_other(
    layout: Layout, dirs: InstanceDirs
) -> None:
    for number in range(40):
        deepen(dirs.workspace, 80)
        (dirs.workspace / "d").rename(dirs.workspace / str(number))
    dirs.root.rename(layout.doomed / "01one.abc")
    sweeper = sweeping.Sweeper(layout)
    sweeper.start()
    folders.purge(layout, dirs.id)
    wait_until(lambda: "sweep" not in [each.name for each in threading.enumerate()])
    sweeper.close()
    assert sweeper.problems == {}
    assert list(layout.doomed.iterdir()) == []


def test_disk_usage_counts_hard_links_once_and_follows_nothing(
    dirs: InstanceDirs, tmp_path: Path
) -> None:
    before = usage.disk_usage(dirs)
    (dirs.workspace / "a").write_bytes(os.urandom(1 << 20))
    os.link(dirs.workspace / "a", dirs.workspace / "b")
    (tmp_path / "big").write_bytes(bytes(1 << 22))
    (dirs.workspace / "link").symlink_to(tmp_path)
    grown = usage.disk_usage(dirs) - before
    assert 1 << 20 <= grown < (1 << 20) + (1 << 16)
    with (dirs.workspace / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    assert usage.disk_usage(dirs) - before < 1 << 21


def test_disk_usage_of_what_is_not_there(layout: Layout) -> None:
    assert usage.disk_usage(layout.instance("none")) == 0


def test_disk_usage_of_a_very_deep_tree(layout: Layout, dirs: InstanceDirs) -> None:
    deepen(dirs.workspace, 3000)
    (dirs.home / "big").write_bytes(os.urandom(1 << 20))
    before = len(list(Path("/proc/self/fd").iterdir()))
    try:
        assert usage.disk_usage(dirs) > 1 << 20
        assert len(list(Path("/proc/self/fd").iterdir())) == before
    finally:
        subprocess.run(["rm", "-rf", str(layout.root)], check=True)


def test_disk_usage_ends_after_so_many_entries(dirs: InstanceDirs) -> None:
    for number in range(50):
        (dirs.workspace / str(number)).write_bytes(os.urandom(8192))
    everything = usage.disk_usage(dirs)
    assert 0 < usage.disk_usage(dirs, entries=20) < everything / 2


def test_disk_usage_remembers_only_so_many_links(
    dirs: InstanceDirs, monkeypatch: pytest.MonkeyPatch
) -> None:
    (dirs.workspace / "a").write_bytes(os.urandom(1 << 20))
    os.link(dirs.workspace / "a", dirs.workspace / "b")
    known = usage.disk_usage(dirs)
    monkeypatch.setattr(usage, "_LINKS_MOST", 0)
    assert usage.disk_usage(dirs) == known


def test_a_count_that_fails_ends_no_other() -> None:
    asked: list[str] = []

    def count(instance_id: str) -> int:
        asked.append(instance_id)
        if instance_id == "bad":
            raise RecursionError
        return 7

    disk = DiskUsage(count)
    assert disk.get("bad") is None
    wait_until(lambda: disk.get("good") == 7, describe=lambda: asked)
    assert disk.get("bad") is None
    wait_until(lambda: "disk-usage" not in [each.name for each in threading.enumerate()])
    assert asked.count("bad") == 1, "asked again only when it is old"


def test_what_is_forgotten_while_it_is_counted_stays_forgotten() -> None:
    counting, go_on = threading.Event(), threading.Event()

    def count(instance_id: str) -> int:
        counting.set()
        go_on.wait(10)
        return 7

    disk = DiskUsage(count)
    disk.get("one")
    assert counting.wait(10)
    disk.forget("one")
    go_on.set()
    wait_until(lambda: "disk-usage" not in [each.name for each in threading.enumerate()])
    assert disk._known == {}
