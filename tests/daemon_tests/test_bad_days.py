"""Bad days, end to end: full disks, killed instances, lost actors, hanging providers."""

from __future__ import annotations

import errno
import os
import signal
import threading
from typing import Any

import pytest

import swarmd.store.store
from swarmd.actors import bridge
from swarmd.actors import provider as provider_actor
from swarmd.errors import (
    DeadlineExceeded,
    InitializationError,
    ProviderError,
    ResourceLimitError,
    SwarmError,
    Unavailable,
)
from tests.daemon_tests.conftest import RunDaemon
from tests.daemon_tests.harness import Running, Settings
from tests.store.crash import SteppedFiles
from tests.support import wait_until


class FullDisk(SteppedFiles):
    """A disk that a test fills and empties."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False

    def step(self, name: str, path: str = "") -> None:
        if self.full and name in {"create", "write", "reserve", "write the rest"}:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path or None)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FullDisk:
    made = FullDisk()
    monkeypatch.setattr(swarmd.store.store, "Files", lambda: made)
    return made


def test_a_full_disk_refuses_and_loses_nothing(running_daemon: RunDaemon, disk: FullDisk) -> None:
    daemon = running_daemon()
    daemon.create("web")
    disk.full = True
    for method, params in (
        ("instance.create", {"config": {"name": "other"}}),
        ("instance.stop", {"id": "web"}),
        ("instance.delete", {"id": "web"}),
    ):
        with pytest.raises(ResourceLimitError) as caught:
            daemon.call(method, **params)
        assert caught.value.next_step
    assert daemon.status_of("web") == "running"
    assert daemon.call("instance.list")["total"] == 1
    status = daemon.call("daemon.status")
    assert status["state"] == "degraded"
    assert "cannot be written" in " ".join(status["reasons"])
    disk.full = False
    daemon.ready()
    daemon.call("instance.stop", id="web")
    daemon.create("other")
    daemon.check_consistent()
    names = [item["name"] for item in daemon.call("instance.list")["items"]]
    assert names == ["other", "web"]


def test_an_outcome_that_cannot_be_written_is_written_later(
    running_daemon: RunDaemon, disk: FullDisk
) -> None:
    """The start has happened; only the disk does not know it yet."""
    gate = threading.Event()

    class Slow:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def start(self, *arguments: Any) -> Any:
            seen = self.inner.start(*arguments)
            assert gate.wait(10)
            return seen

    daemon = running_daemon(wrap_provider=Slow)
    create = daemon.begin("instance.create", config={"name": "web"})
    daemon.wait_status("web", "starting")
    disk.full = True
    gate.set()
    wait_until(lambda: daemon.daemon.parts.published.write_error)
    disk.full = False
    assert daemon.wait(create)["state"] == "succeeded"
    assert daemon.status_of("web") == "running"


def test_a_killed_instance_is_started_again(running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    made = daemon.create("web")
    with daemon.client() as client:
        events = client.stream("events.subscribe", {})
        for pid in daemon.settings.processes():
            os.kill(pid, signal.SIGKILL)
        seen = []
        while "instance_started" not in seen:
            chunk = events.read(10)
            assert chunk is not None
            if isinstance(chunk.data, dict):
                seen.append(chunk.data.get("type"))
    assert "instance_status_changed" in seen
    again = daemon.wait_status("web", "running")
    assert again["url"] == made["url"]
    story = " ".join(each["what"] for each in daemon.call("instance.why", id="web")["items"])
    assert "running → stopped" in story
    daemon.check_consistent()


def test_a_crash_loop_is_slowed_down(running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    daemon.create("web")
    for _ in range(2):
        daemon.wait_status("web", "running")
        for pid in daemon.settings.processes():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: daemon.status_of("web") != "running")
    daemon.wait_status("web", "running")
    starts = daemon.call("operation.list", target="web", kind=["start"])["items"]
    assert len(starts) == 2
    assert {each["origin"] for each in starts} == {"reconcile"}
    first, second = sorted(each["created_at"] for each in starts)
    assert first < second


def test_a_failed_start_is_held_in_error(running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    daemon.create("exit-web", start=False)
    with pytest.raises(ProviderError):
        daemon.call("instance.start", id="exit-web")
    for _ in range(3):
        daemon.look()
        wait_until(daemon.mailbox_empty)
    held = daemon.call("instance.get", id="exit-web")
    assert held["status"] == "error"
    assert held["desired"] == "running"
    assert held["last_error"]["type"] == "provider_error"
    starts = daemon.call("operation.list", target="exit-web", kind=["start"])["items"]
    assert len(starts) == 1
    daemon.call("instance.delete", id="exit-web", force=True)
    daemon.check_consistent()


def test_a_create_that_cannot_start_stays_for_a_look(running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    with pytest.raises(ProviderError):
        daemon.create("exit-web")
    assert daemon.status_of("exit-web") == "error"


def test_a_refused_create_leaves_nothing(running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    with pytest.raises(SwarmError):
        daemon.create("web", workspace="/nowhere/at/all")
    daemon.check_consistent()
    assert daemon.tables.instances == {}
    failed = daemon.call("operation.list")["items"]
    assert all(each["state"] == "failed" for each in failed)


def test_trash_is_purged_in_time(running_daemon: RunDaemon, settings: Settings) -> None:
    settings.tables = {"instances": {"trash_retention": "0.1s"}}
    settings.write()
    daemon = running_daemon()
    daemon.create("web", start=False)
    daemon.call("instance.delete", id="web")
    wait_until(lambda: not daemon.tables.instances, timeout=15)
    assert [path for path in settings.data.iterdir() if not path.name.startswith(".")] == []


# --- parts of the daemon that do not work ------------------------------------------------------


def test_an_actor_that_cannot_be_kept_alive_ends_the_daemon(
    running_daemon: RunDaemon, settings: Settings
) -> None:
    struck = threading.Event()

    def fault(name: str, message: object) -> None:
        if struck.is_set() and name == "registry":
            raise RuntimeError("always")

    daemon = running_daemon(fault=fault)
    daemon.create("web")
    struck.set()
    assert daemon.ended() == 1
    assert len(settings.processes()) == 1
    assert daemon.daemon.condition()[0].value == "failed"
    # The next life finds it all.
    struck.clear()
    again = running_daemon()
    assert again.status_of("web") == "running"
    again.check_consistent()


def test_no_caller_waits_past_its_deadline(
    running_daemon: RunDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The controller hangs: the request is refused in time, and reads go on."""
    monkeypatch.setattr(bridge, "ACCEPT_SECONDS", 0.5)
    hold, held = threading.Event(), threading.Event()

    def fault(name: str, message: object) -> None:
        if name == "controller" and held.is_set():
            assert hold.wait(20)

    daemon = running_daemon(fault=fault)
    held.set()
    with pytest.raises(DeadlineExceeded) as caught:
        daemon.create("web")
    assert caught.value.next_step
    assert daemon.call("daemon.status")["instances"]["total"] == 0
    held.clear()
    hold.set()


