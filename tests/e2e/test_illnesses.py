"""Scenes of illness that no other test plays, on stand-ins; ``illnesses`` plays all for people."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemon import DaemonProcess
from tests.docker_engine import engine_client
from tests.docker_images import tiny
from tests.e2e import scenes
from tests.e2e.docker_kit import Box
from tests.e2e.health_kit import fast

pytestmark = pytest.mark.timeout(300)

MEMORY = "64m"


@contextmanager
def stage(folder: Path, box: Box | None) -> Iterator[scenes.Stage]:
    """One daemon for all scenes of a place; workspaces on the host where containers may go."""
    roots = folder / "roots"
    roots.mkdir()
    daemon = DaemonProcess(
        folder,
        options={"roots": [str(roots)]},
        settings=fast(timeout="1s"),
        providers=[box.table()] if box is not None else [],
    )
    with daemon:
        yield scenes.Stage(daemon.start(), MEMORY, roots, box)


def as_root() -> bool:
    """Whether small disks can be mounted here."""
    return os.geteuid() == 0


def test_processes_of_this_host(tmp_path: Path) -> None:
    with stage(tmp_path, None) as here:
        scenes.workspace_gone(here)
        scenes.port_stolen(here)
        if as_root():
            scenes.disk_full(here)
        if "memory" in here.daemon.call("provider.capabilities", name="local")["limits_enforced"]:
            scenes.out_of_memory(here)


@pytest.mark.docker
def test_containers(tmp_path: Path) -> None:
    with engine_client() as client:
        box = Box(tiny(client), options={"roots": [str(tmp_path / "roots")]})
    try:
        with stage(tmp_path, box) as boxed:
            scenes.port_stolen(boxed)
            if as_root():
                scenes.disk_full(boxed)
    finally:
        box.clear()
