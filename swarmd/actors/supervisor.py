"""Starts the actors in order, pings them, restarts those that die, gives up loudly.

pykka has no supervision (jodal/pykka #42) and an actor cannot be restarted: a restart is a
new actor under the old name. The table of children lives outside the supervisor, so that it
can itself be started anew. One that hangs cannot be killed: it is shown and routed round.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pykka

from swarmd.actors.base import (
    CONTROLLER,
    REGISTRY,
    ActorDied,
    ActorRestarted,
    Context,
    Directory,
    Ping,
    Pong,
    Start,
    SwarmActor,
    Tick,
)
from swarmd.actors.registry import Transact
from swarmd.core.supervision import ChildHistory, ChildSpec, GiveUp, decide, overdue
from swarmd.core.tables import Change, EventDraft, Tables
from swarmd.messages.enums import EventType
from swarmd.messages.replies import ActorInfo

log = logging.getLogger("swarmd.supervisor")

PONG_SECONDS = 15.0
"""Without an answer for so long an actor is shown as hung."""

_LATE_SECONDS = 0.25

Factory = Callable[[int], "pykka.ActorRef[Any]"]
"""Makes and starts the actor of this generation."""


@dataclass(slots=True)
class Child:
    """One actor: how it is made, and how it fares.

    Args:
        also: Names of those that have to begin anew together with it.
        vital: The daemon ends if this one cannot be kept alive.
    """

    name: str
    factory: Factory
    also: tuple[str, ...] = ()
    vital: bool = False
    spec: ChildSpec | None = None
    history: ChildHistory = field(default_factory=ChildHistory)
    generation: int = 0
    state: str = "new"
    last_pong: float = 0.0
    restarts: int = 0
    last_failure: str | None = None
    again_at: float = 0.0


class Family:
    """The children, in the order of their start. Outlives the supervisor; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._children: dict[str, Child] = {}

    def add(self, child: Child) -> None:
        """Add one at the end, or replace one of the same name."""
        with self._lock:
            self._children[child.name] = child

    def remove(self, name: str) -> Child | None:
        """Forget one."""
        with self._lock:
            return self._children.pop(name, None)

    def get(self, name: str) -> Child | None:
        """One by name."""
        return self._children.get(name)

    def all(self) -> tuple[Child, ...]:
        """All, in the order of their start."""
        with self._lock:
            return tuple(self._children.values())

    def infos(self, directory: Directory) -> tuple[ActorInfo, ...]:
        """How they fare, for ``daemon.actors``."""
        now = time.monotonic()
        return tuple(
            ActorInfo(
                name=child.name,
                state=child.state,
                mailbox=directory.depth(child.name),
                restarts=child.restarts,
                last_pong_seconds=round(now - child.last_pong, 3) if child.last_pong else None,
                last_failure=child.last_failure,
            )
            for child in self.all()
        )


@dataclass(frozen=True, slots=True)
class StartChild:
    """The family has a new child: start it. If this is lost, the next sweep does the same."""


def dismiss(family: Family, directory: Directory, name: str) -> None:
    """Stop an actor and forget it, without the supervisor: it could die over the message."""
    child = family.remove(name)
    ref = directory.get(name)
    directory.remove(name)
    if child is not None and ref is not None:
        ref.stop(block=False)


@dataclass(frozen=True, slots=True)
class _RestartNow:
    name: str
    generation: int


