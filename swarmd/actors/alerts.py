"""Alerting as a whole: the actor while it is switched on, and what it holds between its lives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pykka

from swarmd.actors.alerting import Alerting, AlertingParts, Delivered
from swarmd.actors.base import ALERTING, SUPERVISOR, Context
from swarmd.actors.couriers import Couriers
from swarmd.actors.lanes import Lanes
from swarmd.actors.published import Published
from swarmd.actors.supervisor import Child, Family, StartChild, dismiss
from swarmd.actors.ticker import Rhythms
from swarmd.actors.watching import disk_of
from swarmd.core.doctor import Disk
from swarmd.errors import Unavailable
from swarmd.messages.alert import SinkInfo
from swarmd.messages.config import AlertingConfig, HealthConfig
from swarmd.ports import Sink

_TICK_SECONDS = 0.5
_CLOSE_SECONDS = 1.0


class Alerts:
    """Starts and stops it. Called while the daemon is built, and on its loop.

    Args:
        family: Where the supervisor finds it.
        make_sinks: The sinks of a configuration.
        places: The daemon's own directories: (what, directory).
        settings: ``[alerting]`` now.
        health: ``[health]`` now.
        new_id: Makes ids of alerts.
        last_seq: The number of the last event that the start found.
    """

    def __init__(
        self,
        *,
        context: Context,
        family: Family,
        rhythms: Rhythms,
        published: Published,
        make_sinks: Callable[[AlertingConfig], Sequence[Sink]],
        places: Sequence[tuple[str, Path]],
        settings: Callable[[], AlertingConfig],
        health: Callable[[], HealthConfig],
        new_id: Callable[[], str],
        last_seq: int,
    ) -> None:
        self._context = context
        self._family = family
        self._rhythms = rhythms
        self._settings = settings
        self._last_seq: int | None = last_seq
        self._lanes = Lanes("alerting", 1)
        self._couriers = Couriers(make_sinks, context.clock, self._told)
        self._parts = AlertingParts(
            published=published,
            couriers=self._couriers,
            lanes=self._lanes,
            look_at_disks=lambda: look_at_disks(places),
            settings=settings,
            health=health,
            new_id=new_id,
            found_seq=self._found_seq,
        )

    def _found_seq(self) -> int | None:
        found, self._last_seq = self._last_seq, None
        return found

    def _told(self) -> None:
        """On a courier's thread."""
        self._context.directory.tell(ALERTING, Delivered())

    @property
    def enabled(self) -> bool:
        """Whether anything is judged."""
        return self._settings().enabled

    def require(self) -> None:
        """Refuse what makes no sense without it. Raises ``Unavailable``."""
        if not self.enabled:
            raise Unavailable(
                "alerting is switched off",
                field="alerting.enabled",
                next_step="Set alerting.enabled = true in the configuration, then swarmctl reload.",
            )

    def infos(self) -> tuple[SinkInfo, ...]:
        """How the sinks fare."""
        return self._couriers.infos()

    def start(self) -> None:
        """Add it to the family, if it is switched on."""
        if self.enabled and self._family.get(ALERTING) is None:
            self._rhythms.set(ALERTING, _TICK_SECONDS)
            self._family.add(Child(ALERTING, self._factory))

    def follow(self) -> None:
        """The configuration was reloaded."""
        if self.enabled:
            self.start()
            self._context.directory.tell(SUPERVISOR, StartChild())
        elif self._family.get(ALERTING) is not None:
            self._rhythms.set(ALERTING, None)
            dismiss(self._family, self._context.directory, ALERTING)
            self._couriers.suspend()

    def close(self) -> None:
        """At the daemon's end, once the actors have stopped."""
        self._couriers.close(_CLOSE_SECONDS)
        self._lanes.close(_CLOSE_SECONDS)

    def _factory(self, generation: int) -> pykka.ActorRef[Any]:
        return Alerting.start(self._context, ALERTING, generation, self._parts)


def look_at_disks(places: Sequence[tuple[str, Path]]) -> Sequence[Disk]:
    """The room where these directories lie; those on one file system together."""
    found: dict[object, Disk] = {}
    for what, path in places:
        disk = disk_of(what, path)
        try:
            device: object = path.stat().st_dev
        except OSError:
            device = path
        known = found.get(device)
        if known is not None:
            disk = Disk(f"{known.what} and {what}", known.path, disk.free, disk.total, disk.problem)
        found[device] = disk
    return tuple(found.values())
