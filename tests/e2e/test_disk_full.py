"""A disk that is really full: refusals in words, reads go on, and it heals by itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import Refused
from tests.e2e.conftest import MakeDaemon
from tests.e2e.looking import nothing_runs
from tests.support import fill_disk, require, wait_until


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "swarmd-test", str(folder)]
    made = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False)
    require("root", made and made.returncode == 0, "mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.root
def test_a_full_disk_refuses_changes_and_nothing_is_half_written(
    make_daemon: MakeDaemon, small_disk: Path
) -> None:
    daemon = make_daemon()
    daemon.state = small_disk / "state"
    daemon.start()
    kept = daemon.create("kept")
    ballast = fill_disk(small_disk)
    with pytest.raises(Refused) as refused:
        daemon.create("refused")
    assert refused.value.type == "resource_limit_error"
    assert refused.value.details["next_step"]
    assert [item["name"] for item in daemon.instances()] == ["kept"]
    assert daemon.call("instance.get", id="kept")["url"] == kept["url"]

    ballast.unlink()

    def heals() -> bool:
        try:
            daemon.create("later")
        except Refused:
            return False
        return True

    wait_until(heals, timeout=20, describe=daemon.last_words)
    daemon.kill()
    daemon.start()
    assert {item["name"] for item in daemon.instances()} == {"kept", "later"}
    for name in ("kept", "later"):
        daemon.call("instance.delete", id=name, force=True)
    nothing_runs(daemon)
    assert daemon.stop() == 0


@pytest.mark.root
def test_samples_on_a_full_disk_cost_nothing_else(
    make_daemon: MakeDaemon, small_disk: Path
) -> None:
    daemon = make_daemon(settings={"telemetry": {"interval": "0.2s"}})
    daemon.state = small_disk / "state"
    daemon.start()
    daemon.create("kept")
    ballast = fill_disk(small_disk)

    def state() -> str:
        return str(daemon.call("daemon.status")["state"])

    wait_until(lambda: state() == "degraded", describe=daemon.last_words)
    told = daemon.call("daemon.metrics")["total"]
    assert told["operations"]["create"]["succeeded"] == 1
    assert told["figures"]["instances.status.running"]["last"] == 1
    ballast.unlink()
    # Nothing is asked for: the next samples show that the disk takes writes again.
    wait_until(lambda: state() == "ready", timeout=20, describe=daemon.last_words)
    assert all(each["state"] == "running" for each in daemon.call("daemon.actors")["items"]), (
        daemon.call("daemon.actors")
    )
    daemon.call("instance.delete", id="kept", force=True)
    nothing_runs(daemon)
    assert daemon.stop() == 0
    assert list((daemon.state / "metrics").iterdir())
