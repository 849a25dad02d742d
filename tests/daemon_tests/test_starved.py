"""A workspace's disk that is really full: it is told, nothing is restarted, and it heals."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon_tests.conftest import RunDaemon
from tests.daemon_tests.harness import Running, Settings
from tests.support import fill_disk, require, wait_until


@pytest.fixture
def small_disk(settings: Settings) -> Iterator[Path]:
    """The instances' folders lie on a file system of 4 MiB."""
    settings.data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=711", "swarmd-test", str(settings.data)]
    made = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False)
    require("root", made and made.returncode == 0, "mounting a small file system needs root")
    yield settings.data
    subprocess.run(["umount", "--lazy", str(settings.data)], check=True)


def wait_health(daemon: Running, status: str) -> None:
    def get() -> str:
        return str(daemon.call("instance.get", id="web")["health"])

    wait_until(lambda: get() == status, describe=get)


def alerts(daemon: Running, state: str) -> list[dict[str, Any]]:
    params: dict[str, Any] = {"state": [state], "type": ["instance_starved"]}
    items: list[dict[str, Any]] = daemon.call("alert.list", **params)["items"]
    return items


@pytest.mark.root
def test_a_full_disk_makes_an_instance_degraded_until_there_is_room(
    settings: Settings, small_disk: Path, running_daemon: RunDaemon
) -> None:
    settings.tables["health"] = {"check_interval": "0.2s"}
    settings.tables["alerting"] = {"resolve_after": "0s"}
    settings.write()
    daemon = running_daemon()
    made = daemon.create("web")

    def measured() -> bool:
        [stats] = daemon.call("instance.stats", id=["web"])["items"]
        return (stats["disk_limit_bytes"] or 0) > (stats["disk_bytes"] or 0) > 0

    wait_until(measured)
    wait_health(daemon, "healthy")

    ballast = fill_disk(small_disk / made["id"] / "workspace")
    wait_health(daemon, "degraded")
    found = daemon.call("instance.health", id="web")
    assert (found["status"], found["illness"]) == ("degraded", "starved")
    assert "it uses 100 % of its disk" in found["details"]
    resources = next(check for check in found["checks"] if check["kind"] == "resources")
    assert resources["verdict"] == "degraded"
    assert resources["value"] == 1.0
    wait_until(lambda: alerts(daemon, "active"))
    [alert] = alerts(daemon, "active")
    assert (alert["severity"], alert["subject"]) == ("warning", made["owner"] + "/web")
    assert (alert["details"]["value"], alert["details"]["threshold"]) == (1.0, 0.9)

    ballast.unlink()
    wait_health(daemon, "healthy")
    assert daemon.call("instance.health", id="web")["illness"] is None
    wait_until(lambda: alerts(daemon, "resolved"))
    assert alerts(daemon, "active") == []
    told = [each["what"] for each in daemon.call("instance.why", id="web")["items"]]
    assert "health: healthy → degraded" in told
    assert "health: degraded → healthy" in told
    # A restart frees no disk: there was none.
    assert [each["kind"] for each in daemon.call("operation.list")["items"]] == ["create"]
    daemon.call("instance.delete", id="web", force=True)
