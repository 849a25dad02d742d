"""How often an instance was brought back by itself, and the limits of that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from swarmd.core.backoff import delay


@dataclass(frozen=True, slots=True)
class RecoveryLimits:
    """How patient recovery is.

    Args:
        max_attempts: Attempts until it is held for a human.
        stable_seconds: Well for so long, its attempts are forgiven.
        base: The longest wait after the first attempt, in seconds; it doubles with each.
        cap: The longest wait at all, in seconds.
    """

    max_attempts: int
    stable_seconds: float
    base: float = 1.0
    cap: float = 300.0


@dataclass(frozen=True, slots=True)
class Attempts:
    """The attempts of one bout: how many count, when the first and the last of them began.

    ``excuses``: further ones that only told of their provider. They lengthen the pause, and hold
    nobody.
    """

    count: int = 0
    first: datetime | None = None
    last: datetime | None = None
    excuses: int = 0

    @property
    def made(self) -> int:
        """How many there were, whether they count or not."""
        return self.count + self.excuses

    def after(self, now: datetime) -> Attempts:
        """With one more, which begins now."""
        return replace(self, count=self.count + 1, first=self.first or now, last=now)

    def forgiven(self, now: datetime, stable_seconds: float) -> Attempts:
        """None at all, if the last one lies so long back that it has helped; else these.

        To be asked while the instance is well, and only then: one that is held is not well
        either, and waits for a human however long that takes.
        """
        if self.last is None or now - self.last >= timedelta(seconds=stable_seconds):
            return Attempts()
        return self

    def excused(self) -> Attempts:
        """The last one does not count: that its provider did not answer was no fault of its own."""
        if not self.count:
            return self
        return replace(self, count=self.count - 1, excuses=self.excuses + 1)

    def are_ahead_of(self, now: datetime) -> bool:
        """Whether the last one was, as it seems, later than now: the clock was set back."""
        return self.last is not None and self.last > now

    def next_at(self, limits: RecoveryLimits, chance: float) -> datetime | None:
        """When the next one may begin; None: at once, as the first one may.

        Args:
            limits: Base and cap of the backoff.
            chance: A random number in [0, 1): half of the wait is jitter.
        """
        if self.made < 1 or self.last is None:
            return None
        seconds = delay(
            self.made - 1, base=limits.base, cap=limits.cap, chance=chance, jitter="equal"
        )
        return self.last + timedelta(seconds=seconds)

    def __str__(self) -> str:
        """In words: "once", "5 times within 42 s"."""
        if self.count <= 1 or self.first is None or self.last is None:
            return "once" if self.count == 1 else f"{self.count} times"
        return f"{self.count} times within {(self.last - self.first).total_seconds():.0f} s"
