"""What holds for one instance: its own wishes, else the configuration's."""

from __future__ import annotations

from dataclasses import dataclass

from swarmd.errors import ValidationError
from swarmd.messages.config import InstancesConfig
from swarmd.messages.enums import ProbeKind
from swarmd.messages.instance import InstanceConfig

_LEAST_LEAD = 2.0
_MOST_LEAD = 600.0
_LEAD_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class IdleRules:
    """When one is stopped by itself.

    Args:
        idle_timeout: Seconds without use; 0: never.
        max_age: Seconds since its start; 0: never.
        own: Whether the instance itself asks for the ``idle_timeout``.
        asked: Whether its server is asked for its heartbeat: whether its probe is ``server``.
    """

    idle_timeout: float
    max_age: float
    own: bool
    asked: bool

    @property
    def lead(self) -> float:
        """Seconds before its age ends it at which that is told: 10 min, or a tenth of it."""
        return min(_MOST_LEAD, max(_LEAST_LEAD, self.max_age * _LEAD_SHARE))


def check_watched(config: InstanceConfig, before: InstanceConfig | None = None) -> None:
    """Refuse rules that nothing would see to, since no health is watched.

    Args:
        config: What is wished for.
        before: The configuration until now: what stands there is not refused again.

    Raises:
        ValidationError: It names the rule.
    """
    for rule in ("idle_timeout", "max_age"):
        wanted = getattr(config, rule)
        if wanted and (before is None or getattr(before, rule) != wanted):
            raise ValidationError(
                f"{rule} has no effect: the health of instances is not watched",
                field=f"config.{rule}",
                next_step="Leave it out, or set health.enabled = true in the configuration and"
                " restart swarmd.",
            )


def rules_of(settings: InstancesConfig, config: InstanceConfig) -> IdleRules:
    """What holds for an instance: what it says itself, else what ``[instances]`` says.

    Args:
        settings: The section ``[instances]``.
        config: The instance's own configuration; a 0 there means never.
    """
    own_idle, own_age = config.idle_timeout, config.max_age
    return IdleRules(
        idle_timeout=float(settings.idle_timeout if own_idle is None else own_idle),
        max_age=float(settings.max_age if own_age is None else own_age),
        own=own_idle is not None,
        asked=config.health.probe is ProbeKind.SERVER,
    )
