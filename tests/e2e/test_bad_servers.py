"""Servers that misbehave: the operation fails with a reason, the instance stays deletable."""

from __future__ import annotations

import pytest

from tests.daemon import STANDIN, DaemonProcess, Refused
from tests.e2e.conftest import MakeDaemon
from tests.e2e.looking import nothing_runs, traces_of

SHELL = "/bin/sh"


def failed_create(daemon: DaemonProcess) -> Refused:
    with pytest.raises(Refused) as refused:
        daemon.create("web")
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


def test_a_server_that_exits_at_once(make_daemon: MakeDaemon) -> None:
    command = [SHELL, "-c", "echo no licence for you >&2; exit 7"]
    daemon = make_daemon(options={"command": command}).start()
    error = failed_create(daemon)
    assert error.type == "provider_error"
    assert "no licence for you" in f"{error} {error.details}"
    cleared(daemon)


def test_a_server_that_never_answers(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(
        options={"command": [SHELL, "-c", "exec sleep 600"]},
        settings={"instances": {"start_timeout": "2s", "stop_grace": "1s"}},
    ).start()
    assert failed_create(daemon).type in {"timeout", "provider_error"}
    nothing_runs(daemon)
    cleared(daemon)


def test_a_server_that_ignores_sigterm(make_daemon: MakeDaemon) -> None:
    deaf = ("import runpy, signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
            "signal.signal = lambda *_: None; sys.argv = sys.argv[1:];"
            "runpy.run_path(sys.argv[0], run_name='__main__')")  # fmt: skip
    daemon = make_daemon(
        options={"command": [STANDIN[0], "-c", deaf, STANDIN[-1]]},
        settings={"instances": {"stop_grace": "1s"}},
    ).start()
    daemon.create("web")
    assert daemon.call("instance.stop", id="web")["status"] == "stopped"
    nothing_runs(daemon)
    daemon.call("instance.delete", id="web", force=True)


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
