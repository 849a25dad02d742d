"""Providers that fail: left alone, asked again, and nobody else is held up (issue 4, part 6)."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from swarmd.errors import ProviderError, ProviderUnreachable, Unavailable
from tests.daemon_tests.conftest import RunDaemon
from tests.daemon_tests.harness import STANDIN, Running, Settings, account
from tests.daemon_tests.test_providers import Events
from tests.support import wait_until

LOOKS = ("list", "get", "upkeep")
STEPS = ("validate", "create", "start", "stop", "renew", "update", "trash", "restore", "purge")


class Line:
    """The way to the provider ``box``, which can be cut; counts what is sent over it."""

    def __init__(self) -> None:
        self.cut: frozenset[str] = frozenset()
        self.sent: Counter[str] = Counter()
        self.fails = 0
        self.under_way = 0
        self.most = 0
        self.open = threading.Event()
        self.open.set()
        self._lock = threading.Lock()

    def wrap(self, inner: Any) -> Any:
        return inner if inner.name != "box" else Wired(inner, self)

    def down(self) -> None:
        self.cut = frozenset({*LOOKS, *STEPS})

    def up(self) -> None:
        self.cut = frozenset()

    def send(self, name: str) -> None:
        if name == "start":
            assert self.open.wait(20)
        with self._lock:
            self.sent[name] += 1
            refused = name in self.cut
            if name in STEPS and self.fails:
                self.fails -= 1
                refused = True
        if refused:
            raise ProviderUnreachable("the line is cut", next_step="Mend the line.")

    @contextlib.contextmanager
    def counted(self, name: str) -> Any:
        with self._lock:
            self.under_way += name == "start"
            self.most = max(self.most, self.under_way)
        try:
            yield
        finally:
            with self._lock:
                self.under_way -= name == "start"


class Wired:
    """A provider at the end of a line."""

    def __init__(self, inner: Any, line: Line) -> None:
        self._inner, self._line = inner, line

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in (*LOOKS, *STEPS):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self._line.send(name)
            with self._line.counted(name):
                return found(*arguments, **named)

        return call


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once."""
    monkeypatch.setattr("swarmd.core.retry.BASE", 0.01)


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def boxed(settings: Settings) -> Settings:
    """``local`` and ``box``."""
    first = int(settings.ports.range.partition("-")[0])
    settings.options["port_range"] = f"{first}-{first + 49}"
    ports = f"{first + 50}-{first + 99}"  # of its own: a stopped one's port is nobody else's
    options = {"command": list(STANDIN), "port_range": ports, **account()}
    settings.providers = [{"name": "box", "type": "local", "options": options}]
    settings.tables["placement"] = {"strategy": "least_instances"}
    settings.tables["breaker"] = {"failures": 2}
    settings.write()
    return settings


def breaker(daemon: Running) -> Any:
    return daemon.call("provider.get", name="box")["breaker"]


def await_breaker(daemon: Running, state: str) -> Any:
    wait_until(lambda: breaker(daemon)["state"] == state, describe=lambda: breaker(daemon))
    return breaker(daemon)


def automatic(daemon: Running) -> list[Any]:
    items = daemon.call("operation.list", limit=500)["items"]
    return [each for each in items if each["origin"] != "user"]


def check_refused(daemon: Running) -> None:
    """What a user asks of one that is out is refused."""
    for method, params in (
        ("instance.restart", {"id": "runs"}),
        ("instance.create", {"config": {"name": "new", "provider": "box"}}),
        ("instance.logs", {"id": "runs"}),
    ):
        with pytest.raises(Unavailable) as refused:
            daemon.call(method, **params)
        assert "swarmctl providers enable box" in (refused.value.next_step or "")


def check_kept(daemon: Running) -> None:
    """A start, a stop and a delete fail as well, but are kept, and can be taken back."""
    for method, name, word in (
        ("instance.start", "waits", "is started"),
        ("instance.stop", "stops", "is stopped"),
        ("instance.delete", "goes", "trash"),
        ("instance.delete", "stays", "trash"),
        ("instance.start", "stays", "is started"),
    ):
        with pytest.raises(Unavailable) as kept:
            daemon.call(method, id=name)
        assert word in (kept.value.next_step or "")
        assert daemon.status_of(name) == ("stopped" if name == "waits" else "running")
    for name, desired in (("stays", "running"), ("stops", "stopped"), ("goes", "deleted")):
        assert daemon.call("instance.get", id=name)["desired"] == desired


