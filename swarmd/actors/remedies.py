"""Has something done about what is ill: at most so many at once, and never against a user."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from swarmd.actors.base import CONTROLLER, REGISTRY, Directory
from swarmd.actors.controller import Submit
from swarmd.actors.published import Published
from swarmd.actors.registry import Transact
from swarmd.core.breaker import is_left_alone
from swarmd.core.health.ailments import ailment_of
from swarmd.core.health.facts import Verdict
from swarmd.core.health.rules import Rules
from swarmd.core.recovery.attempts import Attempts
from swarmd.core.recovery.decide import decide
from swarmd.core.recovery.held import reason_of_hold
from swarmd.core.recovery.limits import limits_of
from swarmd.core.recovery.remedy import Act, Hold, Remedy
from swarmd.core.recovery.turns import under_way
from swarmd.core.tables import Change, Tables
from swarmd.core.wishes import Verdict as Accepted
from swarmd.core.wishes import Wish, accept
from swarmd.errors import SwarmError
from swarmd.messages.config import HealthConfig
from swarmd.messages.enums import Origin
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Caller
from swarmd.ports import Clock

log = logging.getLogger("swarmd.health")

_ME = Caller(name="swarmd", uid=0, gid=0, pid=0)
_AGAIN_SECONDS = 1.0
_ACCEPTED_WITHIN = timedelta(seconds=5)
"""A wish that is not among the operations after this time was refused, or lost."""


class Remedies:
    """Recovers the instances of one provider. Held by its monitor, called on its thread.

    Args:
        provider: Whose instances.
        settings: ``[health]`` now.
        lasts: Seconds that an operation may take, now.
        new_id: Makes ids of operations.
    """

    def __init__(
        self,
        *,
        provider: str,
        directory: Directory,
        published: Published,
        clock: Clock,
        settings: Callable[[], HealthConfig],
        lasts: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._provider = provider
        self._directory = directory
        self._published = published
        self._clock = clock
        self._settings = settings
        self._lasts = lasts
        self._new_id = new_id
        self._attempts: dict[str, Attempts] = {}
        self._ill: dict[str, tuple[Rules, Verdict]] = {}
        self._held: dict[str, tuple[datetime | None, str]] = {}  # which life of it, and why
        self._sent: dict[str, tuple[str, datetime]] = {}  # wishes that are no operations yet
        self._tried = 0.0

    def consider(self, row: Instance, rules: Rules, found: Verdict) -> None:
        """One is unhealthy. What was held is left alone until it was started anew."""
        if row.id in self._held:
            if self._held[row.id][0] == row.started_at:
                return
            del self._held[row.id]
        self._ill[row.id] = (rules, found)
        self._treat(row, rules, found)

    def held(self, instance_id: str) -> str:
        """Why nothing is done about one that runs, and what can be; empty if something is."""
        return self._held.get(instance_id, (None, ""))[1]

    def well(self, instance_id: str, *, healthy: bool) -> None:
        """One is not ill, or something is being done about it."""
        self._ill.pop(instance_id, None)
        attempts = self._attempts.get(instance_id)
        stable = self._settings().stable_time
        if healthy and attempts is not None:
            self._attempts[instance_id] = attempts.forgiven(self._clock.now(), stable)

    def forget(self, instance_id: str) -> None:
        """One is gone."""
        for notes in (self._ill, self._attempts, self._held, self._sent):
            notes.pop(instance_id, None)

    def again(self, now: float) -> None:
        """Those that had to wait: for their time, or for their turn."""
        if not self._ill or now - self._tried < _AGAIN_SECONDS:
            return
        self._tried = now
        instances = self._published.tables.instances
        for instance_id, (rules, found) in tuple(self._ill.items()):
            row = instances.get(instance_id)
            if row is not None:
                self._treat(row, rules, found)

    def _treat(self, row: Instance, rules: Rules, found: Verdict) -> None:
        tables = self._published.tables
        now, settings = self._clock.now(), self._settings()
        self._drop_accepted(tables, now)
        if found.illness is None or row.id in tables.active or row.id in self._sent:
            return
        if is_left_alone(tables, self._provider):
            return
        attempts = self._attempts.get(row.id, Attempts())
        remedy: Remedy = decide(
            found.illness,
            rules_allow=settings.recovery_actions,
            auto=rules.recover,
            attempts=attempts,
            now=now,
            chance=random.random(),  # noqa: S311  # jitter, not a secret
            limits=limits_of(settings),
            said=found.details,
        )
        if isinstance(remedy, Hold):
            self._ill.pop(row.id, None)
            self._attempts.pop(row.id, None)
            self._tell_held(row, remedy, found, now)
        elif isinstance(remedy, Act) and self._has_turn(tables, settings):
            self._ill.pop(row.id, None)
            self._attempts[row.id] = attempts.after(now)
            self._wish(row, remedy, found, now)

    def _drop_accepted(self, tables: Tables, now: datetime) -> None:
        for instance_id, (operation_id, sent) in tuple(self._sent.items()):
            if operation_id in tables.operations or now - sent > _ACCEPTED_WITHIN:
                del self._sent[instance_id]

    def _has_turn(self, tables: Tables, settings: HealthConfig) -> bool:
        """Whether fewer than allowed are being brought back, or about to be."""
        return len(self._sent) + under_way(tables, self._provider) < settings.max_parallel

    def _tell_held(self, row: Instance, remedy: Hold, found: Verdict, now: datetime) -> None:
        """It runs on, ill as it is: its story says why nothing more is done, and an alert."""
        reason = (row.id, told := reason_of_hold(row, remedy, now))
        self._held[row.id] = row.started_at, told.why
        next_step = remedy.next_step(row.ref)

        def decided(tables: Tables) -> tuple[Change, None]:
            ill = ailment_of(found, tables.ailments.get(row.id))
            if ill is not None:
                ill = replace(ill, held=remedy.why, next_step=next_step)
            return Change(reasons=(reason,), ailments={row.id: ill}), None

        self._directory.tell(REGISTRY, Transact(decided))

    def _wish(self, row: Instance, remedy: Act, found: Verdict, now: datetime) -> None:
        wish = Wish(
            operation_id=self._new_id(),
            kind=remedy.kind,
            origin=Origin.RECOVERY,
            caller=_ME,
            now=now,
            lasts=self._lasts(),
            arguments=remedy.arguments,
            why=found.details,
        )

        def accepted(tables: Tables) -> Accepted:
            return accept(tables, wish, row.id)

        def refused(error: SwarmError) -> None:
            log.info("%s of %s was refused: %s", remedy.kind, row.ref, error.message)

        self._sent[row.id] = wish.operation_id, now
        submit = Submit(wish.operation_id, accepted, refused=refused, joined=_nothing)
        self._directory.tell(CONTROLLER, submit)


def _nothing(_joined: Any) -> None:
    """Another operation does the same already."""
