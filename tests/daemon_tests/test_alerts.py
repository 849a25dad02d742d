"""An episode over the real daemon: raised once, taken over, resolved once, and everyone told."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from swarmd.actors.base import ALERTING
from swarmd.actors.collected import Collected
from swarmd.errors import AlertNotFound, Conflict, Unavailable
from swarmd.messages.enums import HealthStatus, InstanceStatus
from swarmd.messages.replies import HealthCounts, InstanceCounts, MigrationCounts
from swarmd.messages.telemetry import ProviderMetrics, SwarmMetrics
from tests.daemon_tests.conftest import RunDaemon
from tests.daemon_tests.harness import Running, Settings
from tests.daemon_tests.test_actor_deaths import Strike, check_back
from tests.daemon_tests.test_health_provider import Dumb
from tests.sinks.receiver import Receiver
from tests.support import free_port, wait_until

ALERTING_CONFIG: dict[str, object] = {"raise_after": "0s", "resolve_after": "0s"}


def sample(used: int) -> SwarmMetrics:
    """One in which so many of ten instances of ``local`` are taken."""
    local = ProviderMetrics(
        type="local", enabled=True, ok=True, instance_count=used, max_instances=10,
        utilization=used / 10,
    )  # fmt: skip
    return SwarmMetrics(
        timestamp=datetime.now(UTC),
        seconds=60.0,
        providers={"local": local},
        instances=InstanceCounts(
            total=used, by_status={InstanceStatus.RUNNING: used}, by_provider={"local": used}
        ),
        health=HealthCounts(enabled=True, by_status={HealthStatus.HEALTHY: used}),
        migrations=MigrationCounts(enabled=False, by_status={}),
        operations={},
    )


ACKNOWLEDGED = ("id", "state", "note", "acknowledged_by", "acknowledged_at", "raised_at")


def collect(daemon: Running, used: int) -> None:
    """As telemetry does it."""
    directory = daemon.daemon.parts.directory
    wait_until(lambda: directory.tell(ALERTING, Collected(sample(used))))


def listed(daemon: Running, *states: str) -> list[dict[str, Any]]:
    params: dict[str, Any] = {"state": list(states)} if states else {}
    items: list[dict[str, Any]] = daemon.call("alert.list", **params)["items"]
    return [each for each in items if each["type"] != "disk_full"]


def await_listed(daemon: Running, state: str, count: int = 1) -> dict[str, Any]:
    wait_until(
        lambda: len(listed(daemon, state)) == count,
        describe=lambda: listed(daemon, "active", "acknowledged", "resolved"),
    )
    return listed(daemon, state)[0]


def told(daemon: Running) -> list[tuple[str, str]]:
    """Type and state of each event."""
    page = daemon.call("events.history", type=["alert"])["items"]
    return [
        (each["data"]["type"], each["data"]["state"])
        for each in page
        if each["data"]["type"] != "disk_full"
    ]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One that does not listen yet."""
    made = Receiver(free_port())
    yield made
    made.close()


def webhook(receiver: Receiver, **more: object) -> dict[str, object]:
    return {"name": "ops", "url": receiver.url, **more}


