"""What all actors share: addresses by name, pings, and a death that is heard.

The traps of pykka 4 that this file closes (each tried out): refs die with their actor, so
actors are addressed by name; ``tell`` to a dead actor raises in the sender, so it is counted
instead; an exception after ``tell`` kills the actor silently, so ``on_failure`` tells the
supervisor; ``SystemExit`` in an actor would stop all of them, so it is turned into a failure.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, cast

import pykka

from swarmd.ports import Clock

SUPERVISOR = "supervisor"
CONTROLLER = "controller"
REGISTRY = "registry"
TICKER = "ticker"
TELEMETRY = "telemetry"
ALERTING = "alerting"

log = logging.getLogger("swarmd.actors")


def provider_actor(name: str) -> str:
    """The address of a provider's actor."""
    return f"provider:{name}"


def health_actor(name: str) -> str:
    """The address of a provider's health monitor."""
    return f"health:{name}"


@dataclass(frozen=True, slots=True)
class Start:
    """The first message of every actor: do what ``__init__`` must not."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Answer the supervisor with a ``Pong`` of this generation."""

    generation: int


@dataclass(frozen=True, slots=True)
class Pong:
    """An actor answers."""

    name: str
    generation: int
    at: float


@dataclass(frozen=True, slots=True)
class ActorDied:
    """An actor failed in a handler."""

    name: str
    generation: int
    cause: str


@dataclass(frozen=True, slots=True)
class ActorRestarted:
    """An actor is back; what was in its mailbox is lost."""

    name: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed. ``now`` is monotonic seconds."""

    now: float


class Directory:
    """Actors by name. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refs: dict[str, pykka.ActorRef[Any]] = {}
        self.dead_letters = 0

    def put(self, name: str, ref: pykka.ActorRef[Any], first: object) -> None:
        """Make this the actor of that name; no message comes before its ``first``."""
        with self._lock:
            ref.tell(first)
            self._refs[name] = ref

    def remove(self, name: str) -> None:
        """Forget a name."""
        with self._lock:
            self._refs.pop(name, None)

    def get(self, name: str) -> pykka.ActorRef[Any] | None:
        """The actor of that name now; never keep it."""
        # Under the lock: an actor that looks itself up at its first message finds itself.
        with self._lock:
            return self._refs.get(name)

    def tell(self, name: str, message: object) -> bool:
        """Put a message into a mailbox; False (and counted) if nobody is there."""
        ref = self.get(name)
        try:
            if ref is not None:
                ref.tell(message)
                return True
        except pykka.ActorDeadError:
            log.debug("no actor %s for a %s", name, type(message).__name__)
        with self._lock:
            self.dead_letters += 1
        return False

    def depth(self, name: str) -> int:
        """Messages waiting in a mailbox."""
        ref = self.get(name)
        # pykka's inbox of a thread is a queue.Queue, though its Protocol does not say so.
        return cast("queue.Queue[Any]", ref.actor_inbox).qsize() if ref is not None else 0


def _no_fault(_name: str, _message: object) -> None:
    """Where a test may strike an actor in any handler."""


@dataclass(frozen=True, slots=True)
class Context:
    """What every actor is given.

    Args:
        directory: The other actors.
        clock: Time.
        fault: Called before each message; tests raise from it to kill an actor there.
    """

    directory: Directory
    clock: Clock
    fault: Callable[[str, object], None] = field(default=_no_fault)


class SwarmActor(pykka.ThreadingActor):
    """An actor with a name and a generation. Subclasses implement ``handle``."""

    # The daemon ends actors itself, each with a deadline; one that hangs must not keep the
    # process from ending.
    use_daemon_thread = True

    def __init__(self, context: Context, name: str, generation: int) -> None:
        super().__init__()
        self.context = context
        self.name = name
        self.generation = generation

    def handle(self, message: Any) -> None:
        """Deal with one message. Whatever it raises kills this actor."""
        raise NotImplementedError

    def on_receive(self, message: Any) -> None:
        """Answer pings; hand the rest to ``handle``."""
        if isinstance(message, Ping):
            pong = Pong(self.name, message.generation, time.monotonic())
            self.context.directory.tell(SUPERVISOR, pong)
            return
        try:
            self.context.fault(self.name, message)
            self.handle(message)
        except (SystemExit, KeyboardInterrupt) as error:
            raise RuntimeError(f"{type(error).__name__} in an actor") from error

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Tell the supervisor."""
        log.error(
            "actor %s failed",
            self.name,
            exc_info=(exception_type, exception_value, traceback)
            if exception_type is not None and exception_value is not None
            else None,
        )
        cause = f"{exception_type.__name__ if exception_type else '?'}: {exception_value}"
        died = ActorDied(self.name, self.generation, cause)
        self.context.directory.tell(SUPERVISOR, died)