def test_one_that_is_out_holds_up_nobody_and_loses_no_wish(
    running_daemon: RunDaemon, boxed: Settings, line: Line
) -> None:
    # Long pauses: nothing but what a person asks for closes it here.
    boxed.tables["breaker"] = {"pause": "60s", "longest_pause": "60s"}
    boxed.write()
    daemon = running_daemon(wrap_provider=line.wrap)
    for name in ("runs", "stops", "goes", "waits", "stays"):
        daemon.create(name, provider="box")
    daemon.create("here", provider="local")
    daemon.call("instance.stop", id="waits")
    before = boxed.processes()
    with contextlib.closing(Events(daemon)) as events:
        line.down()
        opened = events.until("provider_updated", breaker="open")["data"]
        assert (opened["failures"], opened["message"]) == (5, "the line is cut")
        shown = await_breaker(daemon, "open")
        assert shown["last_error"] == "the line is cut"
        assert shown["opened_at"] < shown["retry_at"]
        status = daemon.call("daemon.status")
        assert status["state"] == "degraded"
        assert "circuit breaker is open" in " ".join(status["reasons"])
        doctor = daemon.call("daemon.doctor")["findings"]
        assert any("enable box" in (each["next_step"] or "") for each in doctor)

        # Its instances are as they were last seen; their health is unknown. Others go on.
        wait_until(lambda: daemon.call("instance.get", id="runs")["health"] == "unknown")
        assert daemon.status_of("runs") == "running"
        assert daemon.create("there")["provider"] == "local"
        assert daemon.call("instance.stats")["items"]
        placed = daemon.call("provider.placement", config={"name": "x"})
        assert "circuit breaker" in placed["refused"][0]["reason"]

        line.sent.clear()
        check_refused(daemon)
        check_kept(daemon)
        assert not line.sent

        line.up()
        daemon.call("provider.enable", name="box")
        events.until("provider_updated", breaker="half_open")
        events.until("provider_updated", breaker="closed")
    daemon.wait_status("stops", "stopped")
    daemon.wait_status("waits", "running")
    wait_until(lambda: daemon.call("instance.list", trash=True)["items"])
    daemon.ready()
    daemon.check_consistent()
    assert daemon.status_of("runs") == daemon.status_of("stays") == "running"
    assert sorted((each["kind"], each["target_ref"].partition("/")[2]) for each in
                  automatic(daemon)) in (
        [("delete", "goes"), ("start", "waits"), ("stop", "goes"), ("stop", "stops")],
        [("delete", "goes"), ("start", "waits"), ("stop", "stops")],
    )  # fmt: skip
    assert set(before) - set(boxed.processes())  # of those that were stopped nothing runs
    assert breaker(daemon) == {"state": "closed", "failures": 0, "opened_at": None,
                               "retry_at": None, "last_error": None}  # fmt: skip


def test_an_open_one_is_asked_again_by_itself_and_not_before_its_time(
    running_daemon: RunDaemon, boxed: Settings, line: Line
) -> None:
    boxed.tables["breaker"] = {"failures": 2, "pause": "4s", "longest_pause": "4s"}
    boxed.write()
    daemon = running_daemon(wrap_provider=line.wrap)
    line.down()
    retry_at = datetime.fromisoformat(await_breaker(daemon, "open")["retry_at"])
    line.sent.clear()
    wait_until(lambda: line.sent["list"])
    assert datetime.now(UTC) >= retry_at
    assert line.sent.keys() == {"list"}
    line.up()
    await_breaker(daemon, "closed")
    daemon.ready()


