"""Servers that misbehave: the operation fails with a reason, the instance stays deletable."""

from __future__ import annotations

import pytest

from tests.daemon import DaemonProcess, Refused
from tests.e2e.conftest import MakeDaemon
from tests.e2e.looking import nothing_runs, traces_of


def failed_create(daemon: DaemonProcess, name: str) -> Refused:
    with pytest.raises(Refused) as refused:
        daemon.create(name)
    operation = daemon.call("operation.list")["items"][0]
    assert operation["state"] == "failed"
    assert operation["error"]["type"] == refused.value.type
    assert refused.value.details["next_step"]
    return refused.value


def cleared(daemon: DaemonProcess) -> None:
    """Whether a refused create left an instance or not: after a delete nothing is there."""
    for item in daemon.instances():
        daemon.call("instance.delete", id=item["id"], force=True)
        assert traces_of(daemon, item["id"]) == []
    assert daemon.instances() == []
    nothing_runs(daemon)


def test_a_server_that_exits_at_once(daemon: DaemonProcess) -> None:
    error = failed_create(daemon, "exit-web")
    assert error.type == "provider_error"
    assert "3" in str(error)
    cleared(daemon)


@pytest.mark.parametrize("name", ["mute-web", "ill-web"])
def test_a_server_that_never_answers(make_daemon: MakeDaemon, name: str) -> None:
    daemon = make_daemon(
        settings={"instances": {"start_timeout": "2s", "stop_grace": "1s"}}
    ).start()
    assert failed_create(daemon, name).type in {"timeout", "provider_error"}
    nothing_runs(daemon)
    cleared(daemon)


@pytest.mark.parametrize("name", ["stubborn-web", "orphan-web", "stubborn-fork-web"])
def test_a_server_that_ignores_sigterm(make_daemon: MakeDaemon, name: str) -> None:
    daemon = make_daemon(settings={"instances": {"stop_grace": "1s"}}).start()
    daemon.create(name)
    assert daemon.call("instance.stop", id=name)["status"] == "stopped"
    nothing_runs(daemon)
    daemon.call("instance.delete", id=name, force=True)


def test_no_server_at_all_names_the_command_that_gets_one(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(options={"command": ["/nowhere/code-server"]}).start()
    with pytest.raises(Refused) as refused:
        daemon.create("web")
    assert "swarmctl setup code-server" in refused.value.details["next_step"]
    assert daemon.instances() == []


def test_a_full_port_range(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(options={"port_range": "9801-9802"}).start()
    daemon.create("one")
    daemon.create("two")
    with pytest.raises(Refused) as refused:
        daemon.create("three")
    assert refused.value.type == "resource_limit_error"
    assert refused.value.details["next_step"]
    assert {item["name"] for item in daemon.instances()} == {"one", "two"}
    for name in ("one", "two"):
        daemon.call("instance.delete", id=name, force=True)
    nothing_runs(daemon)
