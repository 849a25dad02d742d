"""Carries out what ``core/reconcile.py`` decides: records what was seen, asks for operations.

Held by the controller and called on its thread. What it remembers (absences, attempts, when
an instance was last touched) begins empty after a restart, which only makes it more patient.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

import msgspec

from swarmd.actors.base import REGISTRY, Directory, provider_actor
from swarmd.actors.provider import Looked, LookNow, RunStep
from swarmd.actors.published import Published
from swarmd.actors.registry import Transact, no_reply
from swarmd.actors.restarts import Restarts, counts_of
from swarmd.actors.returning import Returning
from swarmd.core import housekeeping
from swarmd.core.lifecycle import at_or_after
from swarmd.core.notes import status_of
from swarmd.core.reconcile import Facts, Found, Plan, Undo, reconcile
from swarmd.core.recovery.attempts import Attempts
from swarmd.core.recovery.held import hold
from swarmd.core.recovery.remedy import Hold
from swarmd.core.sight import follow, lost_failure, settle
from swarmd.core.steps import Outcome, Step
from swarmd.core.strays import stand_in_for, stray_of
from swarmd.core.tables import Change, EventDraft, Tables
from swarmd.core.wishes import Wish, accept
from swarmd.errors import Conflict, SwarmError
from swarmd.messages.config import HealthConfig
from swarmd.messages.enums import EventType, InstanceStatus, OperationKind, Origin
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Caller
from swarmd.messages.provider import Observed
from swarmd.ports import Clock

log = logging.getLogger("swarmd.reconcile")

_SWEEP_SECONDS = 120.0
_TOUCHED_SECONDS = 300.0
_LOOK_SECONDS = 5.0
"""What was asked for, a look or a start, has come by then; else it is asked for again."""


class Reconciler:
    """Compares wish and reality each time a provider has looked.

    Args:
        accepted: Tells the controller of an operation that was begun.
        new_id: Makes ids of operations.
        node: This daemon's id.
    """

    def __init__(
        self,
        *,
        directory: Directory,
        published: Published,
        clock: Clock,
        node: str,
        new_id: Callable[[], str],
        accepted: Callable[[Any], None],
    ) -> None:
        self._directory = directory
        self._published = published
        self._clock = clock
        self._node = node
        self._new_id = new_id
        self._accepted = accepted
        self._absences: Counter[str] = Counter()
        self._confirmed: set[str] = set()
        self._restarts = Restarts()
        self._repairs: dict[str, Attempts] = {}  # of all but starts: those hold nobody
        self._returning = Returning(published, self._restarts, self._start, self._hold)
        self._lasts, self._health = 0.0, HealthConfig()
        self._touched: dict[str, float] = {}
        self._acted: dict[str, float] = {}
        self._waits: dict[str, datetime] = {}
        self._me = Caller(name="swarmd", uid=0, gid=0, pid=0)

    def step_ended(self, instance_id: str, outcome: Outcome) -> None:
        """An operation has just changed this instance: older sightings do not count."""
        self._touched.pop(instance_id, None)  # the newest stay last
        self._touched[instance_id] = time.monotonic()
        operation = self._published.tables.operations.get(outcome.operation_id)
        if operation is not None:
            self._restarts.step_ended(operation, outcome.error)

    def looked(
        self,
        seen: Looked,
        *,
        every: float,
        trash_retention: float,
        lasts: float,
        health: HealthConfig,
    ) -> None:
        """A provider told what it sees.

        Args:
            seen: Its list, or that it did not answer.
            every: Seconds between two rounds in which something is done about a difference
                that was there before; a new one is acted upon at once.
            trash_retention: Seconds in the trash.
            lasts: Seconds that an operation may take.
            health: What is done by itself about what ended.
        """
        if seen.observed is None:
            # What was wished for meanwhile is carried out as soon as it answers.
            self._acted.pop(seen.provider, None)
            self._show_view(seen)
            return
        self._lasts, self._health = lasts, health
        self._count_absences(seen)
        self._restarts.forgive(self._published.tables, self._clock.now(), health)
        plan = self._plan(seen, trash_retention)
        self._record(plan, seen.provider)
        # After the strays: whoever sees that it was looked at also sees what was found.
        self._show_view(seen)
        if self._is_time(plan, seen.provider, every):
            self._acted[seen.provider] = time.monotonic()
            self._act(plan, seen.provider, lasts)
            self._returning.found(seen.provider, self._ended(plan, seen))
        self._returning.keep(seen.provider, plan.start)
        self._returning.advance(seen.provider, health, self._clock.now())
        self._waits.pop(seen.provider, None)
        if plan.wait:
            self._waits[seen.provider] = min(due for _, due in plan.wait)
        if not plan.empty:
            log.info("reconcile %s: %s", seen.provider, plan.counts())

    def _is_time(self, plan: Plan, provider: str, every: float) -> bool:
        """Whether something is done about it now: what is new does not wait for its round."""
        last = self._acted.get(provider)
        due = last is None or time.monotonic() - last >= every
        new = plan.observe or plan.adopt or plan.lost or plan.follow
        again = provider in self._waits or any(each in self._restarts for each in plan.start)
        return bool(due or new or again)

    def tick(self) -> None:
        """Go on with what was put off until now, or have looked again."""
        now = self._clock.now()
        for provider in self._published.tables.providers:
            self._returning.advance(provider, self._health, now)
        for provider, due in tuple(self._waits.items()):
            if self._directory.get(provider_actor(provider)) is None:
                del self._waits[provider]
            elif due <= now:
                self._waits[provider] = now + timedelta(seconds=_LOOK_SECONDS)
                self._directory.tell(provider_actor(provider), LookNow())

    # --- deciding ----------------------------------------------------------------------------

    def _plan(self, seen: Looked, trash_retention: float) -> Plan:
        tables, now = self._published.tables, self._clock.now()
        newest_first = reversed(self._touched.items())
        recent = {each for each, _ in takewhile(lambda one: one[1] >= seen.began, newest_first)}
        # Kept for longer than any list takes: that of another provider may have begun earlier.
        kept_since = time.monotonic() - _TOUCHED_SECONDS
        for each, _ in tuple(takewhile(lambda one: one[1] < kept_since, self._touched.items())):
            del self._touched[each]
        facts = Facts(
            records=tables.instances,
            busy=tables.active.keys() | recent,
            observed={seen.provider: seen.observed},
            absences=self._absences,
            confirmed_absent=self._confirmed,
            tombstones=housekeeping.tombstones(tables),
            attempts=self._restarts.counts() | counts_of(self._repairs),
            node=self._node,
            now=now,
            trash_retention=trash_retention,
            chance=random.random(),  # noqa: S311  # jitter, not a secret
        )
        plan = reconcile(facts)
        self._forget_repaired(plan, seen.provider, facts)
        return plan

    def _forget_repaired(self, plan: Plan, provider: str, facts: Facts) -> None:
        """Where nothing is left to be repaired the next one begins at once."""
        open_ = {*plan.stop, *plan.recreate, *plan.restore, *plan.delete, *dict(plan.wait)}
        for each in self._repairs.keys() - open_ - facts.busy:
            row = facts.records.get(each)
            if row is None or row.provider == provider:
                del self._repairs[each]

    def _count_absences(self, seen: Looked) -> None:
        there = {each.id for each in seen.observed or ()}
        for row in self._published.tables.instances.values():
            if row.provider != seen.provider:
                continue
            if row.id in there:
                self._absences.pop(row.id, None)
                self._confirmed.discard(row.id)
            else:
                self._absences[row.id] += 1
        self._confirmed |= seen.confirmed_absent - there
        recorded = self._published.tables.instances.keys()
        for gone in self._absences.keys() - recorded:
            del self._absences[gone]
        self._confirmed &= recorded

    # --- recording ---------------------------------------------------------------------------

    def _show_view(self, seen: Looked) -> None:
        before = self._published.tables.views.get(seen.provider)
        if before == seen.view:
            return

        def decide(tables: Tables) -> tuple[Change, None]:
            if seen.provider not in tables.providers:
                return Change(), None
            events: tuple[EventDraft, ...] = ()
            if before is None or before.health.ok != seen.view.health.ok:
                facts = {"provider": seen.provider, "ok": seen.view.health.ok}
                facts["message"] = seen.view.health.message
                events = (EventDraft(EventType.PROVIDER_UPDATED, seen.provider, data=facts),)
            return Change(views={seen.provider: seen.view}, events=events), None

        self._transact(decide)

    def _record(self, plan: Plan, provider: str) -> None:
        sightings = (*plan.observe, *plan.adopt)
        strays = self._strays(plan.stray, provider)
        new = tuple(each for each in strays if each not in self._published.tables.strays)
        if not (sightings or plan.lost or plan.follow or new) and strays == self._here(provider):
            return
        now = self._clock.now()

        def decide(tables: Tables) -> tuple[Change, None]:
            change = Change()
            for instance_id, observed in sightings:
                change = change.plus(_seen(tables, instance_id, observed, now))
            for instance_id in plan.lost:
                change = change.plus(_lost(tables, instance_id, now))
            for found in plan.follow:
                change = change.plus(_followed(tables, found, now))
            others = tuple(each for each in tables.strays if each.provider != provider)
            events = tuple(
                EventDraft(EventType.STRAY_FOUND, each.id, data={"provider": provider})
                for each in new
            )
            return change.plus(Change(strays=(*others, *strays), events=events)), None

        self._transact(decide)

    def _here(self, provider: str) -> tuple[Any, ...]:
        return tuple(each for each in self._published.tables.strays if each.provider == provider)

    def _strays(self, found: Iterable[Found], provider: str) -> tuple[Any, ...]:
        """Strays keep the time at which they were first found."""
        known = {each.id: each.found_at for each in self._here(provider)}
        now, instances = self._clock.now(), self._published.tables.instances
        return tuple(
            stray_of(
                each,
                self._node,
                known.get(each.observed.id, now),
                instances.get(each.observed.id),
            )
            for each in found
        )

    # --- acting ------------------------------------------------------------------------------

    def _act(self, plan: Plan, provider: str, lasts: float) -> None:
        for kind, instance_ids, why in (
            (OperationKind.CREATE, plan.recreate, "its creation had not come to an end"),
            (OperationKind.UNDELETE, plan.restore, "it lay in the trash but is not deleted"),
            (OperationKind.DELETE, plan.delete, "its deletion had not come to an end"),
            (OperationKind.STOP, plan.stop, "it was found running although it is to be stopped"),
        ):
            for instance_id in instance_ids:
                made = self._repairs.get(instance_id, Attempts())
                self._repairs[instance_id] = made.after(self._clock.now())
                self._wish(kind, instance_id, lasts, why)
        for instance_id in plan.purge:
            why = "its time in the trash is over"
            self._wish(OperationKind.PURGE, instance_id, lasts, why)
        for undo in plan.undo:
            self._undo(undo)
        for found in plan.sweep:
            log.warning("sweep %s at %s: its delete is recorded", found.observed.id, provider)
            self._step(Step.PURGE, found.provider, stand_in_for(found.observed))
        if plan.confirm:
            self._directory.tell(provider_actor(provider), LookNow(plan.confirm))

    @staticmethod
    def _ended(plan: Plan, seen: Looked) -> dict[str, str]:
        """Those that are to be started, each with how it ended."""
        exits = {each.id: each.exit or "" for each in seen.observed or ()}
        return {each: exits.get(each, "") for each in plan.start}

    def _start(self, instance_id: str, why: str) -> str:
        return self._wish(OperationKind.START, instance_id, self._lasts, why)

    def _hold(self, instance_id: str, remedy: Hold, now: datetime) -> None:
        self._transact(lambda tables: (hold(tables, instance_id, remedy, now), None))

    def _undo(self, undo: Undo) -> None:
        observed = undo.observed
        log.warning("undo %s (epoch %d) at %s", observed.id, observed.epoch, undo.provider)
        record = self._published.tables.instances.get(observed.id)
        instance = (
            msgspec.structs.replace(record, epoch=observed.epoch)
            if record is not None
            else stand_in_for(observed)
        )
        self._step(Step.PURGE if undo.remove else Step.STOP, undo.provider, instance)

    def _step(self, step: Step, provider: str, instance: Instance) -> None:
        """A provider call that no operation stands for: nobody asked, nobody waits."""
        run = RunStep("", step, instance, time.monotonic() + _SWEEP_SECONDS, threading.Event())
        self._directory.tell(provider_actor(provider), run)

    def _wish(self, kind: OperationKind, instance_id: str, lasts: float, why: str) -> str:
        """Ask for an operation; its id."""
        wish = Wish(
            operation_id=self._new_id(),
            kind=kind,
            origin=Origin.RECONCILE,
            caller=self._me,
            now=self._clock.now(),
            lasts=lasts,
            arguments={"force": False},
            why=why,
        )

        def decide(tables: Tables) -> tuple[Change, Any]:
            verdict = accept(tables, wish, instance_id)
            return verdict.change, verdict

        def reply(verdict: Any, error: SwarmError | None) -> None:
            if verdict is not None:
                self._accepted(verdict)
            elif not isinstance(error, Conflict):
                log.warning("%s of %s was refused: %s", kind, instance_id, error)

        self._directory.tell(REGISTRY, Transact(decide, reply))
        return wish.operation_id

    def _transact(self, decide: Callable[[Tables], tuple[Change, None]]) -> None:
        self._directory.tell(REGISTRY, Transact(decide, no_reply))


def _seen(tables: Tables, instance_id: str, observed: Observed, now: datetime) -> Change:
    """What was seen, unless an operation has begun meanwhile."""
    record = tables.instances.get(instance_id)
    if record is None or instance_id in tables.active:
        return Change()
    after = settle(record, observed, now=now)
    if after.status is record.status:
        return Change(instances=(after,))
    why = observed.exit or f"seen at {record.provider}"
    return Change(instances=(after,)).plus(status_of(record, after, why, now))


def _followed(tables: Tables, found: Found, now: datetime) -> Change:
    """The record goes to where the newest of its instances is."""
    record = tables.instances.get(found.observed.id)
    there = tables.providers.get(found.provider)
    outdated = record is not None and found.observed.epoch > record.epoch
    if record is None or there is None or not outdated or record.id in tables.active:
        return Change()
    after = follow(record, there.name, there.type, found.observed, now)
    why = (
        f"it is at {there.name} under epoch {found.observed.epoch}; the record said"
        f" {record.provider}, epoch {record.epoch}"
    )
    log.warning("%s: %s", record.ref, why)
    return Change(instances=(after,)).plus(status_of(record, after, why, now))


def _lost(tables: Tables, instance_id: str, now: datetime) -> Change:
    record = tables.instances.get(instance_id)
    if record is None or instance_id in tables.active:
        return Change()
    failure = lost_failure(record)
    after = msgspec.structs.replace(
        record,
        status=InstanceStatus.ERROR,
        last_error=failure,
        updated_at=at_or_after(record, now),
        observation=record.observation + 1,
    )
    why = f"{failure.message}. {failure.details['next_step']}"
    return Change(instances=(after,)).plus(status_of(record, after, why, now))
