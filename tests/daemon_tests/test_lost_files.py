"""An instance whose folder is gone: it is held, and no empty one takes its place."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from swarmd.errors import SwarmError
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
