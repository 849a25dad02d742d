"""The provider's actor while it is left alone: who has it asked, and what is told to the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest

from swarmd.actors import provider as provider_module
from swarmd.actors.base import CONTROLLER, Start, Tick, provider_actor
from swarmd.actors.circuit import Circuit
from swarmd.actors.lanes import Lanes
from swarmd.actors.provider import Changed, Looked, LookNow, ProviderActor, RunStep, StepEnded
from swarmd.actors.registry import Transact
from swarmd.core.steps import Step
from swarmd.core.tables import ProviderView
from swarmd.errors import CircuitOpen, ProviderUnreachable
from swarmd.messages.config import BreakerConfig
from swarmd.messages.enums import BreakerState
from swarmd.messages.provider import ProviderHealth
from swarmd.messages.units import Duration
from tests.actors.kit import World, instance
from tests.support import wait_until

LONG = BreakerConfig(failures=1, pause=Duration(600), longest_pause=Duration(600))


class Engine:
    """A provider that can be out, or hang while it gets ready."""

    name = "local"

    def __init__(self) -> None:
        self.out = True
        self.ready = threading.Event()
        self.ready.set()
        self.answers = threading.Event()
        self.answers.set()
        self.looks = 0

    def initialize(self) -> None:
        assert self.ready.wait(20)

    def watch(self, changed: Any) -> None:
        del changed

    def probe(self) -> ProviderHealth:
        return ProviderHealth(ok=True)

    def capabilities(self) -> None:
        return None

    def list(self) -> tuple[()]:
        self.looks += 1
        assert self.answers.wait(20)
        if self.out:
            raise ProviderUnreachable("no such socket")
        return ()

    def get(self, instance_id: str) -> None:
        del instance_id


class Stage:
    """The actor, its provider, and what its controller hears."""

    def __init__(self, world: World, engine: Engine) -> None:
        self.world, self.engine = world, engine
        self.heard = world.listen(CONTROLLER)
        world.registry()
        self.lanes, self.watch = Lanes("t", 2), Lanes("t-look", 2)
        self.circuit = Circuit("local", world.clock, lambda: LONG)
        self.ref = ProviderActor.start(
            world.context, provider_actor("local"), 1,
            provider=cast(Any, engine), lanes=self.lanes, watch=self.watch,
            initialized=threading.Event(), uploads=cast(Any, None), look_every=lambda: 1e9,
            circuit=self.circuit,
        )  # fmt: skip
        world.directory.put(provider_actor("local"), self.ref, Start())

    def tell(self, message: object) -> None:
        self.world.directory.tell(provider_actor("local"), message)

    def dealt_with(self) -> None:
        """Wait until it has handled all that it was told until now."""
        self.ref.ask(object(), timeout=10)

    def looked(self) -> list[Looked]:
        return [each for each in self.heard if isinstance(each, Looked)]

    def step(self) -> RunStep:
        row = instance(1)
        return RunStep("o1", Step.START, row, time.monotonic() + 60, threading.Event())

    def close(self) -> None:
        self.engine.ready.set()
        self.engine.answers.set()
        self.lanes.close(2)
        self.watch.close(2)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def stage(engine: Engine) -> Iterator[Stage]:
    world = World()
    made = Stage(world, engine)
    yield made
    world.close()
    made.close()


def test_only_a_person_or_the_engine_itself_has_it_asked(stage: Stage, engine: Engine) -> None:
    wait_until(lambda: not stage.circuit.closed, timeout=20)
    wait_until(stage.looked)
    looks, told = engine.looks, len(stage.looked())
    stage.tell(LookNow(("i1",)))
    wait_until(lambda: len(stage.looked()) == told + 1)
    again = stage.looked()[-1]
    assert (again.observed, again.view) == (
        None, ProviderView(ProviderHealth(ok=False, message="no such socket")),
    )  # fmt: skip
    assert engine.looks == looks
    stage.tell(stage.step())
    wait_until(lambda: any(isinstance(each, StepEnded) for each in stage.heard))
    (ended,) = (each for each in stage.heard if isinstance(each, StepEnded))
    assert isinstance(ended.outcome.error, CircuitOpen)
    for message in (LookNow(asked=True), Changed()):
        before = engine.looks
        stage.tell(message)
        wait_until(lambda before=before: engine.looks > before)  # type: ignore[misc]
        wait_until(lambda: stage.circuit.retry_at is not None)
    engine.out = False
    stage.tell(LookNow(asked=True))
    wait_until(lambda: stage.circuit.closed)


def test_of_looks_behind_one_that_hangs_only_one_waits(engine: Engine) -> None:
    """Else each asks for more time, and the one that hangs is never told."""
    engine.out = False
    world = World()
    stage = Stage(world, engine)
    try:
        wait_until(stage.looked)
        engine.answers.clear()
        stage.tell(LookNow())
        wait_until(lambda: engine.looks == 2)
        for _ in range(5):
            stage.tell(LookNow())
        stage.dealt_with()
        engine.answers.set()
        wait_until(lambda: len(stage.looked()) == 3)
        stage.tell(LookNow(("i1",)))
        wait_until(lambda: len(stage.looked()) == 4)
        assert engine.looks == 4
    finally:
        world.close()
        stage.close()


def test_what_waits_for_one_that_hangs_at_its_beginning_is_told_in_time(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_module, "_SLOW_SECONDS", 0.05)
    engine.ready.clear()
    world = World()
    stage = Stage(world, engine)
    try:
        stage.tell(stage.step())

        def refused() -> bool:
            stage.tell(Tick(time.monotonic()))
            return any(isinstance(each, StepEnded) for each in stage.heard)

        wait_until(refused)
        assert not stage.circuit.closed
        engine.out = False
        engine.ready.set()
        wait_until(lambda: stage.circuit.closed)
    finally:
        world.close()
        stage.close()


def test_a_registry_that_is_lost_with_the_word_is_told_again(engine: Engine) -> None:
    engine.out = False
    world = World()
    stage = Stage(world, engine)
    published = world.published
    try:
        wait_until(lambda: "local" in published.tables.breakers)
        world.strike("registry", Transact)
        engine.out = True
        stage.tell(LookNow(asked=True))
        wait_until(lambda: not stage.circuit.closed, timeout=20)
        world.registry()
        stage.tell(Tick(time.monotonic()))
        wait_until(lambda: published.tables.breakers["local"].state is BreakerState.OPEN)
    finally:
        world.close()
        stage.close()


def test_of_a_burst_of_changes_few_are_looked_at_and_the_last_is(engine: Engine) -> None:
    engine.out = False
    world = World()
    stage = Stage(world, engine)
    try:
        wait_until(stage.looked)
        before = engine.looks
        for _ in range(100):
            stage.tell(Changed())
            wait_until(lambda: world.directory.depth(provider_actor("local")) == 0)
        last = time.monotonic()
        wait_until(lambda: stage.looked()[-1].began >= last, describe=lambda: engine.looks)
        assert engine.looks - before < 25
    finally:
        world.close()
        stage.close()