def only(told: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [each for each in told if each[0] != "disk_full"]


def test_an_episode_is_raised_taken_over_and_resolved_once(
    settings: Settings, running_daemon: RunDaemon, receiver: Receiver, tmp_path: Path
) -> None:
    token, notes = tmp_path / "token", tmp_path / "notes.jsonl"
    token.write_text("t0ken\n")
    code = f"import sys; open({str(notes)!r}, 'a').write(sys.stdin.read())"
    settings.tables["alerting"] = {
        **ALERTING_CONFIG,
        "command": [sys.executable, "-c", code],
        "webhooks": [webhook(receiver, token=f"file:{token}")],
    }
    settings.write()
    daemon = running_daemon()
    collect(daemon, 9)
    alert = await_listed(daemon, "active")
    assert (alert["type"], alert["severity"]) == ("provider_utilization", "warning")
    assert alert["message"].startswith("Provider local utilization is high: 90.00 %")
    assert (alert["details"]["value"], alert["details"]["threshold"]) == (0.9, 0.8)
    assert daemon.call("daemon.status")["alerts"] >= 1

    def failing() -> list[str]:
        found = daemon.call("daemon.doctor")["findings"]
        return [each["message"] for each in found if each["subject"] == "alerts to ops"]

    wait_until(lambda: any("does not answer" in each for each in failing()), describe=failing)
    assert not any("s3cret" in each for each in failing())
    receiver.start()
    wait_until(receiver.changes, timeout=15, describe=failing)
    wait_until(lambda: not any("does not answer" in each for each in failing()))

    collect(daemon, 8)  # not above the threshold any more, and not below its margin
    taken = daemon.call("alert.acknowledge", id=alert["id"][:20], note="more is ordered")
    assert (taken["state"], taken["note"]) == ("acknowledged", "more is ordered")
    assert taken["acknowledged_by"]
    again = daemon.call("alert.acknowledge", id=alert["id"])
    # Its figures may have gone on since; who took it over, and when, has not.
    assert [again[each] for each in ACKNOWLEDGED] == [taken[each] for each in ACKNOWLEDGED]
    collect(daemon, 9)
    collect(daemon, 5)
    ended = await_listed(daemon, "resolved")
    assert ended["id"] == alert["id"]
    assert ended["resolved_at"] > ended["raised_at"]
    with pytest.raises(Conflict):
        daemon.call("alert.acknowledge", id=alert["id"])
    with pytest.raises(AlertNotFound):
        daemon.call("alert.acknowledge", id="nonsense")
    wait_until(lambda: len(only(receiver.changes())) == 2, timeout=15, describe=receiver.changes)
    kind = "provider_utilization"
    assert only(receiver.changes()) == [(kind, "raised"), (kind, "resolved")]
    assert told(daemon) == [(kind, "raised"), (kind, "acknowledged"), (kind, "resolved")]
    # Each change knows the number of its event: what a crash keeps out of the journal is missed.
    events = daemon.call("events.history", type=["alert"])["items"]
    moves = [(each.alert, each.change.value, each.seq) for each in daemon.tables.alerts.moves]
    assert moves == [(each["data"]["id"], each["data"]["state"], each["seq"]) for each in events]
    assert {each["Authorization"] for each in receiver.headers} == {"Bearer t0ken"}
    wait_until(lambda: len(noted(notes)) == 2, describe=lambda: noted(notes))
    assert noted(notes) == [(kind, "raised"), (kind, "resolved")]
    wait_until(lambda: not daemon.tables.alerts.outbox)


def noted(file: Path) -> list[tuple[str, str]]:
    if not file.exists():
        return []
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return only([(each["type"], each["state"]) for each in lines])


def test_a_provider_that_goes_away_and_comes_back(
    settings: Settings, running_daemon: RunDaemon
) -> None:
    Dumb.down.clear()
    settings.tables["alerting"] = ALERTING_CONFIG
    settings.write()
    daemon = running_daemon(settings, wrap_provider=Dumb)
    daemon.create("web")
    Dumb.down.set()
    alert = await_listed(daemon, "active")
    assert (alert["type"], alert["subject"]) == ("provider_down", "local")
    assert "it is out" in alert["message"]
    # That its instance is not known of any more is no alert of its own.
    assert [each["type"] for each in listed(daemon)] == ["provider_down"]
    Dumb.down.clear()
    await_listed(daemon, "resolved")
    assert told(daemon) == [("provider_down", "raised"), ("provider_down", "resolved")]


def test_what_needs_a_human_until_a_human_acts(
    settings: Settings, running_daemon: RunDaemon
) -> None:
    settings.tables |= {
        "alerting": ALERTING_CONFIG,
        "health": {"max_recovery_attempts": 1, "check_interval": "0.3s", "grace": "0s"},
    }
    settings.write()
    daemon = running_daemon()
    made = daemon.create("web")

    def held() -> bool:
        # One that ends before it answered is another matter: that start has failed.
        for pid in settings.processes() if daemon.status_of("web") == "running" else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(listed(daemon))

    wait_until(held, timeout=20, describe=lambda: daemon.call("instance.why", id="web"))
    alert = await_listed(daemon, "active")
    assert (alert["type"], alert["target"]) == ("instance_held", made["id"])
    assert "a crash loop" in alert["details"]["reason"]
    assert "swarmctl logs" in alert["details"]["next_step"]
    daemon.call("instance.start", id="web")
    ended = await_listed(daemon, "resolved")
    assert ended["id"] == alert["id"]
    assert told(daemon) == [("instance_held", "raised"), ("instance_held", "resolved")]
    events = daemon.call("events.history", type=["alert"], target="web")["items"]
    assert {each["target"] for each in events} == {made["id"]}


def test_switched_off_and_on_again_by_a_reload(
    settings: Settings, running_daemon: RunDaemon
) -> None:
    settings.tables["alerting"] = ALERTING_CONFIG
    settings.write()
    daemon = running_daemon()
    collect(daemon, 9)
    await_listed(daemon, "active")

    settings.tables["alerting"] = {**ALERTING_CONFIG, "enabled": False}
    settings.write()
    assert daemon.call("daemon.reload")["applied"] == ["alerting.enabled"]
    calls: list[tuple[str, dict[str, Any]]] = [
        ("alert.list", {}),
        ("alert.acknowledge", {"id": "x"}),
    ]
    for method, params in calls:
        with pytest.raises(Unavailable) as caught:
            daemon.call(method, **params)
        assert caught.value.field == "alerting.enabled"
        assert "alerting.enabled = true" in str(caught.value.next_step)
    assert daemon.child_state(ALERTING) == "gone"
    assert daemon.daemon.parts.alerts.infos() == ()
    assert daemon.call("daemon.status")["alerts"] == 0

    settings.tables["alerting"] = {**ALERTING_CONFIG, "provider_utilization": 0.95}
    settings.write()
    daemon.call("daemon.reload")
    wait_until(lambda: daemon.child_state(ALERTING) == "running")
    collect(daemon, 8)  # below the new threshold and its margin
    await_listed(daemon, "resolved")
    collect(daemon, 9)
    assert listed(daemon) == []
    kind = "provider_utilization"
    assert told(daemon) == [(kind, "raised"), (kind, "resolved")]


@pytest.mark.parametrize("message", ["Tick", "Collected", "Start"])
def test_killed_in_a_handler(
    settings: Settings, running_daemon: RunDaemon, message: str, receiver: Receiver
) -> None:
    settings.tables["alerting"] = {**ALERTING_CONFIG, "webhooks": [webhook(receiver.start())]}
    settings.write()
    strike = Strike(ALERTING, message, 1, RuntimeError("struck"))
    strike.armed.set()
    daemon = running_daemon(settings, fault=strike)
    collect(daemon, 9)
    wait_until(lambda: strike.struck_at)
    check_back(daemon, strike)
    collect(daemon, 9)
    await_listed(daemon, "active")
    collect(daemon, 1)
    await_listed(daemon, "resolved")
    kind = "provider_utilization"
    assert told(daemon) == [(kind, "raised"), (kind, "resolved")]
    wait_until(lambda: len(only(receiver.changes())) == 2, describe=receiver.changes)
