"""One instance through its whole life, over the socket, on real parts."""

from __future__ import annotations

import pytest

from tests.daemon import DaemonProcess, Refused
from tests.e2e.looking import (
    healthz,
    listens,
    nothing_runs,
    output,
    port_of,
    processes_of,
    traces_of,
)
from tests.support import wait_until


def test_the_life_of_an_instance(either_daemon: DaemonProcess) -> None:
    daemon = either_daemon
    made = daemon.create("web", labels={"team": "red"})
    assert (made["status"], made["desired"]) == ("running", "running")
    assert healthz(made["url"]) == 200
    assert processes_of(daemon, made["id"])

    done = daemon.call_stream(
        "instance.exec", id="web", command=["sh", "-c", "echo hi >f; cat f; exit 3"]
    )
    assert output(done).strip() == "hi"
    assert done[-1]["exit_code"] == 3
    wait_until(lambda: output(daemon.call_stream("instance.logs", id="web")).strip())

    stopped = daemon.call("instance.stop", id="web")
    assert stopped["status"] == "stopped"
    assert not listens(port_of(made["url"]))
    nothing_runs(daemon)

    started = daemon.call("instance.start", id="web")
    assert started["url"] == made["url"]
    assert healthz(made["url"]) == 200

    changed = daemon.call("instance.update", id="web", changes={"labels": {"team": "blue"}})
    assert changed["config"]["labels"] == {"team": "blue"}
    assert changed["revision"] > started["revision"]

    daemon.call("instance.delete", id="web")
    assert daemon.instances() == []
    assert [item["name"] for item in daemon.instances(trash=True)] == ["web"]
    nothing_runs(daemon)

    back = daemon.call("instance.undelete", id=made["id"])
    assert back["status"] == "stopped"
    daemon.call("instance.start", id="web")
    kept = daemon.call_stream("instance.exec", id="web", command=["cat", "f"])
    assert output(kept).strip() == "hi"

    url = daemon.call("instance.get", id="web")["url"]
    daemon.call("instance.delete", id="web", force=True)
    assert daemon.instances() == []
    assert daemon.instances(trash=True) == []
    with pytest.raises(Refused) as refused:
        daemon.call("instance.get", id=made["id"])
    assert refused.value.type == "instance_not_found"
    nothing_runs(daemon)
    assert not listens(port_of(url))
    assert traces_of(daemon, made["id"]) == []


def test_the_password_is_shown_on_request_and_nowhere_else(daemon: DaemonProcess) -> None:
    made = daemon.create("web", env={"COLOUR": "red"})
    shown = daemon.call("instance.credentials", id="web")
    password = shown["password"]
    assert len(password) >= 12
    assert shown["url"] == made["url"]
    replies = [
        daemon.call("instance.get", id="web"),
        daemon.instances(),
        daemon.call("operation.list"),
        daemon.call("instance.why", id="web"),
        daemon.call("events.history"),
        daemon.call("daemon.status"),
    ]
    assert password not in repr(replies)
    assert password not in daemon.log.read_text()
    for process in daemon.instance_processes():
        assert password not in process.command


def test_the_trash_is_emptied_by_force(daemon: DaemonProcess) -> None:
    made = daemon.create("web")
    daemon.call("instance.delete", id="web")
    daemon.call("instance.delete", id=made["id"], force=True)
    assert daemon.instances(trash=True) == []
    assert traces_of(daemon, made["id"]) == []


def test_every_step_is_told(daemon: DaemonProcess) -> None:
    made = daemon.create("web")
    daemon.call("instance.stop", id="web")
    types = [event["type"] for event in daemon.call("events.history")["items"]]
    assert {"instance_created", "instance_started", "instance_stopped"} <= set(types)
    story = daemon.call("instance.why", id="web")
    assert story["id"] == made["id"]
    assert story["items"]
    kinds = {operation["kind"] for operation in daemon.call("operation.list")["items"]}
    assert {"create", "stop"} <= kinds


def test_the_daemon_stops_cleanly_and_the_instances_go_on(daemon: DaemonProcess) -> None:
    made = daemon.create("web")
    assert daemon.stop() == 0
    assert healthz(made["url"]) == 200
    assert not daemon.socket.exists()
    daemon.start()
    assert daemon.call("instance.get", id="web")["status"] == "running"
    daemon.call("instance.delete", id="web", force=True)
    nothing_runs(daemon)
