"""One daemon's day, in the test's process."""

from __future__ import annotations

from tests.daemon_tests.conftest import RunDaemon


def test_life_of_an_instance(running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    made = daemon.create("web")
    assert made["status"] == "running"
    assert daemon.call("instance.stop", id="web")["status"] == "stopped"
    assert daemon.call("instance.start", id="web")["url"] == made["url"]
    daemon.call("instance.delete", id="web", force=True)
    daemon.check_consistent()
    assert daemon.tables.instances == {}
