"""Who is started anew, when, and who is given up (pykka has no supervision of its own)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pykka
import pytest

from swarmd.actors import supervisor as module
from swarmd.actors.base import (
    SUPERVISOR,
    ActorDied,
    ActorRestarted,
    Context,
    Ping,
    Pong,
    Start,
    SwarmActor,
    Tick,
)
from swarmd.actors.registry import Transact
from swarmd.actors.supervisor import Child, Family, StartChild, Supervisor, dismiss, stop_all
from swarmd.core.supervision import ChildSpec
from swarmd.core.tables import Tables
from tests.actors.kit import World
from tests.support import wait_until


class Worker(SwarmActor):
    """Keeps what it is told; holds at a gate if told to."""

    def __init__(self, context: Context, name: str, generation: int, log: list[Any]) -> None:
        super().__init__(context, name, generation)
        self.log = log

    def handle(self, message: Any) -> None:
        self.log.append((self.name, self.generation, message))
        if isinstance(message, threading.Event):
            message.wait()


class Boom:
    """A message that kills."""


class Home:
    """A supervisor with a family."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.family = Family()
        self.log: list[Any] = []
        self.fatal: list[str] = []
        self.generation = 0

    def child(self, name: str, **fields: Any) -> Child:
        def factory(generation: int) -> pykka.ActorRef[Any]:
            return Worker.start(self.world.context, name, generation, self.log)

        return Child(name, fields.pop("factory", factory), **fields)

    def add(self, name: str, **fields: Any) -> None:
        self.family.add(self.child(name, **fields))

    def start(self) -> pykka.ActorRef[Any]:
        self.generation += 1
        ref = Supervisor.start(
            self.world.context,
            SUPERVISOR,
            self.generation,
            family=self.family,
            fatal=self.fatal.append,
        )
        self.world.directory.put(SUPERVISOR, ref, Start())
        return ref

    def tell(self, name: str, message: object) -> bool:
        return self.world.directory.tell(name, message)

    def kill(self, name: str) -> None:
        """Kill an actor and wait until its successor is there."""
        wait_until(lambda: self.state(name) == "running" and self.lives(name))
        before = self.generation_of(name)
        self.world.strike(name, Boom)
        self.tell(name, Boom())
        wait_until(
            # Counted before it can be told something: what is said earlier goes to the dead one.
            lambda: (
                (self.generation_of(name) > before and self.lives(name))
                or self.state(name) == "failed"
            )
        )

    def generation_of(self, name: str) -> int:
        return self.family.get(name).generation  # type: ignore[union-attr]

    def state(self, name: str) -> str:
        child = self.family.get(name)
        return child.state if child else "gone"

    def sweep(self) -> bool:
        return self.tell(SUPERVISOR, Tick(time.monotonic()))

    def lives(self, name: str) -> bool:
        ref = self.world.directory.get(name)
        return ref is not None and ref.is_alive()


@pytest.fixture
def home(world: World) -> Home:
    return Home(world)


def test_children_begin_in_order_with_start(home: Home) -> None:
    for name in "abc":
        home.add(name)
    home.start()
    wait_until(lambda: len(home.log) == 3)
    assert [each.name for each in home.family.all()] == ["a", "b", "c"]
    assert sorted(home.log, key=lambda each: each[0]) == [(name, 1, Start()) for name in "abc"]
    infos = {each.name: each for each in home.family.infos(home.world.directory)}
    assert infos["a"].state == "running"
    assert infos["a"].restarts == 0


def test_one_that_dies_is_started_anew_and_told_of(home: Home) -> None:
    controller, registry = home.world.listen("controller"), home.world.listen("registry")
    home.add("a")
    home.start()
    home.kill("a")
    wait_until(lambda: ("a", 2, Start()) in home.log)
    wait_until(lambda: ActorRestarted("a") in controller)
    wait_until(lambda: any(isinstance(each, Transact) for each in registry))
    decide = next(each for each in registry if isinstance(each, Transact)).decide
    event = decide(Tables())[0].events[0]
    assert (str(event.type), event.target) == ("actor_restarted", "a")
    assert "struck" in event.data["cause"]
    info = home.family.infos(home.world.directory)[0]
    assert (info.restarts, info.state) == (1, "running")
    assert "struck" in (info.last_failure or "")


