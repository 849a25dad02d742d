"""A server that ends is running again at once, whatever the time between two looks."""

from __future__ import annotations

import resource
import time
from typing import Any

import pytest

from tests.daemon import DaemonProcess
from tests.e2e.conftest import MakeDaemon
from tests.e2e.looking import healthz, nothing_runs, processes_of
from tests.support import wait_until

BACK_SECONDS = 5.0
SELDOM = {"observe_interval": "60s", "reconcile_interval": "60s"}


@pytest.fixture
def blind(make_daemon: MakeDaemon) -> DaemonProcess:
    """A daemon that looks once a minute."""
    return make_daemon(settings={"daemon": SELDOM}).start()


def kill_instance(daemon: DaemonProcess, instance_id: str) -> set[str]:
    """kill -9 of everything that it is; what that was."""
    before = set(processes_of(daemon, instance_id))
    assert before
    for process in daemon.instance_processes():
        if str(process) in before:
            process.kill()
    return before


def wait_until_back(daemon: DaemonProcess, made: dict[str, Any], before: set[str]) -> None:
    """Another process, the same URL."""

    def back() -> bool:
        now = set(processes_of(daemon, made["id"]))
        return bool(now) and not now & before and seen()["status"] == "running"

    def seen() -> dict[str, Any]:
        found: dict[str, Any] = daemon.call("instance.get", id=made["id"])
        return found

    begun = time.monotonic()
    wait_until(back, timeout=BACK_SECONDS, describe=seen)
    assert time.monotonic() - begun < BACK_SECONDS + 1
    assert seen()["url"] == made["url"]
    assert healthz(made["url"]) == 200


def story(daemon: DaemonProcess, instance_id: str) -> list[tuple[str, str]]:
    """What happened, and why."""
    items = daemon.call("instance.why", id=instance_id)["items"]
    return [(item["what"], item["why"]) for item in items]


def test_a_killed_server_is_back_before_anyone_looks(blind: DaemonProcess) -> None:
    made, other = blind.create("web"), blind.create("other")
    others = processes_of(blind, other["id"])
    before = kill_instance(blind, made["id"])
    wait_until_back(blind, made, before)
    told = story(blind, made["id"])
    assert ("running → stopped", "ended by SIGKILL") in told
    why = "it is to run and was found stopped: ended by SIGKILL (attempt 1 of 3)"
    assert ("started", why) in told
    assert processes_of(blind, other["id"]) == others
    for name in ("web", "other"):
        blind.call("instance.delete", id=name, force=True)
    nothing_runs(blind)


def test_a_server_that_was_taken_over_is_back_as_well(blind: DaemonProcess) -> None:
    """It is no child of this daemon: only a descriptor of the process tells its end."""
    made = blind.create("web")
    blind.kill()
    blind.start()
    wait_until(lambda: blind.call("instance.get", id="web")["status"] == "running")
    before = kill_instance(blind, made["id"])
    wait_until_back(blind, made, before)
    told = [what for what, _ in story(blind, made["id"])]
    whats = [what for what in told if not what.startswith("health")]
    assert whats[-3:] == ["running → stopped", "start", "started"]
    blind.call("instance.delete", id="web", force=True)
    nothing_runs(blind)


def test_ends_are_followed_beyond_a_shell_s_usual_limit_of_descriptors(
    make_daemon: MakeDaemon,
) -> None:
    """1,024 of them would do for half as many instances: the daemon takes what the host allows."""
    kind = resource.RLIMIT_NOFILE
    limits = resource.getrlimit(kind)
    resource.setrlimit(kind, (min(512, limits[0]), limits[1]))
    try:
        pid = make_daemon().start().pid
    finally:
        resource.setrlimit(kind, limits)
    soft, hard = resource.prlimit(pid, kind)
    assert hard == limits[1]
    assert soft == (1 << 16 if hard == resource.RLIM_INFINITY else min(hard, 1 << 16))
