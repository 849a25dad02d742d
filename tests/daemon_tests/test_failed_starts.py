"""An automatic start that fails is tried again until it is held; a user's is the user's."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from swarmd.errors import ProviderError, SwarmError
from tests.daemon_tests.conftest import RunDaemon
from tests.daemon_tests.harness import Running, Settings
from tests.support import wait_until


class Stubborn:
    """A provider whose starts fail so many times, and that knows how many there were at once."""

    left = 0
    at_once = 0
    most = 0
    lock = threading.Lock()

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def start(self, instance: Any, call: Any) -> Any:
        """Fail, or start it."""
        with self.lock:
            type(self).at_once += 1
            type(self).most = max(self.most, self.at_once)
            fails = self.left > 0
            type(self).left -= fails
        try:
            if fails:
                raise ProviderError("the port is taken", next_step="Look who has it.")
            return self._inner.start(instance, call)
        finally:
            with self.lock:
                type(self).at_once -= 1


@pytest.fixture
def daemon(settings: Settings, running_daemon: RunDaemon) -> Running:
    """One whose provider's starts can be made to fail."""
    Stubborn.left = Stubborn.at_once = Stubborn.most = 0
    settings.tables["health"] = {"max_parallel": 1}
    settings.write()
    return running_daemon(settings, wrap_provider=Stubborn)


def get(daemon: Running, name: str = "web") -> Any:
    """The record."""
    return daemon.call("instance.get", id=name)


def why(daemon: Running, name: str = "web") -> str:
    """The story."""
    lines = daemon.call("instance.why", id=name)["items"]
    return "\n".join(f"{each['what']}: {each['why']} ({each['by']})" for each in lines)


def automatic(daemon: Running, name: str = "web") -> list[str]:
    """States of the operations that nobody asked for, oldest first."""
    items = daemon.call("operation.list", target=name)["items"]
    return [each["state"] for each in reversed(items) if each["origin"] != "user"]


def end_all(settings: Settings) -> None:
    """Kill what runs."""
    for pid in settings.processes():
        os.kill(pid, signal.SIGKILL)


def is_held(daemon: Running, name: str = "web") -> bool:
    """Whether it waits for a human."""
    error = get(daemon, name)["last_error"]
    return bool(error and error["details"].get("held"))


def test_it_is_tried_again_until_it_runs(daemon: Running, settings: Settings) -> None:
    daemon.create("web")
    Stubborn.left = 2
    end_all(settings)
    wait_until(lambda: len(automatic(daemon)) == 3, describe=lambda: why(daemon))
    found = daemon.wait_status("web", "running")
    assert found["last_error"] is None
    assert automatic(daemon) == ["failed", "failed", "succeeded"]
    story = why(daemon)
    assert "attempt 1 of 3" in story
    assert "its last automatic start failed: the port is taken (attempt 3 of 3)" in story


def test_what_does_not_start_is_held_and_says_what_to_do(
    daemon: Running, settings: Settings
) -> None:
    daemon.create("web")
    Stubborn.left = 1000
    end_all(settings)
    wait_until(lambda: is_held(daemon), timeout=20, describe=lambda: why(daemon))
    assert automatic(daemon) == ["failed"] * 3
    error = get(daemon)["last_error"]
    assert "a crash loop" in error["message"]
    assert "the port is taken" in error["message"]
    assert "swarmctl recover" in error["details"]["next_step"]
    Stubborn.left = 0
    daemon.call("instance.recover", id="web")
    assert get(daemon)["status"] == "running"


def test_a_start_that_a_user_asked_for_is_not_repeated_unasked(daemon: Running) -> None:
    daemon.create("web", start=False)
    Stubborn.left = 1
    with pytest.raises(SwarmError, match="the port is taken"):
        daemon.call("instance.start", id="web")
    for _ in range(2):
        before = daemon.call("provider.get", name="local")["health"]["checked_at"]
        daemon.look()
        wait_until(
            lambda before=before: (  # type: ignore[misc]
                daemon.call("provider.get", name="local")["health"]["checked_at"] != before
            )
        )
    assert get(daemon)["status"] == "error"
    assert automatic(daemon) == []


def test_a_users_stop_ends_it(daemon: Running, settings: Settings) -> None:
    daemon.create("web")
    Stubborn.left = 1000
    end_all(settings)
    wait_until(lambda: "failed" in automatic(daemon), describe=lambda: why(daemon))
    daemon.call("instance.stop", id="web")
    tried = len(automatic(daemon))
    daemon.settle()
    assert get(daemon)["status"] == "stopped"
    assert len(automatic(daemon)) == tried


def test_only_so_many_are_started_at_once(daemon: Running, settings: Settings) -> None:
    names = [f"n{number}" for number in range(4)]
    for name in names:
        daemon.create(name)
    assert Stubborn.most == 1
    end_all(settings)
    for name in names:
        wait_until(
            lambda name=name: automatic(daemon, name) == ["succeeded"],  # type: ignore[misc]
            describe=lambda name=name: why(daemon, name),  # type: ignore[misc]
        )
    assert Stubborn.most == 1, "max_parallel holds for what ended, too"
