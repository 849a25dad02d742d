"""Automatic starts so far, and whether one more is made. Held by the reconciler."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime

from swarmd.core.breaker import says_nothing
from swarmd.core.health.facts import Seen
from swarmd.core.health.findings import ended, is_out_of_memory
from swarmd.core.recovery.again import is_automatic, is_tried_again
from swarmd.core.recovery.attempts import Attempts
from swarmd.core.recovery.decide import MEMORY_ATTEMPTS, decide
from swarmd.core.recovery.limits import limits_of
from swarmd.core.recovery.remedy import Remedy
from swarmd.core.tables import Tables
from swarmd.errors import SwarmError
from swarmd.messages.config import HealthConfig
from swarmd.messages.enums import InstanceStatus, Origin
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Operation


class Restarts:
    """What it remembers begins empty after a restart, which only makes it more patient."""

    def __init__(self) -> None:
        self._attempts: dict[str, Attempts] = {}

    def __contains__(self, instance_id: str) -> bool:
        """Whether it was started by itself before, and not forgiven since."""
        return instance_id in self._attempts

    def which(self, instance_id: str, exit_words: str, settings: HealthConfig) -> str:
        """The next attempt in words: "attempt 2 of 3"."""
        count = self._attempts.get(instance_id, Attempts()).count
        hungry = is_out_of_memory(exit_words)
        most = MEMORY_ATTEMPTS if hungry else limits_of(settings).max_attempts
        return f"attempt {count + 1} of {most}"

    def counts(self) -> dict[str, tuple[int, datetime]]:
        """How many there were of each instance, and when the last."""
        return counts_of(self._attempts)

    def note(self, instance_id: str, now: datetime) -> None:
        """One more."""
        self._attempts[instance_id] = self._attempts.get(instance_id, Attempts()).after(now)

    def step_ended(self, operation: Operation, error: SwarmError | None) -> None:
        """What that means for the attempts.

        An automatic start that only told of its provider is none. What a person has asked for
        begins anew: another limit, say, is worth another attempt.
        """
        if operation.origin is Origin.USER:
            self.forget(operation.target)
        elif is_automatic(operation) and error is not None and says_nothing(error):
            self.excuse(operation.target)

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
        # One whose files are gone is not started: that would put empty ones in their place.
        found = ended(row, Seen(exit=exit_words))
        return decide(
            found.illness,
            rules_allow=settings.recovery_actions,
            auto=_is_wanted(row, settings),
            attempts=self._attempts.get(row.id, Attempts()),
            now=now,
            chance=random.random(),  # noqa: S311  # jitter, not a secret
            limits=limits_of(settings),
            memory_limit=row.config.resources.memory,
            said=found.words,
            step=_own_step(row),
        )


def counts_of(several: Mapping[str, Attempts]) -> dict[str, tuple[int, datetime]]:
    """How many attempts there were of each, and when the last."""
    return {
        each: (attempts.made, attempts.last)
        for each, attempts in several.items()
        if attempts.last is not None
    }


def _is_wanted(row: Instance, settings: HealthConfig) -> bool:
    """Whether a start that nobody asks for now is wanted.

    One that was not started since somebody wished it to run (its provider did not answer then) is
    no recovery: the wish was kept, and is carried out whatever ``auto_recover`` says.
    """
    own = row.config.health.recover
    return row.started_at is None or (settings.auto_recover if own is None else own)


def _own_step(row: Instance) -> str:
    """What the failure of its last automatic start says can be done."""
    if not is_tried_again(row) or row.last_error is None:
        return ""
    return str(row.last_error.details.get("next_step") or "")
