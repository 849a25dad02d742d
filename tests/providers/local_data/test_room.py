"""What is left on the disk where an instance writes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from swarmd.providers.local import observe
from swarmd.providers.shared.room import room_left
from tests.providers.local.conftest import Make, data, make
from tests.providers.local.kit import call, make_instance
from tests.support import require, wait_until

__all__ = ["data", "make"]


def test_the_room_is_what_the_system_says(tmp_path: Path) -> None:
    found = room_left(tmp_path)
    disk = os.statvfs(tmp_path)
    assert found is not None
    assert 0 < found <= disk.f_blocks * disk.f_frsize
    # Others write on this disk meanwhile.
    assert abs(found - disk.f_bavail * disk.f_frsize) < 1 << 30


def test_what_is_no_folder_has_no_room(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("/proc")
    assert room_left(tmp_path / "file") is None
    assert room_left(tmp_path / "link") is None
    assert room_left(tmp_path / "nothing") is None


def test_a_disk_that_counts_nothing_has_no_room_that_is_known() -> None:
    assert os.statvfs("/proc").f_blocks == 0
    assert room_left(Path("/proc")) is None


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_disk_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_descriptor: int) -> None:
        raise OSError(107, "Transport endpoint is not connected")

    monkeypatch.setattr(os, "fstatvfs", fails)
    before = open_descriptors()
    assert room_left(tmp_path) is None
    assert open_descriptors() == before


def test_the_limit_is_what_it_takes_and_the_least_that_is_left(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own folder, and a workspace on the host that may lie on another disk."""
    asked: list[Path] = []
    rooms = {"there": 5_000}

    def room(folder: Path) -> int | None:
        asked.append(folder)
        return rooms.get(folder.name, 9_000)

    (tmp_path / "host" / "there").mkdir(parents=True)
    provider = make(roots=[str(tmp_path / "host")])
    plain = make_instance("plain")
    away = make_instance("away", workspace=str(tmp_path / "host" / "there"))
    for each in (plain, away):
        provider.create(each, call())
        provider.start(each, call())
    monkeypatch.setattr(observe, "room_left", room)
    assert {each.disk_limit_bytes for each in provider.stats([plain, away])} <= {None}
    assert asked == []  # nothing to add it to as long as nothing is counted
    wait_until(lambda: all(each.disk_bytes for each in provider.stats([plain, away])))
    shown = {each.id: each for each in provider.stats([plain, away])}
    for each, left in ((plain, 9_000), (away, 5_000)):
        stats = shown[each.id]
        assert stats.disk_bytes is not None
        assert stats.disk_limit_bytes == stats.disk_bytes + left
    monkeypatch.setattr(observe, "room_left", lambda _folder: None)
    assert provider.stats([plain])[0].disk_limit_bytes is None


@pytest.mark.root
def test_a_small_disk_at_the_workspace_is_the_one_that_counts(make: Make, data: Path) -> None:
    provider = make()
    instance = make_instance()
    provider.create(instance, call())
    workspace = data / instance.id / "workspace"
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "swarmd-test", str(workspace)]
    made = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False)
    require("root", made and made.returncode == 0, "mounting a small file system needs root")
    try:
        provider.start(instance, call())
        wait_until(lambda: provider.stats([instance])[0].disk_bytes)
        [stats] = provider.stats([instance])
        assert stats.disk_bytes is not None
        assert stats.disk_limit_bytes == stats.disk_bytes + (1 << 20)
        (workspace / "ballast").write_bytes(bytes(1 << 20))
        assert provider.stats([instance])[0].disk_limit_bytes == stats.disk_bytes
    finally:
        provider.stop(instance, call())
        subprocess.run(["umount", "--lazy", str(workspace)], check=True)
