"""Automatic starts so far, and whether one more is made. Held by the reconciler."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime

from swarmd.core.health.facts import Seen
from swarmd.core.health.findings import ended
from swarmd.core.recovery.attempts import Attempts
from swarmd.core.recovery.decide import decide
from swarmd.core.recovery.limits import limits_of
from swarmd.core.recovery.remedy import Remedy
from swarmd.core.tables import Tables
from swarmd.messages.config import HealthConfig
from swarmd.messages.enums import InstanceStatus
from swarmd.messages.instance import Instance


class Restarts:
    """What it remembers begins empty after a restart, which only makes it more patient."""

    def __init__(self) -> None:
        self._attempts: dict[str, Attempts] = {}

    def counts(self) -> Mapping[str, tuple[int, datetime]]:
        """How many there were of each instance, and when the last."""
        return {
            each: (attempts.count, attempts.last)
            for each, attempts in self._attempts.items()
            if attempts.last is not None
        }

    def note(self, instance_id: str, now: datetime) -> None:
        """One more."""
        self._attempts[instance_id] = self._attempts.get(instance_id, Attempts()).after(now)

    def excuse(self, instance_id: str) -> None:
        """The last one failed because its provider did not answer: it does not count."""
        if instance_id in self._attempts:
            self._attempts[instance_id] = self._attempts[instance_id].excused()

    def forget(self, instance_id: str) -> None:
        """Begin anew: a human has to look now, or has looked."""
        self._attempts.pop(instance_id, None)

    def forgive(self, tables: Tables, now: datetime, settings: HealthConfig) -> None:
        """An instance that runs for long has its automatic starts forgiven."""
        for instance_id, attempts in tuple(self._attempts.items()):
            row = tables.instances.get(instance_id)
            steady = row is not None and row.status is InstanceStatus.RUNNING
            if row is None or (steady and not attempts.forgiven(now, settings.stable_time).count):
                del self._attempts[instance_id]

    def decide(
        self, row: Instance, exit_words: str, settings: HealthConfig, now: datetime
    ) -> Remedy:
        """What is done about one that is to run and does not.

        Args:
            row: Whom.
            exit_words: How it ended, as its provider says.
            settings: ``[health]`` now.
            now: When.
        """
        own = row.config.health.recover
        return decide(
            # One whose files are gone is not started: that would put empty ones in their place.
            ended(row, Seen(exit=exit_words)).illness,
            rules_allow=settings.recovery_actions,
            auto=settings.auto_recover if own is None else own,
            attempts=self._attempts.get(row.id, Attempts()),
            now=now,
            chance=random.random(),  # noqa: S311  # jitter, not a secret
            limits=limits_of(settings),
            memory_limit=row.config.resources.memory,
        )
