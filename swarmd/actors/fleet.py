"""The providers that run: each one's adapter, its lanes and its actor."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pykka

from swarmd.actors.base import CONTROLLER, SUPERVISOR, ActorRestarted, Context, provider_actor
from swarmd.actors.circuit import Circuit
from swarmd.actors.lanes import Lanes
from swarmd.actors.monitors import Monitors
from swarmd.actors.provider import LookNow, ProviderActor, Uploads
from swarmd.actors.supervisor import Child, Family, StartChild, dismiss
from swarmd.actors.ticker import Rhythms
from swarmd.errors import Unavailable
from swarmd.messages.config import BreakerConfig
from swarmd.messages.provider import ProviderRecord
from swarmd.ports import Provider

log = logging.getLogger("swarmd.fleet")

_TICK_SECONDS = 1.0
_CLOSE_SECONDS = 5.0
_WATCHERS = 2
"""Threads for looking and upkeep, beside those for steps: slow starts blind nobody."""


@dataclass(frozen=True, slots=True)
class Member:
    """One running provider."""

    record: ProviderRecord
    provider: Provider
    lanes: Lanes
    watch: Lanes
    circuit: Circuit

    def close(self, seconds: float) -> None:
        """Cancel what runs, wait at most so many seconds for it, and let go."""
        self.watch.close(0.0)
        if not self.lanes.close(seconds):
            log.warning("work at provider %s goes on behind us", self.record.name)
        self.provider.dispose()


class Fleet:
    """Starts and stops providers. Thread-safe.

    Args:
        family: Where the supervisor finds their actors.
        make: Makes the adapter of a record (the composition root knows how).
        look_every: Seconds between two looks, asked anew each time.
        monitors: Watch over the health of their instances.
        breaker: ``[breaker]`` now.
    """

    def __init__(
        self,
        *,
        context: Context,
        family: Family,
        rhythms: Rhythms,
        uploads: Uploads,
        make: Callable[[ProviderRecord], Provider],
        look_every: Callable[[], float],
        monitors: Monitors,
        breaker: Callable[[], BreakerConfig],
    ) -> None:
        self._context = context
        self._family = family
        self._rhythms = rhythms
        self._uploads = uploads
        self._make = make
        self._look_every = look_every
        self._monitors = monitors
        self._breaker = breaker
        self._lock = threading.Lock()
        self._members: dict[str, Member] = {}

    def children(self, record: ProviderRecord) -> list[Child]:
        """Make the adapter and tell how its actor, and its monitor, are started.

        Raises:
            SwarmError: The adapter cannot be made from this record.
        """
        provider = self._make(record)
        lanes = Lanes(record.name, record.max_parallel)
        watch = Lanes(f"{record.name}-look", _WATCHERS)
        initialized = threading.Event()
        circuit = Circuit(record.name, self._context.clock, self._breaker)
        with self._lock:
            self._members[record.name] = Member(record, provider, lanes, watch, circuit)
        name = provider_actor(record.name)
        self._rhythms.set(name, _TICK_SECONDS)

        def factory(generation: int) -> pykka.ActorRef[Any]:
            return ProviderActor.start(
                self._context,
                name,
                generation,
                provider=provider,
                lanes=lanes,
                watch=watch,
                initialized=initialized,
                uploads=self._uploads,
                look_every=self._look_every,
                circuit=circuit,
            )

        monitor = self._monitors.child(provider, circuit.refusal)
        return [Child(name, factory), *([monitor] if monitor is not None else [])]

    def start(self, record: ProviderRecord) -> None:
        """Start one while the daemon runs. Raises as ``children`` does."""
        for child in self.children(record):
            self._family.add(child)
        self._context.directory.tell(SUPERVISOR, StartChild())

    def stop(self, name: str, then: Callable[[], None] = lambda: None) -> None:
        """Stop driving one. Its instances keep running; ``then`` is called at the end."""
        with self._lock:
            member = self._members.pop(name, None)
        if member is None:
            then()
            return
        self._monitors.stop(name)
        self._rhythms.set(provider_actor(name), None)
        dismiss(self._family, self._context.directory, provider_actor(name))
        closing = threading.Thread(
            target=self._close, args=(member, then), name=f"swarmd-close-{name}", daemon=True
        )
        closing.start()

    def _close(self, member: Member, then: Callable[[], None]) -> None:
        try:
            member.close(_CLOSE_SECONDS)
        finally:
            # The steps that were cut off go on at its next actor, or end with a reason.
            again = ActorRestarted(provider_actor(member.record.name))
            self._context.directory.tell(CONTROLLER, again)
            then()

    def close(self, seconds: float) -> None:
        """At the daemon's end, once the actors have stopped."""
        with self._lock:
            members, self._members = tuple(self._members.values()), {}
        self._monitors.close()
        for member in members:
            member.close(seconds)

    def lanes_of(self, name: str) -> Lanes | None:
        """A provider's lanes."""
        member = self._members.get(name)
        return member.lanes if member else None

    def members(self) -> tuple[Member, ...]:
        """All that run."""
        with self._lock:
            return tuple(self._members.values())

    def provider(self, name: str) -> Provider:
        """A running provider's adapter. Raises ``Unavailable``."""
        member = self._members.get(name)
        if member is None:
            raise Unavailable(
                f"provider {name} is not driven by this daemon now",
                next_step=f"Enable it: swarmctl providers enable {name}.",
            )
        return member.provider

    def reachable(self, name: str) -> Provider:
        """The same, for who is about to call it. Raises ``CircuitOpen`` while it is left alone."""
        found, member = self.provider(name), self._members.get(name)
        refused = member.circuit.refusal() if member is not None else None
        if refused is not None:
            raise refused
        return found

    def look(self, name: str) -> None:
        """Have one asked at once, whatever its breaker says: a person wants to know."""
        if name in self._members:
            self._context.directory.tell(provider_actor(name), LookNow(asked=True))
