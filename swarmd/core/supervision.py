"""What the supervisor decides about an actor that died or does not answer (DESIGN 4).

The first restart is immediate and the later ones wait at most ``RESTART_CAP`` seconds: an
actor is back within two seconds even if it is killed several times in a row. Too many
failures within the window end in ``GiveUp``, loudly.
"""

from __future__ import annotations

from dataclasses import dataclass

from swarmd.core.backoff import delay

RESTART_BASE = 0.1
RESTART_CAP = 1.0


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How often one child may fail: ``max_restarts`` times ``within`` seconds."""

    name: str
    max_restarts: int = 5
    within: float = 60.0


@dataclass(frozen=True, slots=True)
class ChildHistory:
    """When a child failed: monotonic seconds, oldest first."""

    failures: tuple[float, ...] = ()

    def failed(self, now: float, *, keep: int = 32) -> ChildHistory:
        """The history with one more failure; only the last ``keep`` are remembered."""
        return ChildHistory((*self.failures, now)[-keep:])

    def recent(self, now: float, within: float) -> int:
        """How many failures lie at most ``within`` seconds back."""
        return sum(1 for at in self.failures if now - at <= within)


@dataclass(frozen=True, slots=True)
class Restart:
    """Start it again after so many seconds (0: now)."""

    after_seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Leave it dead, say so, and let the daemon be degraded."""

    reason: str


Decision = Restart | GiveUp


def decide(spec: ChildSpec, history: ChildHistory, now: float, chance: float) -> Decision:
    """What to do about a child that has just failed.

    Args:
        spec: Its limits.
        history: Its failures, this one included.
        now: Monotonic seconds.
        chance: A random number in [0, 1).
    """
    count = history.recent(now, spec.within)
    if count > spec.max_restarts:
        return GiveUp(
            f"{spec.name} failed {count} times within {spec.within:g} s"
            f" (at most {spec.max_restarts} restarts)"
        )
    if count <= 1:
        return Restart(0.0)
    return Restart(
        delay(count - 2, base=RESTART_BASE, cap=RESTART_CAP, chance=chance, jitter="equal")
    )


def overdue(last_pong: float, now: float, deadline: float) -> bool:
    """Whether a child has not answered a ping for more than ``deadline`` seconds."""
    return now - last_pong > deadline
