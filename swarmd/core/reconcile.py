"""Wish and reality compared: what there is to do, as named buckets (DESIGN 5).

The shape is that of Nomad's reconciler: a pure function from records, observations and time
to buckets. It does nothing itself, and asked again after its plan was carried out it finds
nothing more to do.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from swarmd.core.backoff import delay
from swarmd.core.lifecycle import UNKNOWN
from swarmd.core.recovery.again import is_tried_again
from swarmd.core.sight import differs, is_lost
from swarmd.messages.enums import DesiredState, InstanceStatus
from swarmd.messages.instance import Instance
from swarmd.messages.provider import Observed

ABSENCES_NEEDED = 2
"""Lists in a row that must lack an instance before its absence is looked into."""

BACKOFF_BASE = 1.0
BACKOFF_CAP = 300.0


class Found(NamedTuple):
    """Something that a provider has."""

    provider: str
    observed: Observed


@dataclass(frozen=True, slots=True)
class Undo:
    """Something that must not go on; ``remove`` also takes its data (it never had any)."""

    provider: str
    observed: Observed
    remove: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What there is to do. An id stands in at most one bucket of those that act.

    Buckets that record what was seen (apply ``sight.settle`` to each):

    - ``observe``: the provider shows another status, URL, start time or a newer epoch than
      the record has.
    - ``adopt``: the same for an instance that was ``unknown`` or lost and is there again.
    - ``lost``: absent from two lists in a row and from a direct question: the status becomes
      error (``sight.lost_failure``). Nothing new and empty is ever made in its place.

    - ``follow``: a complete one of a newer epoch, and of this node, is at another provider than
      the record says: the record is the older (an old backup of it was put back) and goes there.

    Buckets that act, each as an operation of the reconcile origin:

    - ``start``: is to run, is there and does not run, and its backoff is over. Of those in
      ``error`` only one whose last start was an automatic one: who asked for a start that
      failed was told so, and what is held waits for a human.
    - ``stop``: runs although it is to be stopped or deleted: a user's stop wins. One that
      fails is tried again after a pause.
    - ``recreate``: its creation came not to an end: create again, which completes it.
    - ``restore``: lies in the trash although it is not to be deleted (an undelete that was
      cut off): take it out.
    - ``delete``: is to be deleted, does not run and is not in the trash (a delete that was cut
      off): put it there.
    - ``undo``: runs with an epoch older than the record's, at the record's provider or at
      another one: end what runs, keep the data (``remove`` false). Or a creation of this node
      that nobody was told of and that is not complete: remove it.
    - ``sweep``: has no record, is this node's and has a tombstone: finish its deletion.
    - ``purge``: its time in the trash is over, or it is to be deleted and nothing is there
      any more: remove the data and drop the record.

    Buckets that ask or tell:

    - ``confirm``: absent from two lists in a row: ask the provider for it directly.
    - ``stray``: nothing here explains it, or it is another node's: list it, never touch it.
    - ``wait``: will be started, stopped, recreated, restored or deleted, but not before the time
      beside it: count each of these as an attempt.
    """

    observe: tuple[tuple[str, Observed], ...] = ()
    adopt: tuple[tuple[str, Observed], ...] = ()
    lost: tuple[str, ...] = ()
    follow: tuple[Found, ...] = ()
    start: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    recreate: tuple[str, ...] = ()
    restore: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    undo: tuple[Undo, ...] = ()
    sweep: tuple[Found, ...] = ()
    purge: tuple[str, ...] = ()
    confirm: tuple[str, ...] = ()
    stray: tuple[Found, ...] = ()
    wait: tuple[tuple[str, datetime], ...] = ()

    def counts(self) -> dict[str, int]:
        """How much is in each bucket that holds anything, for one line of a log."""
        sizes = {bucket.name: len(getattr(self, bucket.name)) for bucket in fields(self)}
        return {name: size for name, size in sizes.items() if size}

    @property
    def empty(self) -> bool:
        """Whether nothing is left to record, do or ask (strays and waits may remain)."""
        return not (self.counts().keys() - {"stray", "wait"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What one round compares, and what it knows besides.

    Args:
        records: This daemon's instances by id.
        busy: Ids with an operation under way: nothing at all is concluded about them.
        observed: What each provider listed; None or missing = it did not answer, and nothing
            is concluded about its instances.
        absences: How many lists of its provider in a row lacked an instance.
        confirmed_absent: Ids that a direct question did not find either.
        tombstones: Ids with a recorded delete or an unacknowledged create of this node.
        attempts: Automatic starts (and the like) so far and the time of the last, by id.
        node: This daemon's id.
        now: The time, UTC.
        trash_retention: Seconds that a deleted instance can be undeleted.
        chance: A random number in [0, 1), for the jitter of automatic starts.
    """

    records: Mapping[str, Instance]
    busy: AbstractSet[str]
    observed: Mapping[str, Sequence[Observed] | None]
    absences: Mapping[str, int]
    confirmed_absent: AbstractSet[str]
    tombstones: AbstractSet[str]
    attempts: Mapping[str, tuple[int, datetime]]
    node: str
    now: datetime
    trash_retention: float
    chance: float


def reconcile(facts: Facts) -> Plan:
    """Compare every record with what its provider shows."""
    draft = _Draft(facts)
    sights = _by_id(facts.observed)
    for instance_id, record in facts.records.items():
        found = sights.get(instance_id, ())
        if draft.may_judge(record):
            draft.judge(record, found)
        elif found and draft.is_free(record):
            draft.judge_copies(record, found)
    for instance_id, found in sights.items():
        if instance_id not in facts.records and instance_id not in facts.busy:
            draft.judge_unrecorded(found)
    return draft.plan()


def _newness(found: Found) -> tuple[int, bool]:
    """Of two of one epoch the one whose creation came to its end is the newer."""
    return found.observed.epoch, found.observed.complete


def _by_id(observed: Mapping[str, Sequence[Observed] | None]) -> dict[str, list[Found]]:
    sights: dict[str, list[Found]] = {}
    for provider, seen in observed.items():
        for one in seen or ():
            sights.setdefault(one.id, []).append(Found(provider, one))
    return sights


class _Draft:
    """A plan in the making: the facts of one round and the buckets as lists."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._answered = {name for name, seen in facts.observed.items() if seen is not None}
        self._buckets: dict[str, list[Any]] = {bucket.name: [] for bucket in fields(Plan)}

    def plan(self) -> Plan:
        return Plan(**{name: tuple(items) for name, items in self._buckets.items()})

    def put(self, bucket: str, item: object) -> None:
        self._buckets[bucket].append(item)

    def is_free(self, record: Instance) -> bool:
        return record.id not in self._facts.busy and record.node == self._facts.node

    def may_judge(self, record: Instance) -> bool:
        return self.is_free(record) and record.provider in self._answered

    def judge_copies(self, record: Instance, sights: Sequence[Found]) -> None:
        """What bears a record's id at other providers than its own, which has not told now."""
        newest = self._newest_elsewhere(record, sights)
        if newest is not None:
            self.put("follow", newest)
        self._put_aside(record, [found for found in sights if found is not newest])

    def judge(self, record: Instance, sights: Sequence[Found]) -> None:
        """Put one record, and all that bears its id, into its buckets."""
        newest = self._newest_elsewhere(record, sights)
        if newest is not None:
            # From the next round on what is here is the older one of the two.
            self.put("follow", newest)
            return
        current = self._current(record, sights)
        stale = [found for found in sights if found is not current]
        undone = bool(stale) and self._put_aside(record, stale)
        if current is None:
            if not any(found.provider == record.provider for found in sights):
                self._absent(record)
            return
        if not current.observed.complete:
            if not undone:
                wanted = record.desired != DesiredState.DELETED
                self._when_due("recreate" if wanted else "delete", record.id)
            return
        if current.observed.epoch < record.epoch and _runs(current.observed):
            if not undone:
                self.put("undo", Undo(current.provider, current.observed, remove=False))
            return
        self._see(record, current.observed)
        if not undone:
            self._act(record, current.observed)

    def _is_ours(self, found: Found) -> bool:
        return found.observed.node == self._facts.node

    def _current(self, record: Instance, sights: Sequence[Found]) -> Found | None:
        """The one at the record's provider that is this node's, of the highest epoch."""
        own = [f for f in sights if f.provider == record.provider and self._is_ours(f)]
        if len(own) < 2:
            return own[0] if own else None
        return max(own, key=_newness)

    def _newest_elsewhere(self, record: Instance, sights: Sequence[Found]) -> Found | None:
        """What has a newer epoch than the record and all else, at another provider.

        The epoch is raised at every change of the provider, after that was written down.
        """
        own = [found for found in sights if self._is_ours(found)]
        newest = max(own, key=_newness, default=None)
        if newest is None or newest.provider == record.provider or not newest.observed.complete:
            return None
        return newest if newest.observed.epoch > record.epoch else None

    def _put_aside(self, record: Instance, stale: Sequence[Found]) -> bool:
        """End one that is older and runs, list the rest; whether there was one to end.

        Others that are older and run have their turn in the next round.
        """
        running_old = [
            found
            for found in stale
            if self._is_ours(found)
            and found.observed.epoch < record.epoch
            and _runs(found.observed)
        ]
        for found in stale:
            if found not in running_old:
                self.put("stray", found)
        if not running_old:
            return False
        self.put("undo", Undo(running_old[0].provider, running_old[0].observed, remove=False))
        return True

    def _absent(self, record: Instance) -> None:
        if record.status == InstanceStatus.DELETED:
            self._purge_when_over(record)
        elif is_lost(record) or self._facts.absences.get(record.id, 0) < ABSENCES_NEEDED:
            return
        elif record.id in self._facts.confirmed_absent:
            gone = record.desired == DesiredState.DELETED
            self.put("purge" if gone else "lost", record.id)
        else:
            self.put("confirm", record.id)

    def _see(self, record: Instance, observed: Observed) -> None:
        if not differs(record, observed):
            return
        returned = record.status == UNKNOWN or is_lost(record)
        self.put("adopt" if returned else "observe", (record.id, observed))

    def _act(self, record: Instance, observed: Observed) -> None:
        wanted = record.desired
        if observed.status == InstanceStatus.DELETED:
            if wanted != DesiredState.DELETED:
                self._when_due("restore", record.id)
            elif record.status == InstanceStatus.DELETED:
                self._purge_when_over(record)
        elif _runs(observed):
            if wanted != DesiredState.RUNNING:
                self._when_due("stop", record.id)
        elif wanted == DesiredState.RUNNING:
            if record.status != InstanceStatus.ERROR or is_tried_again(record):
                self._when_due("start", record.id)
        elif wanted == DesiredState.DELETED:
            self._when_due("delete", record.id)

    def _purge_when_over(self, record: Instance) -> None:
        if record.desired != DesiredState.DELETED:
            return
        since = record.deleted_at or record.updated_at
        if self._facts.now - since >= timedelta(seconds=self._facts.trash_retention):
            self.put("purge", record.id)

    def _when_due(self, bucket: str, instance_id: str) -> None:
        attempts, now = self._facts.attempts.get(instance_id), self._facts.now
        due = next_attempt(instance_id, attempts, self._facts.chance)
        # A last one that is still to come tells of a clock that was set back, and of no pause.
        set_back = attempts is not None and attempts[1] > now
        if due is not None and due > now and not set_back:
            self.put("wait", (instance_id, due))
        else:
            self.put(bucket, instance_id)

    def judge_unrecorded(self, sights: Sequence[Found]) -> None:
        """Put what no record explains into its buckets."""
        acted = False
        for found in sights:
            if not (self._is_ours(found) and found.observed.id in self._facts.tombstones):
                self.put("stray", found)
            elif not acted:
                acted = True
                if found.observed.complete:
                    self.put("sweep", found)
                else:
                    self.put("undo", Undo(found.provider, found.observed, remove=True))


def next_attempt(
    instance_id: str, attempts: tuple[int, datetime] | None, chance: float
) -> datetime | None:
    """When an automatic start may be tried again: after 1 s, doubling to 5 min, with jitter.

    None = at once. Each instance has its own share of the jitter, so that many that failed
    together do not come back together.
    """
    if attempts is None or attempts[0] <= 0:
        return None
    count, last = attempts
    own = (chance + zlib.crc32(instance_id.encode()) / 2**32) % 1.0
    seconds = delay(count - 1, base=BACKOFF_BASE, cap=BACKOFF_CAP, chance=own, jitter="equal")
    return last + timedelta(seconds=seconds)


def _runs(observed: Observed) -> bool:
    return observed.status == InstanceStatus.RUNNING
