"""Has something done about what is ill: at most so many at once, and never against a user."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
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
from swarmd.messages.enums import DesiredState, InstanceStatus, Origin
from swarmd.messages.health import KeptHold
from swarmd.messages.instance import Instance, Reason
from swarmd.messages.operation import Caller
from swarmd.ports import Clock

log = logging.getLogger("swarmd.health")

_ME = Caller(name="swarmd", uid=0, gid=0, pid=0)
_AGAIN_SECONDS = 1.0
_ACCEPTED_SECONDS = 5.0
"""A wish that is not among the operations after this time was refused, or lost."""


@dataclass(frozen=True, slots=True)
class _Ill:
    """One that waits for its time, or its turn. ``life``: when it was started."""

    life: datetime | None
    rules: Rules
    found: Verdict

    def is_about(self, row: Instance) -> bool:
        """Whether the record is still that of the life that was judged, and it is to run."""
        runs = row.status is InstanceStatus.RUNNING and row.desired is DesiredState.RUNNING
        return runs and row.started_at == self.life


@dataclass(frozen=True, slots=True)
class _Held:
    """One that is left alone as long as this life of it lasts.

    ``over``: it was not ill for a while; if it is again, that is told again.
    """

    life: datetime | None
    remedy: Hold
    words: str
    over: bool = False


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
        self._ill: dict[str, _Ill] = {}
        self._held: dict[str, _Held] = {}
        self._sent: dict[str, tuple[str, float]] = {}  # wishes that are no operations yet
        self._changed: set[str] = set()  # whose hold is to be kept anew
        self._tried = 0.0

    def consider(self, row: Instance, rules: Rules, found: Verdict) -> None:
        """One is unhealthy. What was held is left alone until it was started anew."""
        held = self._held.get(row.id)
        if held is not None and held.life == row.started_at:
            if held.over:
                self._held[row.id] = replace(held, over=False)
                self._publish_held(row, held.remedy, found)
            return
        self._let_go(row.id)
        self._ill[row.id] = _Ill(row.started_at, rules, found)
        self._treat(row, rules, found)

    def held(self, instance_id: str) -> str:
        """Why nothing is done about one that runs, and what can be; empty if something is."""
        held = self._held.get(instance_id)
        return held.words if held is not None else ""

    def well(self, instance_id: str, *, healthy: bool) -> None:
        """One is not ill, or something is being done about it."""
        self._ill.pop(instance_id, None)
        if instance_id in self._held:
            self._held[instance_id] = replace(self._held[instance_id], over=True)
        attempts = self._attempts.get(instance_id)
        stable = self._settings().stable_time
        if healthy and attempts is not None:
            self._attempts[instance_id] = attempts.forgiven(self._clock.now(), stable)

    def forget(self, instance_id: str) -> None:
        """One is gone."""
        for notes in (self._ill, self._attempts, self._held, self._sent):
            notes.pop(instance_id, None)
        self._changed.discard(instance_id)

    # --- over a restart of the daemon --------------------------------------------------------

    def take(self, row: Instance, kept: KeptHold | None) -> None:
        """One that was held before goes on to be, which its story says already."""
        if kept is not None and kept.life == row.started_at and row.id not in self._held:
            remedy = Hold(kept.why, kept.step)
            words = reason_of_hold(row, remedy, self._clock.now()).why
            self._held[row.id] = _Held(row.started_at, remedy, words, over=True)

    def kept(self, instance_id: str) -> KeptHold | None:
        """What is to be kept of one."""
        held = self._held.get(instance_id)
        if held is None:
            return None
        return KeptHold(life=held.life, why=held.remedy.why, step=held.remedy.step)

    def changed(self) -> set[str]:
        """Those of which there is something new to be kept, since this was asked last."""
        changed, self._changed = self._changed, set()
        return changed

    def _let_go(self, instance_id: str) -> None:
        """It was started anew."""
        if self._held.pop(instance_id, None) is not None:
            self._changed.add(instance_id)

    # --- what is done ------------------------------------------------------------------------

    def again(self, now: float) -> None:
        """Those that had to wait: for their time, or for their turn."""
        if not self._ill or now - self._tried < _AGAIN_SECONDS:
            return
        self._tried = now
        instances = self._published.tables.instances
        for instance_id, ill in tuple(self._ill.items()):
            row = instances.get(instance_id)
            if row is not None and ill.is_about(row):
                self._treat(row, ill.rules, ill.found)
            else:  # stopped, or started anew, and not judged since
                del self._ill[instance_id]

    def _treat(self, row: Instance, rules: Rules, found: Verdict) -> None:
        tables = self._published.tables
        now, settings = self._clock.now(), self._settings()
        self._drop_accepted(tables)
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
            told = reason_of_hold(row, remedy, now)
            self._held[row.id] = _Held(row.started_at, remedy, told.why)
            self._changed.add(row.id)
            self._publish_held(row, remedy, found, (row.id, told))
        elif isinstance(remedy, Act) and self._has_turn(tables, settings):
            self._ill.pop(row.id, None)
            self._attempts[row.id] = attempts.after(now)
            self._wish(row, remedy, found, now)

    def _drop_accepted(self, tables: Tables) -> None:
        now = self._clock.monotonic()
        for instance_id, (operation_id, sent) in tuple(self._sent.items()):
            if operation_id in tables.operations or now - sent > _ACCEPTED_SECONDS:
                del self._sent[instance_id]

    def _has_turn(self, tables: Tables, settings: HealthConfig) -> bool:
        """Whether fewer than allowed are being brought back, or about to be."""
        return len(self._sent) + under_way(tables, self._provider) < settings.max_parallel

    def _publish_held(
        self, row: Instance, remedy: Hold, found: Verdict, *reasons: tuple[str, Reason]
    ) -> None:
        """It runs on, ill as it is: its story says why nothing more is done, and an alert."""
        next_step = remedy.next_step(row.ref)

        def decided(tables: Tables) -> tuple[Change, None]:
            ill = ailment_of(found, tables.ailments.get(row.id))
            if ill is not None:
                ill = replace(ill, held=remedy.why, next_step=next_step)
            return Change(reasons=reasons, ailments={row.id: ill}), None

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

        self._sent[row.id] = wish.operation_id, self._clock.monotonic()
        submit = Submit(wish.operation_id, accepted, refused=refused, joined=_nothing)
        self._directory.tell(CONTROLLER, submit)


def _nothing(_joined: Any) -> None:
    """Another operation does the same already."""
