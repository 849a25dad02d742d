"""What an engine's figures become, without an engine."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from swarmd.messages.instance import Instance, Resources
from swarmd.messages.units import Storage
from swarmd.providers.docker import room
from swarmd.providers.docker.marks import volume_name
from swarmd.providers.docker.options import DockerOptions
from swarmd.providers.docker.usage import Usage
from tests.core.samples import NOW, config, instance

ROW = instance(1, config=config(resources=Resources(storage=Storage(5 << 30))))


def figures(
    *, limited: bool, sizes: dict[str, int], root: Path | None = None, row: Instance = ROW
) -> Any:
    """What is told of an instance that runs."""
    engine = SimpleNamespace(
        volume_sizes=lambda _seconds: sizes,
        stats=lambda _ref, _seconds: {"memory_stats": {"usage": 7, "limit": 70}},
    )
    clock = SimpleNamespace(now=lambda: NOW, monotonic=lambda: 1.0)
    context = SimpleNamespace(
        engine=engine,
        clock=clock,
        counts=True,
        limits_storage=limited,
        options=DockerOptions(),
        root=root,
    )
    seen = SimpleNamespace(id=ROW.id, ref="c1", state="running")
    usage = Usage(cast(Any, context), cast(Any, SimpleNamespace(containers=lambda: [seen])))
    usage.refresh()
    [found] = usage.of([row])
    return found


@pytest.mark.parametrize(
    ("limited", "sizes", "expected"),
    [
        (True, {volume_name(ROW.id): 11}, (11, 5 << 30)),
        (False, {volume_name(ROW.id): 11}, (11, None)),
        (True, {}, (None, None)),
    ],
)
def test_the_disk_has_a_limit_where_volumes_have_a_size(
    limited: bool, sizes: dict[str, int], expected: tuple[int | None, int | None]
) -> None:
    found = figures(limited=limited, sizes=sizes)
    assert (found.disk_bytes, found.disk_limit_bytes) == expected
    assert (found.memory_bytes, found.memory_limit_bytes) == (7, 70)


def test_on_this_host_the_limit_is_what_it_takes_and_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume, host = tmp_path / "volumes" / volume_name(ROW.id) / "_data", tmp_path / "host"
    rooms = {tmp_path: 900, volume: None, host: 300}
    monkeypatch.setattr(room, "room_left", rooms.get)
    sizes = {volume_name(ROW.id): 11}
    assert figures(limited=False, sizes=sizes, root=tmp_path).disk_limit_bytes == 911
    assert figures(limited=False, sizes={}, root=tmp_path).disk_limit_bytes is None
    rooms[volume] = 0  # a disk of its own, which is full
    assert figures(limited=False, sizes=sizes, root=tmp_path).disk_limit_bytes == 11
    assert figures(limited=True, sizes=sizes, root=tmp_path).disk_limit_bytes == 11
    rooms[volume] = 6 << 30
    elsewhere = replace(ROW, config=config(workspace=str(host)))
    found = figures(limited=False, sizes=sizes, root=tmp_path, row=elsewhere)
    assert found.disk_limit_bytes == 311
    rooms.clear()
    assert figures(limited=False, sizes=sizes, root=tmp_path).disk_limit_bytes is None


def test_a_new_volume_is_counted_sooner_than_all_of_them_again() -> None:
    counts: list[float] = []
    times = [0.0]

    def count(_seconds: float) -> dict[str, int]:
        counts.append(times[-1])
        return {}

    clock = SimpleNamespace(now=lambda: NOW, monotonic=lambda: times[-1])
    engine = SimpleNamespace(volume_sizes=count, stats=lambda _ref, _seconds: {})
    context = SimpleNamespace(
        engine=engine, clock=clock, counts=True, limits_storage=False, root=None
    )
    seen = SimpleNamespace(id=ROW.id, ref="c1", state="running")
    usage = Usage(cast(Any, context), cast(Any, SimpleNamespace(containers=lambda: [seen])))
    for at in range(0, 200, 15):
        times.append(float(at))
        usage.refresh()
    assert counts == [0.0]
    usage.of([ROW])
    usage.refresh()
    usage.refresh()
    assert counts == [0.0, times[-1]]


HERE = {"Name": os.uname().nodename, "KernelVersion": os.uname().release}


@pytest.mark.parametrize(
    ("engine", "said", "found"),
    [
        ("unix:///var/run/docker.sock", {}, True),
        ("tcp://127.0.0.1:2375", {}, False),
        ("ssh://me@box1", {}, False),
        ("unix:///var/run/docker.sock", {"Name": "docker-desktop"}, False),
        ("unix:///var/run/docker.sock", {"KernelVersion": "6.6-linuxkit"}, False),
        ("unix:///var/run/docker.sock", {"DockerRootDir": "/nowhere/at/all"}, False),
        ("unix:///var/run/docker.sock", {"DockerRootDir": ""}, False),
        ("unix:///var/run/docker.sock", {"DockerRootDir": None}, False),
    ],
)
def test_only_the_folders_of_an_engine_on_this_host_are_looked_at(
    engine: str, said: dict[str, Any], found: bool, tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")  # as where another disk was taken for it
    info = {**HERE, "DockerRootDir": str(tmp_path / "link"), **said}
    assert room.folders_of(engine, info) == (tmp_path / "real" if found else None)
