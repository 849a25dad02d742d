"""A health monitor killed in any handler is back; who asked is answered, and health goes on."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from swarmd.errors import InstanceNotFound
from tests.daemon_tests.conftest import RunDaemon
from tests.daemon_tests.harness import Background, Running, Settings
from tests.daemon_tests.test_actor_deaths import Strike, check_back
from tests.support import wait_until

MONITOR = "health:local"
HEALTH: dict[str, object] = {
    "check_interval": "0.3s",
    "timeout": "0.3s",
    "grace": "0s",
    "failures": 2,
}
HANDLERS = [
    ("Looked", 1),
    ("Looked", 3),
    ("Tick", 2),
    ("Noticed", 1),
    ("CheckNow", 1),
    ("CheckNow", 3),
    ("Restored", 1),
    ("Answered", 1),
    ("Answered", 5),
    ("Measured", 1),
]


def health_of(daemon: Running) -> str:
    """What is recorded."""
    return str(daemon.call("instance.get", id="web")["health"])


def hang(daemon: Running) -> int:
    """Let the one server hang; its pid."""
    (pid,) = daemon.settings.processes()
    os.kill(pid, signal.SIGSTOP)
    return pid


def await_another(daemon: Running, pid: int) -> None:
    """Wait until another server runs in place of this one, and is healthy."""
    wait_until(
        lambda: pid not in daemon.settings.processes() and health_of(daemon) == "healthy",
        timeout=20,
        describe=lambda: daemon.call("instance.why", id="web"),
    )


@pytest.mark.parametrize(("message", "count"), HANDLERS)
def test_killed_in_a_handler(
    running_daemon: RunDaemon, settings: Settings, message: str, count: int
) -> None:
    settings.tables["health"] = HEALTH
    settings.write()
    error = SystemExit(1) if count == 1 else RuntimeError("struck")
    strike = Strike(MONITOR, message, count, error)
    daemon = running_daemon(settings, fault=strike)
    strike.armed.set()
    made = daemon.create("web")
    callers = [
        Background(lambda: daemon.call("instance.health", id="web", call_timeout=20.0))
        for _ in range(4)
    ]
    wait_until(lambda: strike.struck_at, describe=lambda: "no such message came")
    check_back(daemon, strike)
    for caller in callers:
        found = caller.value()
        assert (found["id"], len(found["checks"])) == (made["id"], 4)
        assert found["status"] in ("healthy", "unknown")
    assert daemon.call("instance.health", id="web")["status"] == "healthy"
    wait_until(lambda: health_of(daemon) == "healthy", describe=lambda: health_of(daemon))
    await_another(daemon, hang(daemon))
    assert daemon.restarts(MONITOR) == 1
    daemon.check_consistent()


def test_killed_over_one_that_hangs(running_daemon: RunDaemon, settings: Settings) -> None:
    """What was counted is lost with the actor, and counted again: the end is the same."""
    settings.tables["health"] = HEALTH
    settings.write()
    strike = Strike(MONITOR, "Answered", 1, RuntimeError("struck"))
    daemon = running_daemon(settings, fault=strike)
    daemon.create("web")
    wait_until(lambda: health_of(daemon) == "healthy")
    pid = hang(daemon)
    wait_until(lambda: health_of(daemon) == "degraded", describe=lambda: health_of(daemon))
    strike.armed.set()
    await_another(daemon, pid)
    check_back(daemon, strike)
    items = daemon.call("operation.list", target="web")["items"]
    assert [each["kind"] for each in items if each["origin"] == "recovery"] == ["restart"]


def test_one_that_was_given_up_is_back_once_its_provider_is_enabled_again(
    running_daemon: RunDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarmd.core.supervision.RESTART_BASE", 0.01)
    broken = threading.Event()

    def fault(actor: str, _message: object) -> None:
        if actor == MONITOR and broken.is_set():
            raise RuntimeError("struck")

    daemon = running_daemon(fault=fault)
    daemon.create("web")
    broken.set()
    wait_until(lambda: daemon.child_state(MONITOR) == "failed", timeout=20)
    broken.clear()
    daemon.call("provider.enable", name="local")
    wait_until(lambda: daemon.child_state(MONITOR) == "running")
    assert daemon.call("instance.health", id="web")["status"] == "healthy"


def test_what_is_gone_when_it_is_asked_again_is_said_to_be_gone(
    running_daemon: RunDaemon, settings: Settings
) -> None:
    strike = Strike(MONITOR, "CheckNow", 1, RuntimeError("struck"))
    daemon = running_daemon(settings, fault=strike)
    daemon.create("web")
    strike.armed.set()
    caller = Background(lambda: daemon.call("instance.health", id="web"))
    wait_until(lambda: strike.struck_at)
    daemon.call("instance.delete", id="web", force=True)
    with pytest.raises(InstanceNotFound):
        caller.value(6.0)
