"""An episode with kill -9 in it: one alert, each end of it told, whoever was down meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.daemon import DaemonProcess
from tests.e2e.conftest import MakeDaemon
from tests.e2e.health_kit import await_looks, await_well, crash_until_held, fast, make
from tests.sinks.receiver import Receiver
from tests.support import free_port, wait_until

HELD = "instance_held"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """One that does not listen yet."""
    made = Receiver(free_port())
    yield made
    made.close()


def told(daemon: DaemonProcess) -> list[tuple[str, str]]:
    """Alert and state of each event about instances."""
    items = daemon.call("events.history", type=["alert"])["items"]
    data = [each["data"] for each in items]
    return [(each["id"], each["state"]) for each in data if each["type"] == HELD]


def taken(receiver: Receiver) -> list[tuple[str, str]]:
    return [(each["id"], each["state"]) for each in receiver.told if each["type"] == HELD]


def waiting(daemon: DaemonProcess) -> list[Any]:
    """What is still to be told, as it is on disk."""
    file = daemon.state / "alerts.json"
    return list(json.loads(file.read_text())["outbox"]) if file.exists() else []


def alerts(daemon: DaemonProcess, **filters: Any) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = daemon.call("alert.list", type=[HELD], **filters)["items"]
    return items


def test_over_kill_9(make_daemon: MakeDaemon, receiver: Receiver) -> None:
    alerting = {
        "resolve_after": "0s",
        "webhooks": [{"name": "ops", "url": receiver.url}],
    }
    daemon = make_daemon(settings={**fast(max_recovery_attempts=1), "alerting": alerting}).start()
    made = make(daemon, "web")
    crash_until_held(daemon, made)
    wait_until(lambda: alerts(daemon), timeout=20, describe=daemon.last_words)
    [alert] = alerts(daemon)
    assert alert["target"] == made["id"]
    shown = daemon.ctl("alerts", "-o", "wide").stdout
    assert f"Instance {made['owner']}/web is held" in shown
    assert alert["details"]["next_step"] in shown

    daemon.kill()
    receiver.start()
    daemon.start()
    raised = (alert["id"], "raised")
    wait_until(lambda: taken(receiver) == [raised], timeout=30, describe=daemon.last_words)
    await_looks(daemon)
    assert [each["id"] for each in alerts(daemon)] == [alert["id"]]
    assert told(daemon) == [raised]
    wait_until(lambda: not waiting(daemon), describe=lambda: waiting(daemon))

    done = daemon.ctl("alerts", "ack", alert["id"], "--note", "on it")
    assert done.returncode == 0, done.stderr
    receiver.close()
    daemon.call("instance.start", id="web")
    await_well(daemon, "web")
    resolved = (alert["id"], "resolved")
    wait_until(lambda: resolved in told(daemon), timeout=20, describe=lambda: told(daemon))
    daemon.kill()
    receiver.start()
    daemon.start()
    wait_until(
        lambda: taken(receiver) == [raised, resolved], timeout=30, describe=daemon.last_words
    )
    assert told(daemon) == [raised, (alert["id"], "acknowledged"), resolved]
    assert alerts(daemon) == []
    [ended] = alerts(daemon, state=["resolved"])
    assert (ended["note"], ended["state"]) == ("on it", "resolved")
    wait_until(lambda: not waiting(daemon), describe=lambda: waiting(daemon))
