"""From what holds to what is raised and resolved: one alert for each episode.

Raising can be put off until a condition has held for a while, resolving until it has been
gone for a while: so what flaps is one episode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from swarmd.core.alerts.condition import MEASURED, Condition, Sight
from swarmd.messages.alert import Alert, AlertKey
from swarmd.messages.config import AlertingConfig
from swarmd.messages.enums import AlertType

_NEARLY = 0.95
"""A sample comes a little early now and then: so much of the time is enough."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a condition must hold until it is raised, and be gone until it is resolved."""

    to_raise: float = 0.0
    to_resolve: float = 0.0


PatienceOf = Callable[[AlertType], Patience]


def patience_of(config: AlertingConfig, check_interval: float) -> PatienceOf:
    """How patient to be with each type.

    What is measured has a margin, so it is resolved by the first figure below that. What is
    seen is raised at once. Use of memory and disk has no margin and is known once per check.

    Args:
        config: ``[alerting]``.
        check_interval: Seconds between two checks of an instance.
    """
    measured = Patience(to_raise=config.raise_after)
    seen = Patience(to_resolve=config.resolve_after)
    starved = Patience(to_resolve=max(config.resolve_after, 3 * check_interval))

    def of(kind: AlertType) -> Patience:
        if kind in MEASURED:
            return measured
        return starved if kind is AlertType.INSTANCE_STARVED else seen

    return of


@dataclass(frozen=True, slots=True)
class Timers:
    """Since when (monotonic seconds) what is not raised yet holds, and what goes on is gone."""

    rising: Mapping[AlertKey, float] = field(default_factory=dict)
    falling: Mapping[AlertKey, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one look comes to.

    Args:
        raised: Episodes that begin.
        resolved: Keys of those that end.
        refreshed: Those that go on, with other figures.
    """

    raised: tuple[Condition, ...] = ()
    resolved: tuple[AlertKey, ...] = ()
    refreshed: tuple[Condition, ...] = ()

    def __bool__(self) -> bool:
        """Whether anybody is to be told. Other figures alone can wait."""
        return bool(self.raised or self.resolved)


def step(
    timers: Timers,
    active: Mapping[AlertKey, Alert],
    sight: Sight,
    *,
    now: float,
    patience: PatienceOf,
) -> tuple[Timers, Plan]:
    """One look.

    Asked again before its plan was carried out it plans the same: so one that was lost, or
    could not be written, is made up for.

    Args:
        timers: As the last look left them.
        active: The alerts that go on.
        sight: What was seen.
        now: Monotonic seconds.
        patience: How patient to be with each type.
    """
    rising = _rising(timers, active, sight, now)
    falling = _falling(timers, active, sight, now)
    raised = tuple(
        condition
        for key, condition in sight.conditions.items()
        if key in rising and now - rising[key] >= _NEARLY * patience(key[0]).to_raise
    )
    resolved = tuple(
        key for key, since in falling.items() if now - since >= patience(key[0]).to_resolve
    )
    refreshed = tuple(
        condition
        for key, condition in sight.conditions.items()
        if key in active and active[key].message != condition.message
    )
    return Timers(rising, falling), Plan(raised, resolved, refreshed)


def _rising(
    timers: Timers, active: Mapping[AlertKey, Alert], sight: Sight, now: float
) -> dict[AlertKey, float]:
    kept = {
        key: since
        for key, since in timers.rising.items()
        if key not in active and (key[0] not in sight.judged or key in sight.conditions)
    }
    for key in sight.conditions:
        if key not in active:
            kept.setdefault(key, now)
    return kept


def _falling(
    timers: Timers, active: Mapping[AlertKey, Alert], sight: Sight, now: float
) -> dict[AlertKey, float]:
    kept: dict[AlertKey, float] = {}
    for key in active:
        if key[0] not in sight.judged:
            if key in timers.falling:
                kept[key] = timers.falling[key]
        elif key not in sight.conditions and key not in sight.unsure:
            kept[key] = timers.falling.get(key, now)
    return kept