def test_steps_that_do_not_get_through_open_it_though_looks_do(
    running_daemon: RunDaemon, boxed: Settings, line: Line
) -> None:
    boxed.tables["breaker"] = {"failures": 2, "pause": "60s", "longest_pause": "60s"}
    boxed.write()
    daemon = running_daemon(wrap_provider=line.wrap)
    for name in ("one", "two", "three"):
        daemon.create(name, provider="box", start=False)
    line.cut = frozenset({"start"})
    with pytest.raises(ProviderError, match="the line is cut"):
        daemon.call("instance.start", id="one")
    assert line.sent["start"] >= 4  # three retries
    with contextlib.suppress(ProviderError, Unavailable):
        daemon.call("instance.start", id="two")
    await_breaker(daemon, "open")
    sent = line.sent["start"]
    with pytest.raises(Unavailable, match="left alone"):
        daemon.call("instance.start", id="three")
    assert line.sent["start"] == sent
    assert daemon.status_of("three") in ("created", "stopped")
    line.up()
    daemon.call("provider.enable", name="box")
    await_breaker(daemon, "closed")
    # The starts that did not get through are made now: they are still to run.
    for name in ("one", "two"):
        daemon.wait_status(name, "running")


def test_what_does_not_get_through_once_is_asked_again(
    running_daemon: RunDaemon, boxed: Settings, line: Line
) -> None:
    daemon = running_daemon(wrap_provider=line.wrap)
    line.fails = 2
    assert daemon.create("web", provider="box")["status"] == "running"
    assert line.fails == 0
    assert breaker(daemon)["state"] == "closed"


def test_a_retry_is_cut_short_by_a_cancel(
    running_daemon: RunDaemon, boxed: Settings, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarmd.core.retry.BASE", 1000.0)
    monkeypatch.setattr("swarmd.core.retry.CAP", 1000.0)
    daemon = running_daemon(wrap_provider=line.wrap)
    daemon.create("web", provider="box", start=False)
    line.cut = frozenset({"start"})
    start = daemon.begin("instance.start", id="web")
    wait_until(lambda: line.sent["start"] == 1)
    begun = time.monotonic()
    daemon.call("operation.cancel", id=start)
    assert daemon.wait(start)["state"] == "cancelled"
    assert time.monotonic() - begun < 10


def test_what_ended_meanwhile_comes_back_a_few_at_a_time(
    running_daemon: RunDaemon, boxed: Settings, line: Line
) -> None:
    boxed.tables["health"] = {"max_parallel": 2}
    boxed.write()
    daemon = running_daemon(wrap_provider=line.wrap)
    names = [f"w{number}" for number in range(7)]
    for caller in [daemon.in_thread("instance.create", config={"name": n, "provider": "box"})
                   for n in names]:  # fmt: skip
        caller.value()
    line.down()
    await_breaker(daemon, "open")
    for pid in boxed.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not boxed.processes())
    line.most = 0
    line.up()
    for name in names:
        daemon.wait_status(name, "running")
    daemon.settle()
    assert 1 <= line.most <= 2
    assert Counter(each["kind"] for each in automatic(daemon)) == {"start": 7}


def test_a_step_in_its_lane_is_not_sent_any_more(
    running_daemon: RunDaemon, boxed: Settings, line: Line
) -> None:
    """The breaker opens while steps wait for a thread."""
    boxed.tables["breaker"] = {"failures": 1, "pause": "60s", "longest_pause": "60s"}
    boxed.providers[0]["max_parallel"] = 1
    boxed.write()
    daemon = running_daemon(wrap_provider=line.wrap)
    for number in range(4):
        daemon.create(f"w{number}", provider="box", start=False)
    line.cut = frozenset({"start"})
    line.open.clear()
    begun = [daemon.begin("instance.start", id=f"w{number}") for number in range(4)]
    line.open.set()
    ended = [daemon.wait(each) for each in begun]
    errors = Counter(each["error"]["type"] for each in ended)
    assert errors == {"provider_error": 1, "unavailable": 3}, ended
    # Those of the first; the next may have been sent before its end was heard of, once.
    assert line.sent["start"] in (4, 5)


def test_no_breaker_is_left_of_a_provider_that_is_switched_off(
    running_daemon: RunDaemon, boxed: Settings, line: Line
) -> None:
    daemon = running_daemon(wrap_provider=line.wrap)
    line.down()
    await_breaker(daemon, "open")
    daemon.call("provider.disable", name="box")
    assert breaker(daemon)["state"] == "closed"
    line.up()
    daemon.call("provider.enable", name="box")
    daemon.ready()
    assert breaker(daemon)["state"] == "closed"
