"""kill -9, a second daemon, a reload: the daemon comes and goes, instances stay."""

from __future__ import annotations

import signal
import time

import pytest

from tests.daemon import DaemonProcess
from tests.e2e.conftest import MakeDaemon
from tests.e2e.looking import healthz, nothing_runs, processes_of
from tests.support import wait_until

STOP_SECONDS = 4.0
"""Less than what the socket gives connections that are busy."""


def test_instances_outlive_kill_9_and_are_adopted(either_daemon: DaemonProcess) -> None:
    daemon = either_daemon
    running, stopped = daemon.create("running"), daemon.create("stopped")
    daemon.call("instance.stop", id="stopped")
    before = processes_of(daemon, running["id"])
    daemon.kill()
    assert healthz(running["url"]) == 200
    daemon.start()
    found = {item["name"]: item for item in daemon.instances()}
    assert found["running"]["status"] == "running"
    assert found["stopped"]["status"] == "stopped"
    assert found["running"]["url"] == running["url"]
    assert found["stopped"]["id"] == stopped["id"]
    assert processes_of(daemon, running["id"]) == before
    daemon.call("instance.delete", id="running", force=True)
    nothing_runs(daemon)


def test_what_died_while_the_daemon_was_away_is_noticed(daemon: DaemonProcess) -> None:
    made = daemon.create("web")
    daemon.kill()
    for process in daemon.instance_processes():
        process.kill()
    daemon.start()

    def seen() -> str:
        return str(daemon.call("instance.get", id="web")["status"])

    wait_until(lambda: seen() != "unknown", timeout=20, describe=seen)
    wait_until(
        lambda: (seen() == "running") == (healthz(made["url"]) == 200), timeout=20, describe=seen
    )
    daemon.call("instance.delete", id="web", force=True)
    nothing_runs(daemon)


def test_who_watches_delays_no_stop(daemon: DaemonProcess) -> None:
    """A log that is followed, a command that reads nothing, events: all are open at the end."""
    daemon.create("web")
    with daemon.connect() as watcher:
        watcher.call("instance.logs", id="web", follow=True)
        watcher.call("events.subscribe")
        command = ["sh", "-c", "exec sleep 1000"]
        deaf = watcher.call("instance.exec", id="web", command=command, stdin=True)["stream"]
        for _ in range(3):  # more than the pipe takes
            watcher.send("stream.write", stream=deaf, data_b64="AAAA" * 25_000)
        wait_until(lambda: any("sleep" in each.command for each in daemon.instance_processes()))
        begun = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - begun < STOP_SECONDS
    wait_until(lambda: not any("sleep" in each.command for each in daemon.instance_processes()))


@pytest.mark.parametrize("kept", ["create", "stop", "delete"])
def test_an_accepted_wish_survives_kill_9(daemon: DaemonProcess, kept: str) -> None:
    if kept != "create":
        daemon.create("web")
    params = {"config": {"name": "web"}} if kept == "create" else {"id": "web"}
    operation = daemon.call(f"instance.{kept}", **params, wait=False)
    daemon.kill()
    daemon.start()
    ended = daemon.call("operation.wait", id=operation["id"], timeout="30s")
    assert ended["state"] in {"succeeded", "failed"}
    names = {item["name"]: item["status"] for item in daemon.instances()}
    if kept == "delete":
        assert names == {}
    elif kept == "stop":
        assert names == {"web": "stopped"}
    else:
        assert (ended["state"] == "succeeded") == ("web" in names)
    for name in names:
        daemon.call("instance.delete", id=name, force=True)
    nothing_runs(daemon)


def test_a_second_daemon_on_the_state_directory_is_refused(
    daemon: DaemonProcess, make_daemon: MakeDaemon
) -> None:
    second = make_daemon("second")
    second.state, second.data = daemon.state, daemon.data
    second.start(wait=False)
    assert second.process is not None
    assert second.process.wait(30) != 0
    words = second.last_words()
    assert str(daemon.state) in words
    assert "Traceback" not in words
    assert daemon.answers()
    second.data = second.folder / "data"


def test_a_reload_says_what_it_applied(daemon: DaemonProcess) -> None:
    daemon.settings["instances"] = {"stop_grace": "3s"}
    daemon.settings["journal"] = {"segment_size": "1m"}
    daemon.write_config()
    report = daemon.ctl_json("reload")
    named = set(report["applied"]) | set(report["restart_required"])
    assert "instances.stop_grace" in report["applied"]
    assert "journal.segment_size" in named


def test_sighup_reloads(daemon: DaemonProcess) -> None:
    daemon.settings["instances"] = {"stop_grace": "3s"}
    daemon.write_config()
    daemon.signal(signal.SIGHUP)
    wait_until(
        lambda: "config_reloaded" in {e["type"] for e in daemon.call("events.history")["items"]},
        describe=daemon.last_words,
    )


def test_a_reload_of_a_broken_file_changes_nothing(daemon: DaemonProcess) -> None:
    daemon.config.write_text("[instances]\nstop_grase = 3\n")
    done = daemon.ctl("reload")
    assert done.returncode == 2
    assert "stop_grace" in done.stderr
    assert daemon.answers()
