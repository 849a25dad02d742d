"""The health monitors that run: one beside each provider's actor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pykka

from swarmd.actors.asking import Asker, no_refusal
from swarmd.actors.base import Context, health_actor
from swarmd.actors.lanes import Lanes
from swarmd.actors.monitor import HealthMonitor, Noticed
from swarmd.actors.published import News, Published
from swarmd.actors.remedies import Remedies
from swarmd.actors.supervisor import Child, Family, dismiss
from swarmd.actors.ticker import Rhythms
from swarmd.errors import SwarmError
from swarmd.messages.config import HealthConfig
from swarmd.messages.enums import EventType
from swarmd.ports import Probe, Provider, Store

_TICK_SECONDS = 0.5
_ASKED_AT_ONCE = 8
"""Threads of one provider for what cannot be asked over a socket."""

_TELLING = frozenset({EventType.OPERATION_ENDED, EventType.INSTANCE_STATUS_CHANGED})
"""Events after which an instance is looked at at once."""


class Monitors:
    """Starts and stops them. Thread-safe where it is called while the daemon runs.

    Args:
        family: Where the supervisor finds them.
        probe: What asks over sockets; shared by all, and closed with them.
        settings: ``[health]`` now.
        lasts: Seconds that an operation may take, now.
        new_id: Makes ids of operations.
    """

    def __init__(
        self,
        *,
        context: Context,
        family: Family,
        rhythms: Rhythms,
        published: Published,
        store: Store,
        probe: Probe,
        settings: Callable[[], HealthConfig],
        lasts: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._context = context
        self._family = family
        self._rhythms = rhythms
        self._published = published
        self._store = store
        self._probe = probe
        self._settings = settings
        self._lasts = lasts
        self._new_id = new_id
        self._askers: dict[str, Asker] = {}
        published.listen(self._hear)

    def child(
        self, provider: Provider, refusal: Callable[[], SwarmError | None] = no_refusal
    ) -> Child | None:
        """How the monitor of a provider is started; None if health is switched off.

        Args:
            provider: Whose instances.
            refusal: Why it is not to be asked now; None: it may be.
        """
        if not self._settings().enabled:
            return None
        name = health_actor(provider.name)
        lanes = Lanes(f"{provider.name}-health", _ASKED_AT_ONCE)
        asker = Asker(provider, self._probe, lanes, refusal)
        self._askers[provider.name] = asker
        self._rhythms.set(name, _TICK_SECONDS)
        remedies = self._remedies(provider.name)

        def factory(generation: int) -> pykka.ActorRef[Any]:
            return HealthMonitor.start(
                self._context,
                name,
                generation,
                provider=provider.name,
                published=self._published,
                asker=asker,
                remedies=remedies,
                store=self._store,
                settings=self._settings,
            )

        return Child(name, factory)

    def _remedies(self, provider: str) -> Remedies:
        return Remedies(
            provider=provider,
            directory=self._context.directory,
            published=self._published,
            clock=self._context.clock,
            settings=self._settings,
            lasts=self._lasts,
            new_id=self._new_id,
        )

    def stop(self, provider: str) -> None:
        """Watch over the instances of one provider no longer."""
        asker = self._askers.pop(provider, None)
        if asker is not None:
            self._rhythms.set(health_actor(provider), None)
            dismiss(self._family, self._context.directory, health_actor(provider))
            asker.close()

    def close(self) -> None:
        """At the daemon's end, once the actors have stopped."""
        self._probe.close()
        for asker in tuple(self._askers.values()):
            asker.close()

    def _hear(self, news: News) -> None:
        """On the registry's thread: who has just been started, or has ended."""
        directory = self._context.directory
        for event in news.events:
            row = news.tables.instances.get(event.target or "")
            if event.type in _TELLING and row is not None and row.provider in self._askers:
                directory.tell(health_actor(row.provider), Noticed(row.id))
