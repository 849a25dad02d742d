"""What holds for one instance's health: its own wishes, else the configuration's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from swarmd.messages.config import HealthConfig
from swarmd.messages.enums import ProbeKind
from swarmd.messages.instance import HealthCheck

T = TypeVar("T")

SERVER_PATH = "/healthz"
"""What code-server answers without a login."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How one instance is asked, and how its answers are judged.

    Args:
        interval: Seconds between two probes.
        timeout: Seconds for one probe.
        grace: Seconds after a start in which failed probes do not count.
        failures: Failed probes in a row until it is unhealthy.
        successes: Good probes in a row until it is healthy again.
        history_size: Entries of the history that are kept.
        degraded_latency: Seconds; degraded if the p95 of the last answers takes longer.
        degraded_share: Degraded from this share of memory or disk on.
        probe: How it is asked.
        path: What a probe over HTTP fetches; None for the other kinds.
        command: What an exec probe runs.
        recover: Whether it is recovered by itself.
    """

    interval: float
    timeout: float
    grace: float
    failures: int
    successes: int
    history_size: int
    degraded_latency: float
    degraded_share: float
    probe: ProbeKind
    path: str | None
    command: tuple[str, ...]
    recover: bool

    @property
    def pace(self) -> float:
        """Seconds from one probe to the next, at most.

        A little less than the interval: an instance that hangs right after a good answer has
        failed ``failures`` probes ``failures`` intervals later, the last one's timeout
        included. That holds for timeouts of up to half the interval; what a longer one takes
        more is added, for nothing is asked more than twice an interval, nor while it is asked.
        """
        return max(self.interval - self.timeout / self.failures, self.interval / 2)


def rules_of(config: HealthConfig, check: HealthCheck) -> Rules:
    """What holds for an instance: what it says itself, else what the configuration says.

    Args:
        config: The section ``[health]``.
        check: The instance's own ``health``.
    """
    return Rules(
        interval=float(_own(check.interval, config.check_interval)),
        timeout=float(_own(check.timeout, config.timeout)),
        grace=float(_own(check.grace, config.grace)),
        failures=_own(check.failures, config.failures),
        successes=_own(check.successes, config.successes),
        history_size=config.history_size,
        degraded_latency=float(config.degraded_latency),
        degraded_share=config.degraded_share,
        probe=check.probe,
        path=_path(check),
        command=check.command if check.probe is ProbeKind.EXEC else (),
        recover=_own(check.recover, config.auto_recover),
    )


def _own(own: T | None, general: T) -> T:
    return general if own is None else own


def _path(check: HealthCheck) -> str | None:
    match check.probe:
        case ProbeKind.SERVER:
            return SERVER_PATH
        case ProbeKind.HTTP:
            return check.path or "/"
        case _:
            return None
