"""One actor per provider that asks its instances how they are (seed 001, Health Monitor).

What is there and whether it runs is seen by the provider's own sweeps; the monitor hears of
each. Whether an instance answers is asked by probes that cost no thread. What follows from
both is decided in ``core/health``; what is done about it, in ``core/recovery``.
"""

from __future__ import annotations

import dataclasses
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from swarmd.actors.asking import Asker
from swarmd.actors.base import REGISTRY, Context, Start, SwarmActor, Tick, provider_actor
from swarmd.actors.callers import Callers
from swarmd.actors.heard import Answered, CheckNow, Measured, Noticed, Restored
from swarmd.actors.idling import Idling
from swarmd.actors.looking import Looked, LookNow
from swarmd.actors.published import Published
from swarmd.actors.registry import Transact
from swarmd.actors.remedies import Remedies
from swarmd.actors.wards import Sight, Wards
from swarmd.core.health.ailments import ailment_of
from swarmd.core.health.changes import Finding, note_findings
from swarmd.core.health.facts import Verdict
from swarmd.core.health.rules import Rules
from swarmd.core.health.schedule import Schedule
from swarmd.core.health.usage import usage_of
from swarmd.core.health.verdict import is_in_doubt, verdict
from swarmd.core.tables import Change, Tables
from swarmd.messages.config import HealthConfig
from swarmd.messages.enums import DesiredState, HealthStatus, InstanceStatus, ProbeKind
from swarmd.messages.instance import Instance, InstanceStats
from swarmd.messages.provider import Address
from swarmd.ports import Answer, Store

log = logging.getLogger("swarmd.health")

_KEEP_SECONDS = 5.0
"""How often changed histories are handed to the store."""

TICK_SECONDS = 0.5
"""Seconds between two ticks."""