def test_later_restarts_wait_and_then_it_is_given_up(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    spec = ChildSpec("a", max_restarts=2, within=60)
    home.add("a", spec=spec, vital=True)
    home.add("b", spec=spec)
    home.start()
    wait_until(lambda: len(home.log) == 2)
    for name in "ab":
        for _ in range(3):
            home.kill(name)
    assert home.state("a") == home.state("b") == "failed"
    assert not home.lives("a")
    assert len(home.fatal) == 1
    assert "a failed 3 times" in home.fatal[0]
    assert "given up" in caplog.text
    # A dead one that was given up stays given up.
    home.sweep()
    home.tell(SUPERVISOR, ActorDied("a", 3, "again"))
    home.sweep()
    wait_until(lambda: home.world.directory.depth(SUPERVISOR) == 0)
    assert home.state("a") == "failed"


def test_also(home: Home) -> None:
    """The controller begins anew with its registry."""
    home.add("a", also=("b", "nobody"))
    home.add("b")
    home.start()
    home.kill("a")
    wait_until(lambda: ("b", 3, Start()) in home.log)
    assert home.state("b") == "running"
    # The first of them is told to stop, and does.
    wait_until(lambda: len(pykka.ActorRegistry.get_by_class(Worker)) == 2)


def test_a_death_nobody_told_of_is_seen(home: Home) -> None:
    home.add("a")
    home.start()
    wait_until(lambda: home.lives("a"))
    ref = home.world.directory.get("a")
    assert ref is not None
    ref.stop()
    home.sweep()
    wait_until(lambda: ("a", 2, Start()) in home.log)


def test_one_that_cannot_be_made(home: Home) -> None:
    broken: list[int] = []

    def factory(generation: int) -> pykka.ActorRef[Any]:
        broken.append(generation)
        if len(broken) < 3:
            raise RuntimeError("can't start new thread")
        return Worker.start(home.world.context, "a", generation, home.log)

    home.add("a", factory=factory)
    home.start()
    wait_until(lambda: home.state("a") == "running")
    assert broken == [1, 2, 3]


def test_one_that_hangs_is_shown(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PONG_SECONDS", 0.05)
    home.add("a")
    home.start()
    gate = threading.Event()
    wait_until(lambda: home.tell("a", gate) and home.log)
    wait_until(lambda: home.sweep() and home.state("a") == "hung")
    assert home.lives("a")
    gate.set()
    wait_until(lambda: home.sweep() and home.state("a") == "running")


def test_pongs_of_the_dead_do_not_count(home: Home) -> None:
    home.add("a")
    home.start()
    wait_until(lambda: home.state("a") == "running")
    child = home.family.get("a")
    assert child is not None
    before = child.last_pong
    home.tell(SUPERVISOR, Pong("a", 99, before + 1000))
    home.tell(SUPERVISOR, Pong("nobody", 1, 0.0))
    home.tell(SUPERVISOR, ActorDied("a", 99, "long ago"))
    home.tell("a", Ping(1))
    wait_until(lambda: child.last_pong > before)
    assert child.last_pong < before + 1000
    assert child.restarts == 0


def test_children_come_and_go(home: Home) -> None:
    controller = home.world.listen("controller")
    home.start()
    home.add("a")
    home.tell(SUPERVISOR, StartChild())
    wait_until(lambda: home.lives("a"))
    wait_until(lambda: ActorRestarted("a") in controller)
    ref = home.world.directory.get("a")
    assert ref is not None
    dismiss(home.family, home.world.directory, "a")
    dismiss(home.family, home.world.directory, "a")
    wait_until(lambda: not ref.is_alive())
    home.sweep()
    wait_until(lambda: home.world.directory.depth(SUPERVISOR) == 0)
    assert home.family.all() == ()
    assert not home.tell("a", "hello")
    assert home.world.directory.dead_letters == 1


def test_one_dismissed_while_it_is_being_started_does_not_live_on(home: Home) -> None:
    made: list[pykka.ActorRef[Any]] = []

    def factory(generation: int) -> pykka.ActorRef[Any]:
        made.append(Worker.start(home.world.context, "a", generation, home.log))
        dismiss(home.family, home.world.directory, "a")
        return made[0]

    home.add("a", factory=factory)
    home.start()
    wait_until(lambda: made and not made[0].is_alive())


# --- the supervisor's own death ----------------------------------------------------------------


def dies(home: Home, ref: pykka.ActorRef[Any]) -> None:
    wait_until(lambda: not ref.is_alive())


def test_it_dies_over_a_death(home: Home) -> None:
    """The next one sees it without a tick: the ticker may be what died."""
    home.add("a")
    ref = home.start()
    wait_until(lambda: home.lives("a"))
    home.world.strike(SUPERVISOR, ActorDied, SystemExit(1))
    home.world.strike("a", Boom)
    home.tell("a", Boom())
    dies(home, ref)
    home.start()
    wait_until(lambda: ("a", 2, Start()) in home.log)


def test_it_dies_before_a_restart_that_was_put_off(home: Home) -> None:
    home.add("a")
    ref = home.start()
    home.kill("a")
    home.world.strike(SUPERVISOR, module._RestartNow)
    home.world.strike("a", Boom)
    home.tell("a", Boom())
    dies(home, ref)
    home.start()
    wait_until(lambda: home.sweep() and home.generation_of("a") == 3, timeout=2)
    wait_until(lambda: home.lives("a"))


def test_a_restart_that_was_put_off_needs_no_tick(home: Home) -> None:
    """The ticker itself died twice, and its supervisor over the second time."""
    home.add("a")
    ref = home.start()
    home.kill("a")
    home.world.strike(SUPERVISOR, module._RestartNow)
    home.world.strike("a", Boom)
    home.tell("a", Boom())
    wait_until(lambda: home.state("a") == "restarting")
    ref.stop()
    home.start()
    wait_until(lambda: home.lives("a"), timeout=2)


def test_it_dies_over_a_new_child(home: Home) -> None:
    ref = home.start()
    home.world.strike(SUPERVISOR, StartChild)
    home.add("a")
    home.tell(SUPERVISOR, StartChild())
    dies(home, ref)
    home.start()
    wait_until(lambda: home.lives("a"))


def test_stop_all_in_reverse_order(home: Home) -> None:
    order: list[str] = []

    class Ending(Worker):
        def on_stop(self) -> None:
            order.append(self.name)

    def make(name: str) -> Callable[[int], pykka.ActorRef[Any]]:
        return lambda generation: Ending.start(home.world.context, name, generation, home.log)

    for name in "abc":
        home.add(name, factory=make(name))
    ref = home.start()
    wait_until(lambda: len(home.log) == 3)
    ref.stop()
    gate = threading.Event()
    home.tell("b", gate)
    wait_until(lambda: len(home.log) == 4)
    assert stop_all(home.family, home.world.directory, 0.1) == ("b",)
    gate.set()
    wait_until(lambda: order == ["c", "a", "b"])
    wait_until(lambda: not home.lives("b"))
    assert stop_all(home.family, home.world.directory, 0.1) == ()