@pytest.fixture
def broken() -> list[str]:
    """Names of the calls that do not work."""
    return ["initialize"]


class Broken:
    """A provider of which some calls fail in a way that no provider should."""

    def __init__(self, inner: Any, calls: list[str]) -> None:
        self.inner, self.calls = inner, calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if name not in self.calls:
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            if name in self.calls:
                raise OSError(errno.EIO, f"{name} is broken")
            return found(*arguments, **named)

        return call


def test_a_provider_that_cannot_begin_is_tried_again(
    running_daemon: RunDaemon, broken: list[str]
) -> None:
    daemon = running_daemon(wait=False, wrap_provider=lambda inner: Broken(inner, broken))
    wait_until(lambda: daemon.call("daemon.status")["state"] == "degraded")
    info = daemon.call("provider.get", name="local")
    assert not info["health"]["ok"]
    with pytest.raises(Unavailable) as caught:
        daemon.create("web")
    assert "local" in str(caught.value)
    broken.clear()
    daemon.ready()
    daemon.create("web")


@pytest.mark.parametrize(("call", "kind"), [("list", "degraded"), ("upkeep", "ready")])
def test_a_provider_that_does_not_answer(
    running_daemon: RunDaemon, broken: list[str], call: str, kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(provider_actor, "_UPKEEP_SECONDS", 0.1)
    broken.clear()
    daemon = running_daemon(wrap_provider=lambda inner: Broken(inner, broken))
    daemon.create("web")
    broken.append(call)
    daemon.look()
    wait_until(lambda: daemon.call("daemon.status")["state"] == kind)
    # Nothing is concluded about what it did not show.
    assert daemon.status_of("web") == "running"
    broken.clear()
    daemon.ready()


def test_a_provider_call_that_breaks_its_promise(
    running_daemon: RunDaemon, broken: list[str]
) -> None:
    broken[:] = ["start"]
    daemon = running_daemon(wrap_provider=lambda inner: Broken(inner, broken))
    with pytest.raises(ProviderError) as caught:
        daemon.create("web")
    assert "OSError" in caught.value.details["cause"]
    assert daemon.status_of("web") == "error"


def test_a_provider_that_hangs_when_asked_what_runs(
    running_daemon: RunDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_actor, "_SLOW_SECONDS", 0.3)
    hang, go = threading.Event(), threading.Event()

    class Hanging:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def list(self) -> Any:
            if hang.is_set():
                assert go.wait(20)
            return self.inner.list()

    daemon = running_daemon(wrap_provider=Hanging)
    hang.set()
    wait_until(lambda: daemon.call("daemon.status")["state"] == "degraded")
    reasons = daemon.call("daemon.status")["reasons"]
    assert "has not answered" in reasons[0]
    hang.clear()
    go.set()
    daemon.ready()


def test_slow_starts_blind_nobody(running_daemon: RunDaemon, settings: Settings) -> None:
    """With every thread for steps taken, what runs is seen all the same."""
    settings.provider = {"max_parallel": 1}
    settings.write()
    daemon = running_daemon()
    daemon.create("web")
    daemon.create("mute-one", start=False)
    start = daemon.begin("instance.start", id="mute-one")
    daemon.wait_status("mute-one", "starting")
    for row in daemon.call("instance.stats")["items"]:
        assert row["pids"]
    for pid in daemon.settings.processes():
        if b"mute-one" not in cmdline(pid):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: daemon.status_of("web") != "running")
    daemon.call("operation.cancel", id=start)
    assert daemon.wait(start)["state"] == "cancelled"


def cmdline(pid: int) -> bytes:
    with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123
        return file.read()


def test_two_daemons_on_one_state(running_daemon: RunDaemon, settings: Settings) -> None:
    running_daemon()
    other = Running(settings)
    with pytest.raises(InitializationError) as caught:
        other.start()
    assert caught.value.next_step
