"""Health as it is asked for, kept and switched off: over the socket and by ``swarmctl``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.daemon import DaemonProcess, Refused
from tests.e2e.conftest import MakeDaemon
from tests.e2e.health_kit import (
    SEEN,
    ask,
    automatic,
    await_health,
    await_looks,
    await_well,
    fast,
    get,
    hung,
    make,
    server_of,
    told,
    turns,
    whole,
)
from tests.e2e.looking import nothing_runs
from tests.support import is_alive, wait_until

CHECKS = ["exists", "status", "responds", "resources"]


@pytest.fixture
def watched(make_daemon: MakeDaemon) -> DaemonProcess:
    """A running daemon that watches its instances' health fast."""
    return make_daemon(settings=fast()).start()


def answer_of(found: dict[str, Any], kind: str) -> dict[str, Any]:
    """One of the four checks."""
    (check,) = [each for each in found["checks"] if each["kind"] == kind]
    return dict(check)


# --- asked now -------------------------------------------------------------------------------


def test_it_is_asked_now(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(settings=fast(check_interval="1h")).start()
    make(daemon, "web")
    points = len(ask(daemon, "web")["history"])
    before = datetime.now(UTC)
    found = ask(daemon, "web")
    assert datetime.fromisoformat(found["last_checked"]) >= before
    assert (found["status"], found["details"], found["illness"]) == ("healthy", "it answers", None)
    assert [check["kind"] for check in found["checks"]] == CHECKS
    responds = answer_of(found, "responds")
    assert 0 < responds["seconds"] <= 0.5
    assert responds["value"] < responds["limit"] == 1.0
    assert len(found["history"]) == points + 1
    at, status, seconds, message = found["history"][-1]
    assert datetime.fromisoformat(at) >= before
    assert (status, message) == ("healthy", "it answers")
    assert seconds == pytest.approx(responds["seconds"], rel=1e-3)


def test_what_hangs_answers_the_question_by_not_answering(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(settings=fast(check_interval="1h", failures=1, auto_recover=False)).start()
    made = make(daemon, "web")
    daemon.call("instance.update", id="web", changes={"health": {"grace": "0s"}})
    with hung(server_of(daemon, made)):
        found = ask(daemon, "web")
        assert (found["status"], found["illness"]) == ("unhealthy", "hung")
        assert answer_of(found, "responds")["verdict"] == "unhealthy"
        assert answer_of(found, "responds")["value"] == "1 failed in a row"
        assert answer_of(found, "exists")["verdict"] != "degraded"
    assert ask(daemon, "web")["status"] == "healthy"


def test_of_a_stopped_one_nothing_is_said(watched: DaemonProcess) -> None:
    make(watched, "web")
    watched.call("instance.stop", id="web")
    before = datetime.now(UTC)
    found = ask(watched, "web")
    assert (found["status"], found["details"]) == ("unknown", "it is not to run")
    assert datetime.fromisoformat(found["last_checked"]) >= before
    assert answer_of(found, "status")["verdict"] == "healthy"
    assert answer_of(found, "responds")["message"] == "it is not asked: it does not run"
    watched.call("instance.create", config={"name": "never"}, start=False)
    assert ask(watched, "never")["status"] == "unknown"
    with pytest.raises(Refused) as refused:
        ask(watched, "nobody")
    assert refused.value.type == "instance_not_found"


# --- switched off ----------------------------------------------------------------------------


def test_switched_off_nothing_is_watched(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(settings=fast(enabled=False)).start()
    made = daemon.create("web")
    names = [each["name"] for each in daemon.call("daemon.actors")["items"]]
    assert not [name for name in names if name.startswith("health:")]
    with pytest.raises(Refused) as refused:
        ask(daemon, "web")
    assert refused.value.type == "unavailable"
    assert refused.value.details["field"] == "health.enabled"
    server = server_of(daemon, made)
    with hung(server):
        await_looks(daemon, 4)
        assert get(daemon, "web")["health"] == "unknown"
    assert is_alive(server)
    assert automatic(daemon, "web") == turns(daemon, "web") == []


@pytest.mark.parametrize("own", [False, True], ids=["auto_recover", "health.recover"])
def test_not_recovered_it_is_shown_and_left_alone(make_daemon: MakeDaemon, own: bool) -> None:
    daemon = make_daemon(settings=fast(auto_recover=own)).start()
    made = make(daemon, "web", **({"health": {"recover": False}} if own else {}))
    server = server_of(daemon, made)
    with hung(server):
        await_health(daemon, "web", "unhealthy")
        await_looks(daemon)
        assert "not recovered by itself" in ask(daemon, "web")["details"]
    assert is_alive(server)
    await_well(daemon, "web")
    server.kill()
    await_health(daemon, "web", "unhealthy")
    await_looks(daemon)
    nothing_runs(daemon)
    assert automatic(daemon, "web") == []
    found = ask(daemon, "web")
    assert (found["status"], found["illness"]) == ("unhealthy", "exited")
    assert "not recovered by itself" in found["details"]
    assert "not recovered by itself" in told(daemon, "web")
    daemon.call("instance.start", id="web")
    await_well(daemon, "web")
    whole(daemon, made)


def test_its_own_wish_stands_above_the_configuration(make_daemon: MakeDaemon) -> None:
    daemon = make_daemon(settings=fast(auto_recover=False)).start()
    made = make(daemon, "web", health={"recover": True})
    before = server_of(daemon, made)
    with hung(before):
        wait_until(lambda: not is_alive(before), timeout=SEEN)
    await_well(daemon, "web")
    assert automatic(daemon, "web") == ["recovery restart"]


# --- kept ------------------------------------------------------------------------------------


def kept_points(daemon: DaemonProcess, made: dict[str, Any]) -> list[Any]:
    """The history on disk."""
    path = daemon.state / "health" / f"{made['id']}.json"
    return list(json.loads(path.read_text())["history"]) if path.exists() else []


def test_history_and_status_survive_kill_9(watched: DaemonProcess) -> None:
    web = make(watched, "web")
    ill = make(watched, "ill", health={"recover": False})
    servers = server_of(watched, web), server_of(watched, ill)
    with hung(servers[1]):
        await_health(watched, "ill", "unhealthy")
        for made in (web, ill):
            wait_until(
                lambda made=made: any(  # type: ignore[misc]
                    point[1] == ("unhealthy" if made is ill else "healthy")
                    for point in kept_points(watched, made)
                ),
                timeout=SEEN,
            )
        watched.kill()
        before = {made["name"]: kept_points(watched, made) for made in (web, ill)}
        watched.start()
        heard = {name: turns(watched, name) for name in before}
        await_looks(watched)
        assert get(watched, "web")["health"] == "healthy"
        assert get(watched, "ill")["health"] == "unhealthy"
        for name, points in before.items():
            assert points
            found = ask(watched, name)["history"]
            assert found[: len(points)] == points
            assert len(found) > len(points)
            assert turns(watched, name) == heard[name], "a restart of the daemon is no event"
            assert automatic(watched, name) == []
    assert (server_of(watched, web), server_of(watched, ill)) == servers


def test_what_is_deleted_leaves_no_history(watched: DaemonProcess) -> None:
    made = make(watched, "web")
    wait_until(lambda: kept_points(watched, made), timeout=SEEN)
    watched.call("instance.delete", id="web", force=True)
    await_looks(watched)
    wait_until(lambda: not (watched.state / "health" / f"{made['id']}.json").exists())


# --- probes ----------------------------------------------------------------------------------


def test_a_command_is_the_answer(watched: DaemonProcess) -> None:
    probe = {"probe": "exec", "command": ["test", "-f", "ready"], "recover": False}
    watched.create("web", health=probe)
    await_health(watched, "web", "unhealthy")
    found = ask(watched, "web")
    assert "test ended with 1" in answer_of(found, "responds")["message"]
    watched.call_stream("instance.exec", id="web", command=["touch", "ready"])
    await_health(watched, "web", "healthy")
    watched.call_stream("instance.exec", id="web", command=["rm", "ready"])
    await_health(watched, "web", "unhealthy")
    assert automatic(watched, "web") == []


def test_a_page_and_a_connection(watched: DaemonProcess) -> None:
    page = make(watched, "page", health={"probe": "http", "path": "/x", "recover": False})
    wire = make(watched, "wire", health={"probe": "tcp", "recover": False})
    never = watched.create("never", health={"probe": "none", "recover": False})
    await_health(watched, "never", "healthy")
    assert "never asked" in ask(watched, "never")["details"]
    servers = [server_of(watched, each) for each in (page, wire, never)]
    with hung(servers[0]), hung(servers[1]), hung(servers[2]):
        await_health(watched, "page", "unhealthy")
        # The kernel takes connections for one that hangs: whoever only connects sees no more.
        assert ask(watched, "wire")["status"] == "healthy"
        assert ask(watched, "never")["status"] == "healthy"
    await_health(watched, "page", "healthy")


@pytest.mark.parametrize(
    ("check", "field"),
    [
        ({"probe": "exec"}, "config.health.command"),
        ({"command": ["true"]}, "config.health.command"),
        ({"probe": "tcp", "command": ["true"]}, "config.health.command"),
        ({"path": "/x"}, "config.health.path"),
        ({"probe": "tcp", "path": "/x"}, "config.health.path"),
        ({"probe": "http", "path": "x"}, "config.health.path"),
        ({"probe": "ping"}, "config.health.probe"),
        ({"failures": 0}, "config.health.failures"),
    ],
)
def test_what_makes_no_sense_is_refused(
    daemon: DaemonProcess, check: dict[str, Any], field: str
) -> None:
    with pytest.raises(Refused) as refused:
        daemon.create("web", health=check)
    assert refused.value.details["field"] == field
    assert refused.value.details["next_step"]
    assert daemon.instances() == []


# --- swarmctl --------------------------------------------------------------------------------


def test_swarmctl_health(watched: DaemonProcess) -> None:
    made = make(watched, "web")
    done = watched.ctl("health", "web")
    assert done.returncode == 0, done.stderr
    first, _, *lines = done.stdout.splitlines()
    assert first.startswith(f"{made['owner']}/web is healthy since ")
    assert first.endswith(": it answers")
    assert lines[0].split() == ["CHECK", "VERDICT", "VALUE", "LIMIT", "TOOK", "SAYS"]
    assert [line.split()[0] for line in lines[1:5]] == CHECKS
    assert lines[6].split() == ["AT", "HEALTH", "TOOK", "WHY"]
    assert lines[7].endswith("it answers")
    data = watched.ctl_json("health", "web")
    assert (data["id"], data["status"]) == (made["id"], "healthy")
    assert [check["kind"] for check in data["checks"]] == CHECKS
    missing = watched.ctl("health", "nobody", "-o", "json")
    assert missing.returncode == 3
    assert json.loads(missing.stdout)["error"]["type"] == "instance_not_found"


def test_swarmctl_recover(watched: DaemonProcess) -> None:
    made = make(watched, "web")
    ref = f"{made['owner']}/web"
    before = server_of(watched, made)
    done = watched.ctl("recover", "web")
    assert (done.returncode, done.stdout) == (0, f"{ref}  running  {made['url']}\n"), done.stderr
    between = server_of(watched, made)
    assert between.pid != before.pid
    data = watched.ctl_json("recover", "web", "--action", "recreate")
    assert (data["id"], data["status"]) == (made["id"], "running")
    assert server_of(watched, made).pid != between.pid
    whole(watched, made)
    refused = watched.ctl("recover", "web", "--action", "migrate", "-o", "json")
    assert refused.returncode != 0
    assert json.loads(refused.stdout)["error"]["type"] == "unavailable"
    watched.call("instance.stop", id="web")
    stopped = watched.ctl("recover", "web")
    assert stopped.returncode == 2
    assert f"→ Start it: swarmctl start {ref}." in stopped.stderr
    several = watched.ctl("health", "web", "-o", "json")
    assert json.loads(several.stdout)["data"]["status"] == "unknown"