class Supervisor(SwarmActor):
    """See the module's docstring.

    Args:
        fatal: Told when a vital actor could not be kept alive.
    """

    def __init__(
        self,
        context: Context,
        name: str,
        generation: int,
        *,
        family: Family,
        fatal: Callable[[str], None],
    ) -> None:
        super().__init__(context, name, generation)
        self._family = family
        self._fatal = fatal

    def handle(self, message: Any) -> None:
        """Deal with one message."""
        match message:
            case Start():
                # Not at the next tick: the ticker may be the one that died, and what an
                # earlier supervisor had put off may never be told to this one.
                self._sweep(math.inf)
            case StartChild():
                self._sweep(time.monotonic())
            case ActorDied():
                self._died(message.name, message.generation, message.cause)
            case _RestartNow():
                self._restart_now(message)
            case Pong():
                self._pong(message)
            case Tick():
                self._sweep(message.now)

    def _start_child(self, child: Child) -> None:
        child.generation += 1
        try:
            ref = child.factory(child.generation)
        except Exception as error:
            log.exception("actor %s cannot start", child.name)
            self._failed(child, f"{type(error).__name__}: {error}")
            return
        child.state, child.last_pong = "running", time.monotonic()
        self.context.directory.put(child.name, ref, Start())
        if self._family.get(child.name) is not child:
            # It was dismissed in this very moment, and whoever did that may not have seen it.
            ref.stop(block=False)

    def _died(self, name: str, generation: int, cause: str) -> None:
        child = self._family.get(name)
        if child is None or generation != child.generation:
            return
        if child.state not in ("running", "hung"):
            # One death is told twice: by the actor itself and by the sweep.
            return
        self._failed(child, cause)

    def _failed(self, child: Child, cause: str) -> None:
        now = time.monotonic()
        child.last_failure, child.state = cause, "restarting"
        child.history = child.history.failed(now)
        spec = child.spec or ChildSpec(child.name)
        chance = random.random()  # noqa: S311  # jitter, not a secret
        decision = decide(spec, child.history, now, chance)
        if isinstance(decision, GiveUp):
            child.state = "failed"
            log.critical("given up: %s; last: %s", decision.reason, cause)
            if child.vital:
                self._fatal(decision.reason)
            return
        again = _RestartNow(child.name, child.generation)
        if decision.after_seconds <= 0:
            self._restart_now(again)
            return
        directory = self.context.directory
        child.again_at = now + decision.after_seconds
        timer = threading.Timer(decision.after_seconds, directory.tell, (self.name, again))
        timer.daemon = True
        timer.start()

    def _restart_now(self, message: _RestartNow) -> None:
        child = self._family.get(message.name)
        if child is None or child.generation != message.generation:
            return
        child.restarts += 1
        log.warning("actor %s is started anew (%d)", child.name, child.restarts)
        others = [self._family.get(name) for name in child.also]
        for other in others:
            if other is not None:
                self._end(other)
        self._start_child(child)
        for other in others:
            if other is not None:
                self._start_child(other)
        self._tell_controller(child.name)
        self._tell_world(child)

    def _end(self, child: Child) -> None:
        ref = self.context.directory.get(child.name)
        if ref is not None:
            child.generation += 1
            ref.stop(block=False)

    def _tell_controller(self, name: str) -> None:
        """What was in that actor's mailbox has to be sent again; at first there is nobody."""
        directory = self.context.directory
        if name != CONTROLLER and directory.get(CONTROLLER) is not None:
            directory.tell(CONTROLLER, ActorRestarted(name))

    def _tell_world(self, child: Child) -> None:
        facts = {"restarts": child.restarts, "cause": child.last_failure}
        event = EventDraft(EventType.ACTOR_RESTARTED, child.name, data=facts)

        def decide(_tables: Tables) -> tuple[Change, None]:
            return Change(events=(event,)), None

        self.context.directory.tell(REGISTRY, Transact(decide))

    def _pong(self, message: Pong) -> None:
        child = self._family.get(message.name)
        if child is not None and child.generation == message.generation:
            child.last_pong = message.at
            if child.state == "hung":
                log.warning("actor %s answers again", child.name)
                child.state = "running"

    def _sweep(self, now: float) -> None:
        """Look after everyone; ``now`` is infinite if no restart is to be waited for."""
        for child in self._family.all():
            if child.state == "new":
                self._start_child(child)
                self._tell_controller(child.name)
            if child.state == "restarting" and now >= child.again_at + _LATE_SECONDS:
                # The supervisor that was to restart it has died itself.
                self._restart_now(_RestartNow(child.name, child.generation))
            if child.state not in ("running", "hung"):
                continue
            ref = self.context.directory.get(child.name)
            if ref is None or not ref.is_alive():
                self._died(child.name, child.generation, child.last_failure or "it is gone")
                continue
            late = overdue(child.last_pong, time.monotonic(), PONG_SECONDS)
            if child.state == "running" and late:
                child.state = "hung"
                log.critical("actor %s does not answer", child.name)
            self.context.directory.tell(child.name, Ping(child.generation))


def stop_all(family: Family, directory: Directory, seconds: float) -> tuple[str, ...]:
    """Stop the children in reverse order of their start; the names of those that hung.

    Args:
        family: The children.
        directory: Where they are.
        seconds: For each of them.
    """
    hung: list[str] = []
    for child in reversed(family.all()):
        ref = directory.get(child.name)
        child.state = "failed"
        if ref is None or not ref.is_alive():
            continue
        try:
            ref.stop(block=True, timeout=seconds)
        except pykka.Timeout:
            hung.append(child.name)
        except pykka.ActorDeadError:
            log.debug("actor %s had ended already", child.name)
    return tuple(hung)
