"""The health monitors that run: one beside each provider's actor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pykka

from swarmd.actors.asking import Asker, no_refusal
from swarmd.actors.base import Context, health_actor
from swarmd.actors.heard import Noticed
from swarmd.actors.idling import Idling
from swarmd.actors.lanes import Lanes
from swarmd.actors.measures import Measures
from swarmd.actors.monitor import TICK_SECONDS, HealthMonitor
from swarmd.actors.published import News, Published
from swarmd.actors.remedies import Remedies
from swarmd.actors.supervisor import Child, Family, dismiss
from swarmd.actors.ticker import Rhythms
from swarmd.actors.uses import Outlooks, RunningCommands
from swarmd.core.idle.activity import A_COMMAND
from swarmd.core.idle.users import user_of
from swarmd.errors import SwarmError
from swarmd.messages.config import HealthConfig, InstancesConfig
from swarmd.messages.enums import EventType
from swarmd.messages.instance import Instance
from swarmd.ports import Probe, Provider, Store

_ASKED_AT_ONCE = 8
"""Threads of one provider for what cannot be asked over a socket."""

_TELLING = frozenset(
    {
        EventType.OPERATION_ENDED,
        EventType.INSTANCE_STATUS_CHANGED,
        EventType.INSTANCE_KEPT,
    }
)
"""Events after which an instance is looked at at once."""


class Monitors:
    """Starts and stops them. Thread-safe where it is called while the daemon runs.

    Args:
        family: Where the supervisor finds them.
        probe: What asks over sockets; shared by all, and closed with them.
        settings: ``[health]`` now.
        instances: ``[instances]`` now.
        new_id: Makes ids of operations.
        boot: In which life of the host monotonic seconds count.
        commands: Who runs what in instances.
        outlooks: Where their use is shown.
        measures: Where it is shown what they were measured to use.
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
        instances: Callable[[], InstancesConfig],
        new_id: Callable[[], str],
        boot: str,
        commands: RunningCommands,
        outlooks: Outlooks,
        measures: Measures,
    ) -> None:
        self._context = context
        self._family = family
        self._rhythms = rhythms
        self._published = published
        self._store = store
        self._probe = probe
        self._settings = settings
        self._instances = instances
        self._new_id = new_id
        self._boot = boot
        self._commands = commands
        self._outlooks = outlooks
        self._measures = measures
        commands.listen(self._used_by_command)
        self._askers: dict[str, Asker] = {}
        self._idlings: dict[str, Idling] = {}
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
        asker = Asker(provider, self._probe, lanes, refusal, self._measures.note)
        self._askers[provider.name] = asker
        self._rhythms.set(name, TICK_SECONDS)
        remedies = self._remedies(provider.name)
        idling = self._idlings.get(provider.name) or self._idling()
        self._idlings[provider.name] = idling

        def factory(generation: int) -> pykka.ActorRef[Any]:
            return HealthMonitor.start(
                self._context,
                name,
                generation,
                provider=provider.name,
                published=self._published,
                asker=asker,
                remedies=remedies,
                idling=idling,
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

    def _idling(self) -> Idling:
        return Idling(
            directory=self._context.directory,
            published=self._published,
            clock=self._context.clock,
            settings=self._instances,
            lasts=self._lasts,
            new_id=self._new_id,
            boot=self._boot,
            commands=self._commands,
            outlooks=self._outlooks,
        )

    def _lasts(self) -> float:
        return self._instances().operation_timeout

    def _used_by_command(self, row: Instance) -> None:
        """On any thread: a command has begun in it, or ended."""
        if row.provider in self._askers:
            notice = Noticed(row.id, used=A_COMMAND)
            self._context.directory.tell(health_actor(row.provider), notice)

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
        """On the registry's thread: who has just been started, has ended, or was kept."""
        directory = self._context.directory
        for event in news.events:
            row = news.tables.instances.get(event.target or "")
            if event.type in _TELLING and row is not None and row.provider in self._askers:
                notice = Noticed(row.id, used=user_of(event, news.tables))
                directory.tell(health_actor(row.provider), notice)
