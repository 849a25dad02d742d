from __future__ import annotations

from swarmd.core.recovery.attempts import RecoveryLimits
from swarmd.core.recovery.limits import limits_of
from swarmd.messages.config import HealthConfig
from swarmd.messages.units import Duration


def test_the_limits_are_those_of_the_configuration() -> None:
    settings = HealthConfig(max_recovery_attempts=7, stable_time=Duration(90))
    assert limits_of(settings) == RecoveryLimits(max_attempts=7, stable_seconds=90.0)


def test_the_defaults_hold_for_ten_minutes_and_three_attempts() -> None:
    limits = limits_of(HealthConfig())
    assert (limits.max_attempts, limits.stable_seconds) == (3, 600.0)
