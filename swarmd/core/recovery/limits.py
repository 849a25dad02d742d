"""What the configuration says about recoveries."""

from __future__ import annotations

from swarmd.core.recovery.attempts import RecoveryLimits
from swarmd.messages.config import HealthConfig


def limits_of(settings: HealthConfig) -> RecoveryLimits:
    """What ``[health]`` allows."""
    return RecoveryLimits(
        max_attempts=settings.max_recovery_attempts, stable_seconds=settings.stable_time
    )
