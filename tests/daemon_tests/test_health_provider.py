"""A provider that does not answer says nothing of its instances, neither then nor afterwards."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from swarmd.errors import ProviderError
from tests.daemon_tests.conftest import RunDaemon
from tests.daemon_tests.harness import Settings
from tests.support import wait_until


class Dumb:
    """A provider whose list fails as long as it is told to."""

    down = threading.Event()

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def list(self) -> Any:
        """What is there, or nothing but an error."""
        if self.down.is_set():
            raise ProviderError("it is out")
        return self._inner.list()


def test_what_failed_meanwhile_does_not_count(
    running_daemon: RunDaemon, settings: Settings
) -> None:
    Dumb.down.clear()
    settings.tables["health"] = {
        "check_interval": "0.2s",
        "timeout": "0.2s",
        "grace": "0s",
        "failures": 3,
    }
    settings.write()
    daemon = running_daemon(settings, wrap_provider=Dumb)
    daemon.create("web")

    def health() -> Any:
        return daemon.call("instance.health", id="web")

    wait_until(lambda: health()["status"] == "healthy", describe=health)
    Dumb.down.set()
    wait_until(lambda: health()["illness"] == "provider", describe=health)
    points = len(health()["history"])
    (pid,) = settings.processes()
    os.kill(pid, signal.SIGSTOP)
    for _ in range(5):  # more than are needed for it to be ill
        found = health()
        assert (found["status"], found["illness"]) == ("unknown", "provider")
        assert found["failures"] == 0
    os.kill(pid, signal.SIGCONT)
    Dumb.down.clear()
    wait_until(lambda: health()["status"] == "healthy", describe=health)
    assert settings.processes() == [pid]
    # It was never thought to be ill, at no moment between.
    statuses = {point[1] for point in health()["history"][points:]}
    assert statuses <= {"unknown", "healthy"}
    items = daemon.call("operation.list", target="web")["items"]
    assert [each["origin"] for each in items] == ["user"]