class HealthMonitor(SwarmActor):
    """See the module's docstring.

    Args:
        provider: Whose instances.
        asker: How they are asked.
        remedies: Does something about what is found.
        idling: Stops what nobody uses.
        store: Keeps the histories.
        settings: ``[health]`` now.
    """

    def __init__(
        self,
        context: Context,
        name: str,
        generation: int,
        *,
        provider: str,
        published: Published,
        asker: Asker,
        remedies: Remedies,
        idling: Idling,
        store: Store,
        settings: Callable[[], HealthConfig],
    ) -> None:
        super().__init__(context, name, generation)
        self._provider = provider
        self._published = published
        self._asker = asker
        self._remedies = remedies
        self._idling = idling
        self._store = store
        self._settings = settings
        self._wards = Wards(settings)
        self._reading: set[str] = set()
        self._schedule = Schedule()
        self._asked: dict[str, float] = {}  # when, of those that have not answered yet
        self._callers = Callers()
        self._sight: Sight | None = None
        self._kept_at = 0.0
        self._measured_at = 0.0

    def handle(self, message: Any) -> None:
        """Deal with one message."""
        match message:
            case Start():
                self.context.directory.tell(provider_actor(self._provider), LookNow())
            case Looked():
                self._looked(message)
            case Noticed():
                self._noticed(message)
            case Answered():
                self._answered(message)
            case Restored():
                self._restored(message)
            case Measured():
                self._measured(message.stats)
            case CheckNow():
                self._check_now(message)
            case Tick():
                self._tick(message.now)

    # --- hearing of what is there ------------------------------------------------------------

    def _rows(self) -> list[Instance]:
        rows = self._published.tables.instances.values()
        return [row for row in rows if row.provider == self._provider]

    def _looked(self, seen: Looked) -> None:
        before = self._sight
        self._sight = Sight.of(seen, self.context.clock.now(), time.monotonic())
        rows = self._rows()
        if before is not None and self._sight.ok and not before.ok:
            self._wards.excuse()
        gone = self._wards.forget_others({row.id for row in rows})
        self._idling.forget(gone)
        for each in gone:
            self._schedule.drop(each)
            self._remedies.forget(each)
        self._read(self._wards.missing(rows))
        known_before = before is not None and before.ok == self._sight.ok
        busy = self._published.tables.active
        # Most are as they were judged last: nothing new can be concluded of them.
        self._judge(
            row
            for row in rows
            if not known_before or row.id in busy or not self._wards.is_judged(row)
        )
        self._plan(rows)
        self._ask_due(time.monotonic())
        self._tell_callers()
        self._check_waiting()

    def _noticed(self, message: Noticed) -> None:
        """What has just been started is asked at once."""
        row = self._published.tables.instances.get(message.instance_id)
        if row is not None and message.used and row.desired is DesiredState.RUNNING:
            self._idling.used(row.id, message.used)
        if row is not None and self._sight is not None:
            self._read(self._wards.missing((row,)))
            self._plan((row,))
            track = self._wards.track(row)
            if row.id in self._schedule and track is not None and track.answered_at is None:
                self._schedule.soon(row.id, time.monotonic())
            self._judge((row,))
            self._ask_due(time.monotonic())

    def _plan(self, rows: Iterable[Instance]) -> None:
        """Ask what runs regularly, and nothing else."""
        now, running = time.monotonic(), InstanceStatus.RUNNING
        for row in rows:
            if row.status is not running or self._wards.rules(row).probe is ProbeKind.NONE:
                self._schedule.drop(row.id)
            elif self._is_unplanned(row.id):
                self._schedule.plan(row.id, now, self._wards.rules(row).pace, _chance())

    def _is_unplanned(self, instance_id: str) -> bool:
        """Whether it is known and nothing leads to its next probe: no time, and no answer."""
        awaited = instance_id in self._schedule or instance_id in self._asked
        return not awaited and instance_id in self._wards

    def _read(self, instance_ids: set[str]) -> None:
        """Take up what the store kept of those that are new here: files, so in a lane."""
        missing = instance_ids - self._reading
        if not missing:
            return
        directory, name, store = self.context.directory, self.name, self._store

        def read() -> None:
            directory.tell(name, Restored({each: store.health(each) for each in missing}))

        if self._asker.run("#kept", read):
            self._reading |= missing

    def _restored(self, message: Restored) -> None:
        self._reading -= message.kept.keys()
        instances = self._published.tables.instances
        rows = [instances[each] for each in message.kept if each in instances]
        for row in rows:
            kept = message.kept[row.id]
            self._wards.take(row.id, kept)
            self._idling.take(row, kept.activity if kept is not None else None)
            self._remedies.take(row, kept.hold if kept is not None else None)
        self._judge(rows)
        self._plan(rows)
        self._ask_due(time.monotonic())
        self._check_waiting()

    # --- asking ------------------------------------------------------------------------------

    def _tick(self, now: float) -> None:
        if self._sight is None:
            return
        # Also what is due before the next tick: it would be late then.
        self._ask_due(now + TICK_SECONDS, now)
        if now - self._measured_at >= self._settings().check_interval:
            self._measured_at = now
            self._measure()
        if now - self._kept_at >= _KEEP_SECONDS:
            self._kept_at = now
            self._keep()
        self._remedies.again(now)
        instances = self._published.tables.instances
        self._judge([instances[each] for each in self._idling.due() if each in instances])

    def _ask_due(self, until: float, now: float | None = None) -> None:
        """Ask those whose time comes until then (monotonic seconds), which by default is now.

        One that is being asked has its next time from its answer.
        """
        instances = self._published.tables.instances
        for instance_id in self._schedule.due(until):
            row = instances.get(instance_id)
            if row is not None and row.status is InstanceStatus.RUNNING:
                self._ask(row, until if now is None else now)

    def _ask(self, row: Instance, now: float) -> None:
        if self._sight is None or row.id in self._asked:
            return
        self._asked[row.id] = now
        shown = self._sight.observed.get(row.id)
        address: Address | None = shown.address if shown is not None else None
        directory, name, life = self.context.directory, self.name, row.started_at

        def told(answer: Answer) -> None:
            directory.tell(name, Answered(row.id, life, answer))

        self._asker.ask(row, self._wards.rules(row), address, told)

    def _answered(self, message: Answered) -> None:
        asked_at = self._asked.pop(message.instance_id, None)
        row = self._published.tables.instances.get(message.instance_id)
        if row is None:
            self._callers.drop(message.instance_id)
            return
        answer = message.answer
        runs = row.status is InstanceStatus.RUNNING
        same = row.started_at == message.life and runs
        if runs and asked_at is not None:
            self._plan_next(row, asked_at, same=same)
        # Where its provider is gone, a question may find no way to it.
        counts = answer.ok or (self._sight is not None and self._sight.ok)
        if same and answer.asked and counts:
            now = self.context.clock.now()
            if self._wards.answered(row, answer, now, time.monotonic()):
                self.context.directory.tell(provider_actor(self._provider), LookNow())
            if answer.ok:
                self._idling.answered(row, answer.message)
        self._judge((row,))
        if self._sight is not None:
            # An answer to the monitor before this one may come before the first look.
            self._callers.answered(row.id)
            self._tell_callers()

    def _plan_next(self, row: Instance, asked_at: float, *, same: bool) -> None:
        """From when it was asked: a timeout is no reason to wait for longer."""
        if same:
            self._schedule.plan(row.id, asked_at, self._wards.rules(row).pace, _chance())
        else:  # it was started anew meanwhile: this life has not been asked yet
            self._schedule.soon(row.id, time.monotonic())
        self._ask_due(time.monotonic())

    def _measure(self) -> None:
        running = [row for row in self._rows() if row.status is InstanceStatus.RUNNING]
        if not running:
            return
        directory, name = self.context.directory, self.name

        def told(stats: Sequence[InstanceStats]) -> None:
            directory.tell(name, Measured(stats))

        self._asker.measure(running, told)

    def _measured(self, stats: Sequence[InstanceStats]) -> None:
        instances, found = self._published.tables.instances, []
        for each in stats:
            row = instances.get(each.id)
            track = self._wards.track(row) if row is not None else None
            if row is not None and track is not None:
                track.used(usage_of(each), each.taken_at)
                found.append(row)
        self._judge(found)

    # --- judging -----------------------------------------------------------------------------

    def _judge(self, rows: Iterable[Instance]) -> None:
        """Conclude, write what changed, and have something done about it."""
        if self._sight is None:
            return
        tables, now = self._published.tables, self.context.clock.now()
        findings: list[Finding] = []
        for row in rows:
            track, rules = self._wards.track(row), self._wards.rules(row)
            if track is None:
                continue
            seen = self._sight.seen(row, tables)
            found = verdict(row, track, rules, seen=seen, now=now)
            if found.status is HealthStatus.UNHEALTHY and (held := self._remedies.held(row.id)):
                found = dataclasses.replace(found, details=f"it runs and is held: {held}")
            track.conclude(found, now)
            self._wards.note_judged(row, again=is_in_doubt(track, seen))
            known = tables.ailments.get(row.id)
            if found.status is not row.health:
                self._wards.note_changed(row.id)
            if found.status is not row.health or ailment_of(found, known) != known:
                findings.append(Finding(row.id, found))
            self._treat(row, rules, found)
            if self._idling.consider(row, found.status, track.failures):
                self._ask(row, time.monotonic())
        if findings:
            self._write(tuple(findings), now)

    def _treat(self, row: Instance, rules: Rules, found: Verdict) -> None:
        if found.status is HealthStatus.UNHEALTHY and row.status is InstanceStatus.RUNNING:
            self._remedies.consider(row, rules, found)
        else:
            self._remedies.well(row.id, healthy=found.status is HealthStatus.HEALTHY)

    def _write(self, findings: tuple[Finding, ...], now: datetime) -> None:
        def decide(tables: Tables) -> tuple[Change, None]:
            return note_findings(tables, findings, now), None

        self.context.directory.tell(REGISTRY, Transact(decide))

    # --- being asked -------------------------------------------------------------------------

    def _check_now(self, message: CheckNow) -> None:
        row = self._published.tables.instances.get(message.instance_id)
        if row is None:
            return
        self._callers.add(row.id, message.reply)
        if row.id not in self._wards:
            # One that is not to run: it is remembered once somebody asks.
            self._read({row.id})
        self._check_waiting()

    def _check_waiting(self) -> None:
        """Look into those that somebody asked for, once that is possible."""
        if self._sight is None:
            return
        for instance_id in self._callers.to_ask():
            row = self._published.tables.instances.get(instance_id)
            if row is None:
                self._callers.drop(instance_id)
            elif row.id in self._wards and row.id not in self._asked:
                self._check(row)

    def _check(self, row: Instance) -> None:
        rules = self._wards.rules(row)
        if row.status is InstanceStatus.RUNNING and rules.probe is not ProbeKind.NONE:
            self._ask(row, time.monotonic())
        if row.id not in self._asked:
            self._judge((row,))
            self._callers.answered(row.id)
            self._tell_callers()

    def _tell_callers(self) -> None:
        tables, sight, wards = self._published.tables, self._sight, self._wards
        self._callers.tell(
            lambda each: wards.is_settled(each, tables, sight),
            lambda each: wards.health(each, tables),
        )

    # --- keeping -----------------------------------------------------------------------------

    def _keep(self) -> None:
        """Hand what changed to the store, which writes it lazily (DESIGN 5)."""
        for each in self._idling.changed() | self._remedies.changed():
            self._wards.note_changed(each)
        healths = self._wards.to_keep(self._published.tables.instances)
        if healths:
            used, held = self._idling.kept, self._remedies.kept
            self._store.keep_health(
                [replace(each, activity=used(each.id), hold=held(each.id)) for each in healths]
            )

    def on_stop(self) -> None:
        """The last of it."""
        self._keep()
        self._idling.hide()


def _chance() -> float:
    return random.random()  # noqa: S311  # jitter, not a secret
