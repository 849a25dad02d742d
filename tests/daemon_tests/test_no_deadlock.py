"""Many callers at once over a few instances, cancels and dying actors: all of them are answered.

A test that tries to make operations wait for each other for good, or two of them work on one
instance at a time (issue 4, part 7; seed 000, section 5.3).
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from typing import Any

from swarmd.actors.base import CONTROLLER, provider_actor
from swarmd.actors.controller import Submit
from swarmd.actors.provider import RunStep
from swarmd.errors import SwarmError
from tests.daemon_tests.conftest import RunDaemon
from tests.daemon_tests.harness import Background, Running, Settings
from tests.support import wait_until

NAMES = ("a", "b", "c", "d")
CALLERS = 12
CALLS = 24
DEADLINE = 45.0
STEPS = ("create", "start", "stop", "renew", "update", "trash", "restore", "purge")


class Owners:
    """Counts who works on an instance at one moment."""

    def __init__(self) -> None:
        self.most: Counter[str] = Counter()
        self.calls = 0
        self._now: Counter[str] = Counter()
        self._lock = threading.Lock()

    def wrap(self, inner: Any) -> Any:
        return Owned(inner, self)

    @contextlib.contextmanager
    def owning(self, instance_id: str) -> Any:
        with self._lock:
            self.calls += 1
            self._now[instance_id] += 1
            self.most[instance_id] = max(self.most[instance_id], self._now[instance_id])
        try:
            yield
        finally:
            with self._lock:
                self._now[instance_id] -= 1


class Owned:
    """A provider of which every change of an instance is counted."""

    def __init__(self, inner: Any, owners: Owners) -> None:
        self._inner, self._owners = inner, owners

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in STEPS:
            return found

        def call(instance: Any, *arguments: Any, **named: Any) -> Any:
            with self._owners.owning(instance.id):
                return found(instance, *arguments, **named)

        return call


class Strikes:
    """Kills actors now and then, in the midst of what they do."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._lock = threading.Lock()
        self.left = 3

    def __call__(self, name: str, message: object) -> None:
        struck = {CONTROLLER: Submit, provider_actor("local"): RunStep}.get(name)
        if struck is None or not isinstance(message, struck):
            return
        with self._lock:
            if self.left and self._chance.random() < 0.03:
                self.left -= 1
                raise RuntimeError("struck")


def one_call(daemon: Running, chance: random.Random) -> tuple[str, float]:
    """One wish of a caller, and how long its answer took. A refusal is an answer too."""
    name = chance.choice(NAMES)
    wishes: list[tuple[str, dict[str, Any]]] = [
        *[("instance.create", {"config": {"name": name}})] * 3,
        *[("instance.start", {"id": name})] * 3,
        *[("instance.stop", {"id": name, "force": chance.random() < 0.5})] * 3,
        *[("instance.restart", {"id": name})] * 3,
        *[("instance.update", {"id": name, "changes": {"env": {"N": str(chance.random())}}})] * 2,
        ("instance.delete", {"id": name, "force": True}),
        ("operation.cancel", {}),
    ]
    method, params = chance.choice(wishes)
    begun = time.monotonic()
    with contextlib.suppress(SwarmError):
        if method == "operation.cancel":
            running = daemon.call("operation.list", state=["pending", "running"])["items"]
            params = {"id": chance.choice(running)["id"]} if running else {"id": "none"}
        daemon.call(method, call_timeout=DEADLINE, **params)
    return method, time.monotonic() - begun


def test_everyone_is_answered_and_one_owner_at_a_time(
    running_daemon: RunDaemon, settings: Settings
) -> None:
    chance = random.Random(20261129)
    settings.tables["instances"] = {"lock_timeout": "5s", "operation_timeout": "20s"}
    settings.write()
    owners, strikes = Owners(), Strikes(chance)
    daemon = running_daemon(settings, wrap_provider=owners.wrap, fault=strikes)
    slowest: list[tuple[float, str]] = []

    def caller(seed: int) -> None:
        own = random.Random(seed)
        for _ in range(CALLS):
            method, took = one_call(daemon, own)
            slowest.append((took, method))

    callers = [Background(lambda n=n: caller(n)) for n in range(CALLERS)]  # type: ignore[misc]
    for each in callers:
        each.value(2 * DEADLINE)
    assert len(slowest) == CALLERS * CALLS
    assert max(slowest)[0] < DEADLINE - 5, max(slowest)
    wait_until(lambda: not daemon.tables.active, timeout=30, describe=lambda: daemon.tables.active)
    assert owners.calls > 40, owners.calls
    assert set(owners.most.values()) == {1}, owners.most
    strikes.left = 0
    daemon.check_consistent()
    kinds = Counter(each.kind for each in daemon.tables.operations.values())
    print(f"{owners.calls} steps, {dict(kinds)}, slowest answer {max(slowest)}")
