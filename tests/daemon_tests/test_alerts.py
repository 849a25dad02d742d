"""An episode over the real daemon: raised once, taken over, resolved once, and everyone told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from swarmd.actors.base import ALERTING
from swarmd.actors.collected import Collected
from swarmd.errors import AlertNotFound, Conflict
from swarmd.messages.enums import HealthStatus, InstanceStatus
from swarmd.messages.replies import HealthCounts, InstanceCounts, MigrationCounts
from swarmd.messages.telemetry import ProviderMetrics, SwarmMetrics
from tests.daemon_tests.conftest import RunDaemon
from tests.daemon_tests.harness import Running, Settings
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
    code = f"import sys; open({str(notes)!r}, 'a').write(sys.stdin.read() + '\\n')"
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
    assert daemon.call("alert.acknowledge", id=alert["id"]) == taken
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
    assert {each["Authorization"] for each in receiver.headers} == {"Bearer t0ken"}
    wait_until(lambda: len(noted(notes)) == 2, describe=lambda: noted(notes))
    assert noted(notes) == [(kind, "raised"), (kind, "resolved")]
    wait_until(lambda: not daemon.tables.alerts.outbox)


def noted(file: Path) -> list[tuple[str, str]]:
    if not file.exists():
        return []
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return only([(each["type"], each["state"]) for each in lines])
