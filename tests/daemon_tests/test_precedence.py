"""When wishes meet, end to end: who wins, who is told, and that nothing waits (DESIGN 4, 7)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from swarmd.actors import underway
from swarmd.errors import Conflict, DeadlineExceeded, OperationCancelled, SwarmError
from swarmd.ports import Call
from tests.daemon_tests.conftest import RunDaemon
from tests.daemon_tests.harness import Background
from tests.support import wait_until

PROMPT = 5.0


class Gate:
    """A provider of which one call waits at a gate.

    ``deaf``: it does not hear a cancel. ``late``: it waits when everything is done.
    """

    def __init__(self, inner: Any, held: str, *, deaf: bool = False, late: bool = False) -> None:
        self._inner = inner
        self.held = held
        self.deaf = deaf
        self.late = late
        self.arrived = threading.Event()
        self.open = threading.Event()
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in ("validate", "create", "start", "stop", "update", "trash", "purge"):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self.calls.append(name)
            told = next((each for each in arguments if isinstance(each, Call)), None)
            result = found(*arguments, **named) if self.late else None
            if name == self.held and not self.open.is_set():
                self.wait(told)
            return result if self.late else found(*arguments, **named)

        return call

    def wait(self, call: Call | None) -> None:
        self.arrived.set()
        while not self.open.wait(0.01):
            if call is not None and not self.deaf:
                call.check()


@pytest.fixture
def gate() -> list[Gate]:
    return []


def gated(held: str, made: list[Gate], **how: bool) -> Callable[[Any], Any]:
    def wrap(inner: Any) -> Any:
        made.append(Gate(inner, held, **how))
        return made[-1]

    return wrap


@pytest.mark.parametrize("verb", ["instance.stop", "instance.delete"])
def test_stop_and_delete_preempt_a_start_that_never_ends(
    running_daemon: RunDaemon, verb: str
) -> None:
    daemon = running_daemon()
    daemon.create("mute-web", start=False)
    start = daemon.in_thread("instance.start", id="mute-web")
    daemon.wait_status("mute-web", "starting")
    before = time.monotonic()
    operation = daemon.begin(verb, id="mute-web")
    assert time.monotonic() - before < PROMPT
    assert daemon.wait(operation)["state"] == "succeeded"
    assert time.monotonic() - before < PROMPT
    with pytest.raises(OperationCancelled) as caught:
        start.value(PROMPT)
    assert operation in str(caught.value)
    assert caught.value.details["winner"] == operation
    daemon.check_consistent()


def test_delete_during_create_leaves_nothing(running_daemon: RunDaemon, gate: list[Gate]) -> None:
    daemon = running_daemon(wrap_provider=gated("create", gate))
    create = daemon.in_thread("instance.create", config={"name": "web"})
    wait_until(lambda: gate and gate[0].arrived.is_set())
    daemon.call("instance.delete", id="web", call_timeout=PROMPT)
    with pytest.raises(OperationCancelled):
        create.value(PROMPT)
    daemon.check_consistent()
    assert daemon.tables.instances == {}


def test_an_undo_is_not_cut_off_by_a_delete(running_daemon: RunDaemon, gate: list[Gate]) -> None:
    """The create has failed and is being undone when the delete comes."""
    daemon = running_daemon(wrap_provider=gated("purge", gate))
    create = daemon.begin("instance.create", config={"name": "web"})
    daemon.call("operation.cancel", id=create)
    wait_until(gate[0].arrived.is_set)
    delete = daemon.begin("instance.delete", id="web")
    daemon.look()
    wait_until(daemon.mailbox_empty)
    gate[0].open.set()
    assert daemon.wait(create)["state"] == "cancelled"
    assert daemon.wait(delete)["state"] == "succeeded"
    daemon.check_consistent()
    assert daemon.tables.instances == {}


def test_stop_during_create_lets_it_end_without_a_start(
    running_daemon: RunDaemon, gate: list[Gate]
) -> None:
    daemon = running_daemon(wrap_provider=gated("create", gate))
    create = daemon.begin("instance.create", config={"name": "web"})
    wait_until(gate[0].arrived.is_set)
    stop = daemon.begin("instance.stop", id="web")
    gate[0].open.set()
    assert daemon.wait(stop)["state"] == "succeeded"
    assert daemon.wait(create)["state"] == "succeeded"
    assert "start" not in gate[0].calls
    daemon.check_consistent()


@pytest.mark.parametrize("late", [False, True])
def test_a_step_that_hears_nothing_is_abandoned(
    running_daemon: RunDaemon, gate: list[Gate], monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """It does not come back before it did anything, or after it has done everything."""
    monkeypatch.setattr(underway, "CANCEL_SECONDS", 0.3)
    monkeypatch.setattr(underway, "_GRACE_SECONDS", 0.2)
    daemon = running_daemon(wrap_provider=gated("start", gate, deaf=True, late=late))
    made = daemon.create("web", start=False)
    start = daemon.in_thread("instance.start", id="web")
    wait_until(gate[0].arrived.is_set)
    daemon.call("instance.stop", id="web", call_timeout=PROMPT)
    with pytest.raises(OperationCancelled):
        start.value(PROMPT)
    assert daemon.call("instance.get", id="web")["epoch"] == made["epoch"] + 1
    # Now the lost call goes on, and starts it: that is undone.
    gate[0].open.set()
    daemon.check_consistent()
    assert daemon.status_of("web") in ("stopped", "created")
    assert daemon.settings.processes() == []


def test_a_step_that_does_not_end_in_time(
    running_daemon: RunDaemon, gate: list[Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(underway, "CANCEL_SECONDS", 0.3)
    monkeypatch.setattr(underway, "_GRACE_SECONDS", 0.2)
    wrap = gated("start", gate, deaf=True)
    daemon = running_daemon(wrap_provider=wrap)
    daemon.create("web", start=False)
    daemon.settings.tables = {"instances": {"operation_timeout": "1s"}}
    daemon.settings.write()
    daemon.on_loop(daemon.daemon.reload)
    daemon.ready()
    with pytest.raises(DeadlineExceeded):
        daemon.call("instance.start", id="web", call_timeout=10)
    assert daemon.status_of("web") == "error"
    for each in gate:
        each.open.set()
    daemon.check_consistent()


def test_two_creates_of_one_name_at_once(running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    callers = [daemon.in_thread("instance.create", config={"name": "web"}) for _ in range(6)]
    for caller in callers:
        caller.join()
    errors = [caller.error for caller in callers if caller.error is not None]
    assert len(errors) == 5
    for error in errors:
        assert isinstance(error, Conflict)
        assert error.field == "config.name"
        assert error.next_step
    daemon.check_consistent()


def test_start_while_stopping_names_the_stop(running_daemon: RunDaemon, gate: list[Gate]) -> None:
    daemon = running_daemon(wrap_provider=gated("stop", gate))
    daemon.create("web")
    stop = daemon.begin("instance.stop", id="web")
    wait_until(gate[0].arrived.is_set)
    with pytest.raises(Conflict) as caught:
        daemon.call("instance.start", id="web")
    assert caught.value.details["operation"] == stop
    gate[0].open.set()
    assert daemon.wait(stop)["state"] == "succeeded"


def test_a_timeout_ends_only_the_wait(running_daemon: RunDaemon, gate: list[Gate]) -> None:
    daemon = running_daemon(wrap_provider=gated("create", gate))
    with pytest.raises(DeadlineExceeded) as caught:
        daemon.call("instance.create", config={"name": "web"}, timeout=0.2)
    operation = caught.value.details["operation"]
    assert daemon.call("operation.get", id=operation)["state"] == "running"
    still = daemon.call("operation.wait", id=operation, timeout=0.1)
    assert still["state"] == "running"
    gate[0].open.set()
    assert daemon.wait(operation)["state"] == "succeeded"
    assert daemon.status_of("web") == "running"


def test_cancel(running_daemon: RunDaemon, gate: list[Gate]) -> None:
    daemon = running_daemon(wrap_provider=gated("create", gate))
    create = daemon.in_thread("instance.create", config={"name": "web"})
    wait_until(lambda: gate and gate[0].arrived.is_set())
    operation = daemon.call("operation.list")["items"][0]["id"]
    # Several at once: each is answered when the cancel is durable.
    callers = [daemon.in_thread("operation.cancel", id=operation) for _ in range(3)]
    for caller in callers:
        told = caller.join()
        assert told.error is None or isinstance(told.error, Conflict)
        if told.result is not None:
            assert told.result["cancel_requested"]
    with pytest.raises(OperationCancelled, match="cancelled by"):
        create.value(PROMPT)
    with pytest.raises(Conflict):
        daemon.call("operation.cancel", id=operation)
    daemon.check_consistent()
    assert daemon.tables.instances == {}


def test_idempotency_key(running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    keyed: dict[str, Any] = {"idempotency_key": "k", "config": {"name": "web"}}
    callers = [daemon.in_thread("instance.create", **keyed) for _ in range(4)]
    ids = {caller.value()["id"] for caller in callers}
    assert len(ids) == 1
    with pytest.raises(Conflict) as caught:
        daemon.call("instance.create", idempotency_key="k", config={"name": "other"})
    assert caught.value.field == "idempotency_key"


def test_if_revision_and_protect(running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    made = daemon.create("web", start=False)
    changes = {"labels": {"a": "1"}, "protect": True}
    first = made["revision"]
    changed = daemon.call("instance.update", id="web", changes=changes, if_revision=first)
    assert changed["revision"] == first + 1
    with pytest.raises(Conflict) as caught:
        daemon.call("instance.update", id="web", changes=changes, if_revision=first)
    assert caught.value.field == "if_revision"
    with pytest.raises(Conflict) as caught:
        daemon.call("instance.delete", id="web", force=True)
    assert caught.value.field == "config.protect"
    daemon.call("instance.update", id="web", changes={"protect": False})
    daemon.call("instance.delete", id="web")


def test_forty_at_once(running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    callers = [
        Background(lambda n=n: daemon.create(f"i{n}"))  # type: ignore[misc]
        for n in range(40)
    ]
    urls = {caller.value(90)["url"] for caller in callers}
    assert len(urls) == 40
    stops = [daemon.begin("instance.stop", id=f"i{n}", force=True) for n in range(40)]
    assert {daemon.wait(each)["state"] for each in stops} == {"succeeded"}
    daemon.check_consistent()


def test_a_refusal_changes_nothing(running_daemon: RunDaemon) -> None:
    daemon = running_daemon()
    before = daemon.tables
    with pytest.raises(SwarmError):
        daemon.call("instance.stop", id="nobody")
    assert daemon.tables.instances is before.instances
    assert daemon.tables.operations is before.operations
