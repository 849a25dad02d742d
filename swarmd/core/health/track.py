"""What is remembered of one instance's health between two looks."""

from __future__ import annotations

import math
from array import array
from datetime import datetime, timedelta

from swarmd.core.health.facts import Usage, Verdict
from swarmd.core.health.history import LONGEST, History
from swarmd.messages.enums import HealthStatus
from swarmd.messages.health import Check, CheckKind, HealthPoint, Illness, InstanceHealth
from swarmd.messages.instance import Instance

__all__ = ["LATENCIES_KEPT", "Track", "Usage"]

LATENCIES_KEPT = 5
"""Good answers whose p95 tells whether the server is slow; of five that is the slowest."""


class Track:
    """The memory of one instance's health. It belongs to one monitor and is changed in place.

    Attributes:
        failures: Probes in a row that failed and count.
        successes: Probes in a row that went well.
        suspected_at: When its failures became enough to call it hung, monotonic seconds (minus
            infinity: before this daemon began); None: they are not.
        words: What the last probe was answered, or why it was not.
        seconds: How long the last probe took; None before the first.
        answered_at: When the last probe ended; None before the first of this life.
        usage: What the instance used when it was last measured in this life.
        used_at: When that was.
        started_at: When this life began; None if that is not known.
        mending: Whether it was unhealthy and has not been healthy since.
        status: The conclusion.
        since: When the status became what it is.
        illness: What is wrong.
        details: The conclusion in words.
        checks: What each question was answered last.
        checked_at: When that was concluded.
        history: The latest points.
    """

    __slots__ = (
        "_grace_ends",
        "_latencies",
        "_noted",
        "answered_at",
        "checked_at",
        "checks",
        "details",
        "failures",
        "history",
        "illness",
        "mending",
        "seconds",
        "since",
        "started_at",
        "status",
        "successes",
        "suspected_at",
        "usage",
        "used_at",
        "words",
    )

    def __init__(self, history_size: int = 100) -> None:
        self.started_at: datetime | None = None
        self._grace_ends: datetime | None = None
        self._forget()
        self._noted: datetime | None = None  # the last answer that the history has
        self.mending = False
        self.status = HealthStatus.UNKNOWN
        self.since: datetime | None = None
        self.illness: Illness | None = None
        self.details = ""
        self.checks: tuple[Check, ...] = ()
        self.checked_at: datetime | None = None
        self.history = History(history_size)

    def _forget(self) -> None:
        self.failures = 0
        self.successes = 0
        self.suspected_at: float | None = None
        self._latencies = array("d")
        self.words = ""
        self.seconds: float | None = None
        self.answered_at: datetime | None = None
        self.usage: Usage | None = None
        self.used_at: datetime | None = None

    # --- what happens ------------------------------------------------------------------------

    def started(self, at: datetime, grace: float = 0.0) -> None:
        """A new life: the counters begin anew. Told of the same life again, nothing happens.

        What was restored and has answered since ``at`` is the same life.

        Args:
            at: When it began.
            grace: Seconds in which failures before the first good answer do not count.
        """
        if at == self.started_at:
            return
        known = self.started_at is None and self.answered_at is not None and at <= self.answered_at
        self.started_at = at
        self._grace_ends = at + timedelta(seconds=grace)
        if not known:
            self._forget()

    def answered(self, ok: bool, seconds: float, message: str, at: datetime) -> None:
        """A probe came to its end.

        Args:
            ok: Whether it was answered well.
            seconds: How long it took.
            message: What was said, or what went wrong; its first 200 characters are kept.
            at: When it ended.
        """
        self.words, self.seconds, self.answered_at = message[:LONGEST], seconds, at
        if ok:
            self.excused()
            self.successes += 1
            self._latencies.append(seconds)
            del self._latencies[:-LATENCIES_KEPT]
            return
        self.successes = 0
        if not self._forgiven(at):
            self.failures += 1

    def _forgiven(self, at: datetime) -> bool:
        return self._grace_ends is not None and at < self._grace_ends and not self.has_answered

    def excused(self) -> None:
        """The failures so far are over, or were not its own: they are counted anew."""
        self.failures, self.suspected_at = 0, None

    def suspected(self, enough: int, moment: float) -> bool:
        """After a failure: whether it is the one by which there are ``enough`` (first time).

        Args:
            enough: So many in a row.
            moment: Now, monotonic seconds.
        """
        if self.failures < enough or self.suspected_at is not None:
            return False
        self.suspected_at = moment
        return True

    def used(self, usage: Usage, at: datetime) -> None:
        """What it uses was measured."""
        self.usage, self.used_at = usage, at

    def conclude(self, verdict: Verdict, at: datetime) -> bool:
        """Take over a verdict.

        The history gets a point for each new answer and for each change of status or illness;
        looking again without having asked again tells nothing new.

        Returns:
            Whether the status changed.
        """
        changed = verdict.status is not self.status
        if changed or self.since is None:
            self.since = at
        new_answer = self.answered_at is not None and self.answered_at != self._noted
        if changed or new_answer or verdict.illness is not self.illness:
            self._note(verdict, at, self.seconds if new_answer else None)
        self.status, self.illness = verdict.status, verdict.illness
        self.details, self.checks = verdict.details, verdict.checks
        self.checked_at = at
        if verdict.status is HealthStatus.UNHEALTHY:
            self.mending = True
        elif verdict.status is HealthStatus.HEALTHY:
            self.mending = False
        return changed

    def _note(self, verdict: Verdict, at: datetime, seconds: float | None) -> None:
        self._noted = self.answered_at
        self.history.add(
            HealthPoint(at=at, status=verdict.status, seconds=seconds, message=verdict.details)
        )

    # --- what follows ------------------------------------------------------------------------

    @property
    def has_answered(self) -> bool:
        """Whether it has answered well in this life."""
        return bool(self._latencies)

    @property
    def latencies(self) -> tuple[float, ...]:
        """Seconds of the last good answers, oldest first."""
        return tuple(self._latencies)

    @property
    def p95(self) -> float | None:
        """Seconds that 95 % of the last good answers stayed below; None if there are none.

        By the nearest rank, which of five is the slowest.
        """
        return max(self._latencies, default=None)

    # --- over a restart of the daemon --------------------------------------------------------

    def to_health(self, instance: Instance) -> InstanceHealth:
        """What is told of it, and kept on disk."""
        return InstanceHealth(
            id=instance.id,
            ref=instance.ref,
            status=self.status,
            last_checked=self.checked_at,
            since=self.since,
            details=self.details,
            illness=self.illness,
            failures=self.failures,
            checks=self.checks,
            history=self.history.points(),
        )

    def restore(self, health: InstanceHealth) -> None:
        """Take up what was kept, so that a restart of the daemon is no event of the instance.

        The answers of the life that went on meanwhile are the one that was kept: a healthy
        instance stays healthy until it is asked again.
        """
        self.status, self.since, self.illness = health.status, health.since, health.illness
        self.details, self.checks = health.details, health.checks
        self.checked_at = health.last_checked
        self.mending = health.status in (HealthStatus.UNHEALTHY, HealthStatus.RECOVERING)
        for point in health.history:
            self.history.add(point)
        self._restore_answer(health)

    def _restore_answer(self, health: InstanceHealth) -> None:
        responds = next((c for c in health.checks if c.kind is CheckKind.RESPONDS), None)
        if responds is None or responds.seconds is None or health.last_checked is None:
            return
        self.seconds, self.words = responds.seconds, responds.message
        self.answered_at = self._noted = health.last_checked
        self.failures = health.failures
        if health.illness is Illness.HUNG:
            self.suspected_at = -math.inf
        if isinstance(responds.value, int | float):
            self._latencies.append(float(responds.value))
            self.successes = 0 if health.failures else 1
