"""The actor that tells people what they should look at (seed 000, section 6.3).

It looks at what is published twice a second, and at each sample of the metrics when it comes.
What it finds is compared with the book of alerts, which the registry keeps like everything
else: so it has nothing to lose, and after a restart goes on where the book stands.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from swarmd.actors.base import REGISTRY, Context, Start, SwarmActor, Tick
from swarmd.actors.collected import Collected
from swarmd.actors.couriers import Couriers
from swarmd.actors.lanes import Lanes
from swarmd.actors.published import Published
from swarmd.actors.registry import Transact
from swarmd.core.alerts import disks, measured, seen
from swarmd.core.alerts.book import carry_out, told_again
from swarmd.core.alerts.condition import MEASURED, NOTHING, Sight
from swarmd.core.alerts.episodes import Plan, Timers, patience_of, step
from swarmd.core.alerts.receivers import sinks_of
from swarmd.core.doctor import Disk
from swarmd.core.tables import Change, Tables
from swarmd.errors import SwarmError
from swarmd.messages.config import AlertingConfig, HealthConfig
from swarmd.messages.telemetry import SwarmMetrics

log = logging.getLogger("swarmd.alerts")

_DISK_SECONDS = 15.0
_REFRESH_SECONDS = 60.0
"""How often other figures of alerts that go on are written, if nothing else is."""

_ANSWER_SECONDS = 10.0
"""A write that was not answered by then was lost with a registry."""

_AGAIN_SECONDS = 5.0
"""After a write that failed."""

_STALE_WINDOWS = 2
"""Without a sample for so many windows nothing is measured any more."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """Some sink is done with something."""


@dataclass(frozen=True, slots=True)
class _Measured:
    disks: Sequence[Disk]


@dataclass(frozen=True, slots=True)
class _Written:
    number: int
    error: SwarmError | None


@dataclass(frozen=True, slots=True)
class AlertingParts:
    """What the actor is made of.

    Args:
        published: What it looks at.
        couriers: Who tells others.
        lanes: Where it looks at disks.
        look_at_disks: The daemon's own, each once. Blocks.
        settings: ``[alerting]`` now.
        health: ``[health]`` now.
        new_id: Makes ids of alerts.
        found_seq: The number of the last event that the daemon's start found; None once it
            was asked for.
    """

    published: Published
    couriers: Couriers
    lanes: Lanes
    look_at_disks: Callable[[], Sequence[Disk]]
    settings: Callable[[], AlertingConfig]
    health: Callable[[], HealthConfig]
    new_id: Callable[[], str]
    found_seq: Callable[[], int | None]


class Alerting(SwarmActor):
    """See the module's docstring."""

    def __init__(self, context: Context, name: str, generation: int, parts: AlertingParts) -> None:
        super().__init__(context, name, generation)
        self._parts = parts
        self._timers = Timers()
        self._samples: tuple[SwarmMetrics, ...] = ()
        self._sampled_at: float | None = None
        self._fresh = False
        self._seen: tuple[Tables, bool, Sight] | None = None
        self._disks: Sequence[Disk] | None = None
        self._measured_at: float | None = None
        self._number = 0
        self._answer_by: float | None = None
        self._not_before = 0.0
        self._refreshed_at = 0.0

    def handle(self, message: Any) -> None:
        """Deal with one message."""
        match message:
            case Start():
                self._tell_again()
            case Tick():
                self._tick(message.now)
            case Collected():
                self._collected(message.metrics)
            case Delivered():
                self._deliver()
            case _Measured():
                self._disks = message.disks
            case _Written():
                self._written(message)

    # --- looking -----------------------------------------------------------------------------

    def _collected(self, sample: SwarmMetrics) -> None:
        window = self._parts.settings().window
        # Those of a time to come are of a clock that was set back: it is measured anew.
        earlier = [each for each in self._samples if each.timestamp <= sample.timestamp]
        self._samples = measured.within((*earlier, sample), window)
        self._fresh = True

    def _tick(self, now: float) -> None:
        self._deliver()
        self._look_at_disks(now)
        if self._fresh or self._sampled_at is None:
            self._sampled_at = now
        if now < self._not_before or (self._answer_by is not None and now < self._answer_by):
            # The book as it will be is not published yet.
            return
        tables, settings = self._parts.published.tables, self._parts.settings()
        if not settings.enabled:
            # It was just switched off, and this actor is about to end.
            return
        active = {alert.key: alert for alert in tables.alerts.active}
        patience = patience_of(settings, self._parts.health().check_interval)
        sight = self._sight(tables, settings, now)
        self._timers, plan = step(self._timers, active, sight, now=now, patience=patience)
        stale = now - self._refreshed_at >= _REFRESH_SECONDS
        taken = self._parts.couriers.done()
        if plan or taken or self._withdrawn(tables) or (plan.refreshed and stale):
            self._refreshed_at = now
            self._write(plan, now)

    def _sight(self, tables: Tables, settings: AlertingConfig, now: float) -> Sight:
        active = {alert.key for alert in tables.alerts.active}
        watched = self._parts.health().enabled
        if self._seen is None or self._seen[0] is not tables or self._seen[1] != watched:
            # Tables never change: the same ones show the same.
            self._seen = tables, watched, seen.judge(tables, active, watched=watched)
        sight = self._seen[2].plus(self._measured(now))
        if self._disks is not None:
            sight = sight.plus(disks.judge(self._disks, active, margin=settings.margin))
        return sight

    def _measured(self, now: float) -> Sight:
        """Held against thresholds once for each sample: a figure is no newer than its sample."""
        settings = self._parts.settings()
        active = {alert.key for alert in self._parts.published.tables.alerts.active}
        if self._fresh:
            self._fresh = False
            return measured.judge(self._samples, active, settings)
        last = self._sampled_at if self._sampled_at is not None else now
        if now - last >= _STALE_WINDOWS * settings.window:
            # Telemetry was switched off: nobody measures what these alerts are about.
            return Sight(MEASURED, {})
        return NOTHING

    def _look_at_disks(self, now: float) -> None:
        if self._measured_at is not None and now - self._measured_at < _DISK_SECONDS:
            return
        self._measured_at = now
        if self._parts.lanes.busy("disks"):
            return
        directory, name, look = self.context.directory, self.name, self._parts.look_at_disks

        def task() -> None:
            directory.tell(name, _Measured(look()))

        try:
            self._parts.lanes.submit("disks", task, threading.Event())
        except SwarmError as error:
            log.info("the disks are not looked at now: %s", error)

    # --- telling -----------------------------------------------------------------------------

    def _deliver(self) -> None:
        """Show the couriers the newest book, and the newest configuration."""
        self._parts.couriers.follow(self._parts.settings())
        self._parts.couriers.offer(self._parts.published.tables.alerts.outbox)

    def _withdrawn(self, tables: Tables) -> bool:
        """Whether something waits for a sink that is configured no more."""
        names = sinks_of(self._parts.settings())
        return any(each.sink not in names for each in tables.alerts.outbox)

    def _tell_again(self) -> None:
        """What a crash kept out of the journal, once in the life of a daemon."""
        last = self._parts.found_seq()
        if last is not None and told_again(self._parts.published.tables, last).events:
            self._transact(lambda tables: told_again(tables, last))

    def _write(self, plan: Plan, now: float) -> None:
        parts, at = self._parts, self.context.clock.now()
        settings, taken = parts.settings(), parts.couriers.done()

        def change(tables: Tables) -> Change:
            return carry_out(
                tables,
                plan,
                now=at,
                new_id=parts.new_id,
                sinks=sinks_of(settings),
                kept=settings.resolved_kept,
                taken=taken,
            )

        self._answer_by = now + _ANSWER_SECONDS
        self._transact(change)

    def _transact(self, change: Callable[[Tables], Change]) -> None:
        self._number += 1
        directory, name, number = self.context.directory, self.name, self._number

        def reply(_value: Any, error: SwarmError | None) -> None:
            directory.tell(name, _Written(number, error))

        directory.tell(REGISTRY, Transact(lambda tables: (change(tables), None), reply))

    def _written(self, message: _Written) -> None:
        if message.number != self._number:
            return
        if message.error is not None and self._answer_by is not None:
            # A full disk: what is to be told is found again, and told when there is room.
            self._not_before = self._answer_by - _ANSWER_SECONDS + _AGAIN_SECONDS
            self._fresh = bool(self._samples)
        self._answer_by = None
        self._deliver()
