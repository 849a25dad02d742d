"""What becomes of an instance's files: gone, they are never replaced; recovered, they are there."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from swarmd.errors import SwarmError, Unavailable
from tests.daemon_tests.conftest import RunDaemon
from tests.daemon_tests.harness import Settings
from tests.support import wait_until


def test_a_folder_that_is_gone_is_not_made_anew(
    settings: Settings, running_daemon: RunDaemon, tmp_path: Path
) -> None:
    daemon = running_daemon()
    made = daemon.create("web")
    folder = settings.data / made["id"]
    (folder / "workspace" / "work.txt").write_text("work")
    folder.rename(tmp_path / "away")
    for pid in settings.processes():
        os.kill(pid, signal.SIGKILL)

    def held() -> bool:
        row = daemon.call("instance.get", id="web")
        return bool(row["last_error"] and row["last_error"]["details"].get("held"))

    wait_until(held, describe=lambda: daemon.call("instance.get", id="web"))
    assert not folder.exists()
    wait_until(lambda: daemon.call("instance.health", id="web")["illness"] == "lost")
    for method in ("instance.start", "instance.recover"):
        with pytest.raises(SwarmError):
            daemon.call(method, id="web")
        assert not folder.exists()
    # It is brought back, and so is the instance.
    (tmp_path / "away").rename(folder)
    daemon.call("instance.start", id="web")
    assert (folder / "workspace" / "work.txt").read_text() == "work"
    daemon.call("instance.delete", id="web", force=True)


def test_where_health_is_switched_off_nothing_is_asked(
    settings: Settings, running_daemon: RunDaemon
) -> None:
    settings.tables["health"] = {"enabled": False}
    settings.write()
    daemon = running_daemon()
    daemon.create("web")
    with pytest.raises(Unavailable) as caught:
        daemon.call("instance.health", id="web")
    assert caught.value.field == "health.enabled"
    assert "restart swarmd" in (caught.value.next_step or "")
    assert daemon.call("instance.get", id="web")["health"] == "unknown"
    assert daemon.call("daemon.status")["health"]["enabled"] is False
    names = {each["name"] for each in daemon.call("daemon.actors")["items"]}
    assert "health:local" not in names


def test_one_made_anew_by_hand_has_its_files(settings: Settings, running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    made = daemon.create("web")
    file = settings.data / made["id"] / "workspace" / "work.txt"
    file.write_text("work")
    again = daemon.call("instance.recover", id="web", action="recreate")
    assert (again["status"], again["url"]) == ("running", made["url"])
    assert file.read_text() == "work"
    with pytest.raises(Unavailable):
        daemon.call("instance.recover", id="web", action="migrate")
