"""Telemetry in the daemon: nothing is lost when an actor dies; settings change while it runs."""

from __future__ import annotations

import socket
import threading
import urllib.request
from typing import Any

import pytest

from swarmd.errors import Unavailable
from swarmd.exposition import endpoint
from swarmd.ports import Provider
from tests.daemon_tests.conftest import RunDaemon
from tests.daemon_tests.harness import Running, Settings
from tests.daemon_tests.test_actor_deaths import Strike, check_back, under_load
from tests.support import free_port, wait_until

OUTCOMES = ("succeeded", "failed", "cancelled")


def counted(daemon: Running) -> int:
    """Operations that telemetry has counted, in whatever sample."""
    kinds = daemon.call("daemon.metrics", since="1h")["total"]["operations"].values()
    return sum(kind[outcome] for kind in kinds for outcome in OUTCOMES)


def ended(daemon: Running) -> int:
    """Operations that ended."""
    operations = daemon.tables.operations.values()
    return sum(each.state.ended for each in operations)


def fetched(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        body: bytes = answer.read()
        return body


@pytest.mark.parametrize(
    ("actor", "message", "count"),
    [("telemetry", "Tick", 2), ("registry", "Durable", 8), ("registry", "Transact", 9)],
)
def test_each_end_is_counted_once_although_an_actor_dies(
    running_daemon: RunDaemon, settings: Settings, actor: str, message: str, count: int
) -> None:
    settings.tables["telemetry"] = {"interval": "0.1s"}
    settings.write()
    strike = Strike(actor, message, count, RuntimeError("struck"))
    daemon = running_daemon(settings, fault=strike)
    assert under_load(daemon, strike) == []
    check_back(daemon, strike)
    daemon.settle()
    wait_until(
        lambda: counted(daemon) == ended(daemon) > 4,
        describe=lambda: (counted(daemon), ended(daemon)),
    )
    events = daemon.call("events.history", since=0, limit=1000, type=["metrics_collected"])
    assert events["items"]
    assert set(events["items"][0]["data"]) == {
        "instances", "running", "unhealthy", "operations", "failed", "seconds",
    }  # fmt: skip


def test_what_can_change_changes_while_it_runs(
    running_daemon: RunDaemon, settings: Settings
) -> None:
    daemon = running_daemon(settings)
    port = free_port()
    settings.tables["telemetry"] = {
        "interval": "0.2s",
        "files": 7,
        "listen": f"127.0.0.1:{port}",
        "enabled": False,
    }
    settings.write()
    report = daemon.call("daemon.reload")
    assert set(report["applied"]) == {f"telemetry.{key}" for key in ("interval", "files", "listen")}
    assert report["restart_required"] == ["telemetry.enabled"]
    kept = daemon.daemon.parts.store
    wait_until(lambda: daemon.daemon.parts.endpoint._server is not None)
    assert b"swarmd_instances{" in fetched(port)
    daemon.create("web")
    wait_until(lambda: counted(daemon) == 1)
    now = daemon.daemon.parts.clock.now
    wait_until(lambda: any(each.operations for each in kept.metrics(daemon_start(daemon), now())))


def daemon_start(daemon: Running) -> Any:
    return daemon.daemon.parts.started_at


def test_a_taken_port_is_told_and_the_daemon_goes_on(
    running_daemon: RunDaemon, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "_AGAIN_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings.tables["telemetry"] = {"listen": f"127.0.0.1:{port}"}
        settings.write()
        daemon = running_daemon(settings, wait=False)
        wait_until(
            lambda: daemon.call("daemon.status")["state"] == "degraded",
            describe=lambda: daemon.call("daemon.status"),
        )
        [reason] = daemon.call("daemon.status")["reasons"]
        assert reason.startswith(f"metrics: cannot listen on 127.0.0.1:{port}")
        found = daemon.call("daemon.doctor")["findings"]
        [finding] = [each for each in found if each["subject"] == "metrics"]
        assert finding["level"] == "problem"
        assert "telemetry.listen" in finding["next_step"]
        assert daemon.create("web")["status"] == "running"
    daemon.ready()
    assert b"swarmd_operations_total{" in fetched(port)


def test_switched_off_nothing_is_measured(running_daemon: RunDaemon, settings: Settings) -> None:
    port = free_port()
    settings.tables["telemetry"] = {"enabled": False, "listen": f"127.0.0.1:{port}"}
    settings.write()
    daemon = running_daemon(settings)
    with pytest.raises(Unavailable) as refused:
        daemon.call("daemon.metrics")
    assert refused.value.field == "telemetry.enabled"
    assert "telemetry" not in {each["name"] for each in daemon.call("daemon.actors")["items"]}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1).close()
    daemon.create("web")
    daemon.stop()
    assert not (settings.state / "metrics").exists()


class Hanging:
    """A provider that does not tell what its instances use."""

    def __init__(self, inner: Provider, let_go: threading.Event) -> None:
        self._inner = inner
        self._let_go = let_go

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def stats(self, instances: Any) -> Any:
        assert self._let_go.wait(60)
        return self._inner.stats(instances)


def test_figures_are_told_while_a_provider_hangs(
    running_daemon: RunDaemon, settings: Settings
) -> None:
    port, let_go = free_port(), threading.Event()
    settings.tables["telemetry"] = {"listen": f"127.0.0.1:{port}"}
    settings.write()
    daemon = running_daemon(settings, wrap_provider=lambda inner: Hanging(inner, let_go))
    daemon.create("web")
    hanging = [daemon.in_thread("instance.stats") for _ in range(12)]
    try:
        assert counted(daemon) == 1
        assert b"swarmd_operations_total{" in fetched(port)
        assert not any(each.ended for each in hanging)
    finally:
        let_go.set()
    for each in hanging:
        each.value()
