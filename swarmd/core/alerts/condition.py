"""What is wrong right now, before anybody is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from swarmd.messages.alert import AlertKey
from swarmd.messages.enums import AlertSeverity, AlertType

MEASURED = frozenset(
    {
        AlertType.PROVIDER_UTILIZATION,
        AlertType.UNHEALTHY_INSTANCES,
        AlertType.FAILED_MIGRATIONS,
        AlertType.OPERATION_LATENCY,
        AlertType.ERROR_RATE,
    }
)
"""Those of seed 000: a figure of a sample is held against a threshold."""

ABOUT_INSTANCES = frozenset(
    {AlertType.INSTANCE_HELD, AlertType.INSTANCE_LOST, AlertType.INSTANCE_STARVED}
)
SEEN = ABOUT_INSTANCES | {AlertType.PROVIDER_DOWN}
"""Those that what is published shows."""

SEVERITY: Mapping[AlertType, AlertSeverity] = {
    AlertType.PROVIDER_UTILIZATION: AlertSeverity.WARNING,
    AlertType.UNHEALTHY_INSTANCES: AlertSeverity.ERROR,
    AlertType.FAILED_MIGRATIONS: AlertSeverity.ERROR,
    AlertType.OPERATION_LATENCY: AlertSeverity.WARNING,
    AlertType.ERROR_RATE: AlertSeverity.ERROR,
    AlertType.PROVIDER_DOWN: AlertSeverity.ERROR,
    AlertType.INSTANCE_HELD: AlertSeverity.ERROR,
    AlertType.INSTANCE_LOST: AlertSeverity.ERROR,
    AlertType.INSTANCE_STARVED: AlertSeverity.WARNING,
    AlertType.DISK_FULL: AlertSeverity.ERROR,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that is wrong: what an alert says, without an episode.

    Args:
        type: What kind of thing.
        message: One sentence.
        subject: What it is about, for people.
        target: The same for programs; empty: all.
        owner: Of the instance that it is about.
        details: Facts, among them ``value`` and ``threshold`` where there is a number.
    """

    type: AlertType
    message: str
    subject: str
    target: str = ""
    owner: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> AlertKey:
        """Of each there is at most one alert at a time."""
        return self.type, self.target


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look showed.

    Args:
        judged: The types that were looked for; nothing is concluded about the others.
        conditions: What holds, by key.
        unsure: Of the alerts that go on those about which this look says nothing.
    """

    judged: frozenset[AlertType]
    conditions: Mapping[AlertKey, Condition]
    unsure: frozenset[AlertKey] = frozenset()

    def plus(self, other: Sight) -> Sight:
        """Two looks for different types, as one."""
        return Sight(
            self.judged | other.judged,
            {**self.conditions, **other.conditions},
            self.unsure | other.unsure,
        )


NOTHING = Sight(frozenset(), {})


def by_key(*conditions: Condition | None) -> dict[AlertKey, Condition]:
    """Those that hold."""
    return {each.key: each for each in conditions if each is not None}
