"""Stops what nobody uses, and what is too old: the weakest of all wishes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta

from swarmd.actors.base import CONTROLLER, REGISTRY, Directory
from swarmd.actors.controller import Submit
from swarmd.actors.published import Published
from swarmd.actors.registry import Transact
from swarmd.actors.uses import Outlooks, RunningCommands
from swarmd.core.idle.activity import Activity, Moment
from swarmd.core.idle.decide import Outlook, decide, facts_of, hindrance_of
from swarmd.core.idle.heartbeat import beat_of
from swarmd.core.idle.rules import IdleRules, rules_of
from swarmd.core.idle.stop import accept_stop, expiring
from swarmd.core.tables import Change, Tables
from swarmd.core.wishes import Verdict, Wish
from swarmd.errors import SwarmError
from swarmd.messages.activity import Idle, LastActivity
from swarmd.messages.config import InstancesConfig
from swarmd.messages.enums import HealthStatus, InstanceStatus, OperationKind, Origin
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Caller
from swarmd.ports import Clock

log = logging.getLogger("swarmd.idle")

_ME = Caller(name="swarmd", uid=0, gid=0, pid=0)
_SCAN_SECONDS = 1.0
_FOR_EVER = 100 * 365 * 86400.0
_AGAIN_SECONDS = 5.0
"""A stop that is not under way after this time was refused, or lost: it is thought of again."""


class Idling:
    """The use of one provider's instances. Held by its monitor, called on its thread.

    It outlives the monitor: one that is started anew goes on with what is known here.

    Args:
        settings: ``[instances]`` now.
        lasts: Seconds that an operation may take, now.
        new_id: Makes ids of operations.
        boot: In which life of the host monotonic seconds count.
        commands: Who runs what in instances.
        outlooks: Where it is shown.
    """

    def __init__(
        self,
        *,
        directory: Directory,
        published: Published,
        clock: Clock,
        settings: Callable[[], InstancesConfig],
        lasts: Callable[[], float],
        new_id: Callable[[], str],
        boot: str,
        commands: RunningCommands,
        outlooks: Outlooks,
    ) -> None:
        self._directory = directory
        self._published = published
        self._clock = clock
        self._settings = settings
        self._lasts = lasts
        self._new_id = new_id
        self._boot = boot
        self._commands = commands
        self._outlooks = outlooks
        self._known: dict[str, Activity] = {}
        self._due: dict[str, float] = {}
        self._sent: dict[str, float] = {}
        self._changed: set[str] = set()
        self._early: dict[str, str] = {}
        self._scanned = float("-inf")
        self._judged_by = settings()

    def _now(self) -> Moment:
        return Moment(self._clock.now(), self._clock.monotonic())

    # --- what happens ------------------------------------------------------------------------

    def take(self, row: Instance, kept: LastActivity | None) -> None:
        """Begin to remember one, with what the store kept of it; who is known stays as known."""
        if row.id in self._known:
            return
        now = self._now()
        activity = self._known[row.id] = Activity(now, row.started_at)
        if kept is not None:
            activity.restore(kept, self._boot, now)
        early = self._early.pop(row.id, None)
        if early is not None:
            activity.used(early, now)

    def used(self, instance_id: str, by: str) -> None:
        """Somebody uses it; also told of one that is not remembered yet."""
        activity = self._known.get(instance_id)
        if activity is None:
            self._early[instance_id] = by
            return
        activity.used(by, self._now())
        self._changed.add(instance_id)

    def answered(self, row: Instance, words: str) -> None:
        """Its server was asked and answered well, with these words."""
        activity = self._known.get(row.id)
        if activity is not None and rules_of(self._settings(), row.config).asked:
            activity.lives(row.started_at, self._now())
            activity.answered(beat_of(words), self._now())
            self._changed.add(row.id)

    def forget(self, instance_ids: Iterable[str]) -> None:
        """These are gone."""
        for each in instance_ids:
            for notes in (self._known, self._due, self._sent, self._early):
                notes.pop(each, None)
            self._changed.discard(each)
            self._outlooks.drop(each)

    # --- what follows ------------------------------------------------------------------------

    def consider(self, row: Instance, health: HealthStatus, failures: int) -> bool:
        """Decide about one, show it, and have it stopped if that is due.

        Args:
            row: Its record.
            health: What was concluded of it just now.
            failures: Probes in a row that it did not answer.

        Returns:
            Whether its server has to be asked before it may be stopped.
        """
        if row.status is not InstanceStatus.RUNNING:
            self._due.pop(row.id, None)
            self._outlooks.drop(row.id)
            return False
        now = self._now()
        activity = self._known.setdefault(row.id, Activity(now, row.started_at))
        activity.lives(row.started_at, now)
        activity.runs(self._commands.count(row.id), now)
        busy = row.id in self._published.tables.active
        hindrance = hindrance_of(row, health, failures, busy=busy)
        rules = rules_of(self._settings(), row.config)
        outlook = decide(rules, facts_of(row, activity, now, hindrance))
        self._note(row, activity, outlook, now)
        if outlook.stop and self._sent.get(row.id, now.clock) <= now.clock:
            self._stop(row, outlook.why, now)
        self._tell_age(row, activity, rules, outlook, now)
        return outlook.ask

    def due(self) -> tuple[str, ...]:
        """Those that have to be considered by now; all of them after the settings changed."""
        now = self._clock.monotonic()
        if now - self._scanned < _SCAN_SECONDS:
            return ()
        self._scanned = now
        settings = self._settings()
        if settings is not self._judged_by:
            self._judged_by = settings
            return tuple(self._known)
        # The monitor before this one may still be ending: what is iterated here is a copy.
        return tuple(each for each, at in tuple(self._due.items()) if at <= now)

    def _note(self, row: Instance, activity: Activity, outlook: Outlook, now: Moment) -> None:
        """When it is looked at next, and what is shown of it meanwhile."""
        if outlook.look is None:
            self._due.pop(row.id, None)
        else:
            self._due[row.id] = now.clock + outlook.look
        at = None if outlook.due is None else now.at + _within(outlook.due)
        self._outlooks.put(
            row.id,
            Idle(
                last_used=activity.last.at,
                used_by=activity.by,
                next_step=None if at is None else OperationKind.STOP.value,
                next_at=at,
                why=outlook.why,
            ),
        )

    def _tell_age(
        self, row: Instance, activity: Activity, rules: IdleRules, outlook: Outlook, now: Moment
    ) -> None:
        """Once before each end that its age brings; one that a lease put off is told anew."""
        left = outlook.age_left
        if left is None or outlook.warn is activity.warned:
            return
        activity.warned = outlook.warn
        self._changed.add(row.id)
        if outlook.warn:

            def decided(tables: Tables) -> tuple[Change, None]:
                return expiring(tables, row.id, left, rules.max_age, now.at), None

            self._directory.tell(REGISTRY, Transact(decided))

    def _stop(self, row: Instance, why: str, now: Moment) -> None:
        wish = Wish(
            operation_id=self._new_id(),
            kind=OperationKind.STOP,
            origin=Origin.POLICY,
            caller=_ME,
            now=now.at,
            lasts=self._lasts(),
            arguments={"force": False},
            why=f"{why}; start it with swarmctl start {row.ref}",
        )

        def accepted(tables: Tables) -> Verdict:
            return accept_stop(tables, wish, row, commands=self._commands.count(row.id))

        def refused(error: SwarmError) -> None:
            log.info("the stop of %s was refused: %s", row.ref, error.message)

        self._sent[row.id] = self._due[row.id] = now.clock + _AGAIN_SECONDS
        submit = Submit(wish.operation_id, accepted, refused=refused, joined=_nothing)
        self._directory.tell(CONTROLLER, submit)

    # --- keeping -----------------------------------------------------------------------------

    def changed(self) -> set[str]:
        """Those of which there is something new to be kept, since this was asked last."""
        changed, self._changed = self._changed, set()
        return changed

    def hide(self) -> None:
        """Show nothing any more: nobody watches."""
        for each in tuple(self._known):
            self._outlooks.drop(each)

    def kept(self, instance_id: str) -> LastActivity | None:
        """What is to be kept of one."""
        activity = self._known.get(instance_id)
        return None if activity is None else activity.to_keep(self._boot)


def _within(seconds: float) -> timedelta:
    """A length of time that still can be added to a date; who waits longer waits for ever."""
    return timedelta(seconds=min(max(0.0, seconds), _FOR_EVER))


def _nothing(_joined: object) -> None:
    """Another operation does the same already."""
