"""Brings back what ended, a few at a time: an engine's return is not followed by a storm."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from swarmd.actors.published import Published
from swarmd.actors.restarts import Restarts
from swarmd.core.breaker import is_left_alone
from swarmd.core.recovery.again import is_tried_again
from swarmd.core.recovery.remedy import Hold, Leave
from swarmd.core.recovery.turns import under_way
from swarmd.core.tables import Tables
from swarmd.messages.config import HealthConfig
from swarmd.messages.enums import DesiredState, InstanceStatus
from swarmd.messages.instance import Instance

_SENT_SECONDS = 5.0
"""A wish that is not among the operations after this time was refused, or lost."""


class Returning:
    """Those that are to run and were found ended, by provider. Held by the reconciler.

    Args:
        restarts: Remembers attempts, and decides.
        start: Asks for the start of one, and says why; the id of its operation.
        hold: Holds one for a human.
    """

    def __init__(
        self,
        published: Published,
        restarts: Restarts,
        start: Callable[[str, str], str],
        hold: Callable[[str, Hold, datetime], None],
    ) -> None:
        self._published = published
        self._restarts = restarts
        self._start = start
        self._hold = hold
        self._waiting: dict[str, dict[str, str]] = {}
        self._busy: set[str] = set()
        self._sent: dict[str, tuple[str, float]] = {}  # wishes that are no operations yet
        self._held: dict[str, float] = {}  # when, of those of which the record may not tell yet

    def found(self, provider: str, ended: Mapping[str, str]) -> None:
        """These have ended, each with how, and it is their time: all that do at a provider now."""
        self._waiting[provider] = dict(ended)

    def keep(self, provider: str, ended: Collection[str]) -> None:
        """Only these are still to be started."""
        waiting = self._waiting.get(provider, {})
        self._busy -= waiting.keys() - set(ended)
        self._waiting[provider] = {each: waiting[each] for each in waiting if each in ended}

    def advance(self, provider: str, health: HealthConfig, now: datetime) -> None:
        """Begin as many as may be under way at once (``health.max_parallel``)."""
        waiting = self._waiting.get(provider)
        if not waiting:
            return
        tables = self._published.tables
        record = tables.providers.get(provider)
        if record is None or not record.enabled:
            # Nobody drives it now; what it has then is seen once somebody does.
            del self._waiting[provider]
            return
        if is_left_alone(tables, provider):
            return
        self._forget_sent(tables)
        self._forget_held(tables)
        room = health.max_parallel - under_way(tables, provider) - self._about_to(tables, provider)
        for instance_id in tuple(waiting):
            if room <= 0:
                return
            if instance_id in self._sent or instance_id in tables.active:
                self._busy.add(instance_id)
                continue
            words = waiting.pop(instance_id)
            row = tables.instances.get(instance_id)
            if row is not None and self._is_to_start(row):
                room -= self._treat(row, words, health, now)

    def _treat(self, row: Instance, words: str, health: HealthConfig, now: datetime) -> bool:
        """Do what helps; whether a start was asked for."""
        remedy = self._restarts.decide(row, words, health, now)
        if isinstance(remedy, Leave):
            return False
        if isinstance(remedy, Hold):
            self._restarts.forget(row.id)
            self._held[row.id] = time.monotonic()
            self._hold(row.id, remedy, now)
            return False
        which = self._restarts.which(row.id, words, health)
        self._restarts.note(row.id, now)
        why = f"{_why_started(row, words)} ({which})"
        self._sent[row.id] = self._start(row.id, why), time.monotonic()
        return True

    def _is_to_start(self, row: Instance) -> bool:
        """Whether that is still so: it may have waited for its turn.

        That it ended may not be in the record yet, but what was done about it meanwhile is. One in
        error is held, unless an automatic start of it has failed.
        """
        was_busy = row.id in self._busy
        self._busy.discard(row.id)
        if was_busy and row.status is InstanceStatus.RUNNING:
            return False
        if row.id in self._held:
            return False
        held = row.status is InstanceStatus.ERROR and not is_tried_again(row)
        return row.desired is DesiredState.RUNNING and not held

    def _forget_sent(self, tables: Tables) -> None:
        latest = time.monotonic() - _SENT_SECONDS
        for instance_id, (operation_id, at) in tuple(self._sent.items()):
            if operation_id in tables.operations or at < latest:
                del self._sent[instance_id]

    def _forget_held(self, tables: Tables) -> None:
        """Those of which the record tells now; or it never will."""
        latest = time.monotonic() - _SENT_SECONDS
        for instance_id, at in tuple(self._held.items()):
            row = tables.instances.get(instance_id)
            if row is None or row.status is InstanceStatus.ERROR or at < latest:
                del self._held[instance_id]

    def _about_to(self, tables: Tables, provider: str) -> int:
        """Starts that were asked for there and are no operations yet."""
        rows = (tables.instances.get(each) for each in self._sent)
        return sum(row is not None and row.provider == provider for row in rows)


def _why_started(row: Instance, exit_words: str) -> str:
    if is_tried_again(row) and row.last_error is not None:
        return f"it is to run, and its last automatic start failed: {row.last_error.message}"
    return "it is to run and was found stopped" + (f": {exit_words}" if exit_words else "")
