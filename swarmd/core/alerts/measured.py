"""The thresholds of seed 000, section 6.3, held against samples.

What has an alert is held against a little less than its threshold, so that a figure that
swings around it is one episode.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta

from swarmd.core.alerts.condition import MEASURED, Condition, Sight, by_key
from swarmd.core.telemetry.histogram import merged, quantile
from swarmd.messages.alert import AlertKey
from swarmd.messages.config import AlertingConfig
from swarmd.messages.enums import AlertType, HealthStatus, InstanceStatus, MigrationStatus
from swarmd.messages.telemetry import SwarmMetrics

MOST_SAMPLES = 1440
"""A day of one each minute: a window that is longer, or has more, ends there."""

_ALL = "all"
_PERCENTILE = 0.95
_FAILED = (MigrationStatus.FAILED, MigrationStatus.TIMED_OUT)


@dataclass(frozen=True, slots=True)
class _Ended:
    """Operations of the window. ``covered``: the window is as long as it is to be."""

    succeeded: int
    failed: int
    covered: bool

    @property
    def count(self) -> int:
        """Those that were neither cancelled nor refused: that is no failure and no success."""
        return self.succeeded + self.failed


def within(samples: Iterable[SwarmMetrics], seconds: float) -> tuple[SwarmMetrics, ...]:
    """The samples that are not older than the newest by more than this, oldest first.

    At most the newest ``MOST_SAMPLES``.
    """
    kept = sorted(samples, key=lambda each: each.timestamp)
    if not kept:
        return ()
    oldest = kept[-1].timestamp - timedelta(seconds=seconds)
    return tuple(each for each in kept if each.timestamp > oldest)[-MOST_SAMPLES:]


def judge(
    samples: Sequence[SwarmMetrics], active: AbstractSet[AlertKey], config: AlertingConfig
) -> Sight:
    """What a window of samples shows.

    Args:
        samples: Those of the window, oldest first; at least one.
        active: What has an alert already.
        config: ``[alerting]``.
    """
    last = samples[-1]
    limits = _Limits(active, config)
    ended = _ended(samples, config.window)
    conditions = by_key(
        *_utilization(last, limits),
        _unhealthy(last, limits),
        _migrations(last, limits),
    )
    unsure: set[AlertKey] = set()
    if ended.count >= config.min_operations:
        conditions |= by_key(_latency(samples, limits), _errors(ended, limits))
    elif not ended.covered:
        # After a start the window has to fill before it says that all is well again.
        unsure = {key for key in active if key[0] in _OF_OPERATIONS}
    return Sight(MEASURED, conditions, frozenset(unsure))


_OF_OPERATIONS = (AlertType.OPERATION_LATENCY, AlertType.ERROR_RATE)


@dataclass(frozen=True, slots=True)
class _Limits:
    active: AbstractSet[AlertKey]
    config: AlertingConfig

    def above(
        self,
        kind: AlertType,
        value: float,
        threshold: float,
        message: str,
        *,
        next_step: str,
        target: str = "",
        **details: object,
    ) -> Condition | None:
        """The condition, if the value is above its threshold.

        Once that has an alert: if it is above a little less.
        """
        if (kind, target) in self.active:
            passed = value > threshold * (1 - self.config.margin)
        else:
            passed = value > threshold
        if not passed:
            return None
        told = {**details, "value": value, "threshold": threshold, "next_step": next_step}
        return Condition(kind, message, subject=target or _ALL, target=target, details=told)


def _utilization(sample: SwarmMetrics, limits: _Limits) -> Iterator[Condition | None]:
    for name, each in sample.providers.items():
        if each.enabled and each.max_instances > 0:
            yield limits.above(
                AlertType.PROVIDER_UTILIZATION,
                each.utilization,
                limits.config.provider_utilization,
                f"Provider {name} utilization is high: {_percent(each.utilization)}"
                f" ({each.instance_count} of {each.max_instances} instances)",
                target=name,
                provider_type=each.type,
                instances=each.instance_count,
                max_instances=each.max_instances,
                next_step=f"Stop or delete instances of {name}, or raise its max_instances.",
            )


def _unhealthy(sample: SwarmMetrics, limits: _Limits) -> Condition | None:
    # The trash counts as instances, and none of it can be ill.
    trash = sample.instances.by_status.get(InstanceStatus.DELETED, 0)
    total = sample.instances.total - trash
    count = sample.health.by_status.get(HealthStatus.UNHEALTHY, 0)
    if total <= 0:
        return None
    return limits.above(
        AlertType.UNHEALTHY_INSTANCES,
        count / total,
        limits.config.unhealthy_instances,
        f"High number of unhealthy instances: {count} out of {total}",
        unhealthy_count=count,
        total_instances=total,
        next_step="Which: swarmctl ls --health unhealthy; why: swarmctl why NAME.",
    )


def _migrations(sample: SwarmMetrics, limits: _Limits) -> Condition | None:
    by_status = sample.migrations.by_status
    total = sum(by_status.values())
    failed = sum(by_status.get(each, 0) for each in _FAILED)
    if total <= 0:
        return None
    return limits.above(
        AlertType.FAILED_MIGRATIONS,
        failed / total,
        limits.config.failed_migrations,
        f"High number of failed migrations: {failed} out of {total}",
        failed_migrations=failed,
        total_migrations=total,
        next_step="Which, and why: swarmctl ops list --state failed.",
    )


def _ended(samples: Sequence[SwarmMetrics], window: float) -> _Ended:
    counts = [each for sample in samples for each in sample.operations.values()]
    seconds = sum(sample.seconds for sample in samples)
    return _Ended(
        succeeded=sum(each.succeeded for each in counts),
        # Whoever asks for what cannot be has made a mistake; nothing is wrong with the swarm.
        failed=sum(each.failed - each.refused for each in counts),
        covered=len(samples) >= MOST_SAMPLES or seconds >= window - samples[-1].seconds,
    )


def _latency(samples: Sequence[SwarmMetrics], limits: _Limits) -> Condition | None:
    histogram = merged([each.latency for sample in samples for each in sample.operations.values()])
    value = quantile(histogram, _PERCENTILE)
    if value is None:
        return None
    return limits.above(
        AlertType.OPERATION_LATENCY,
        value,
        float(limits.config.operation_latency),
        f"Operations take long: the p95 of the last {histogram.count} is {value:.3g} s",
        operations=histogram.count,
        max_seconds=histogram.max,
        window_seconds=float(limits.config.window),
        next_step="Which kinds: swarmctl metrics; what runs now: swarmctl ops.",
    )


def _errors(ended: _Ended, limits: _Limits) -> Condition | None:
    return limits.above(
        AlertType.ERROR_RATE,
        ended.failed / ended.count,
        limits.config.error_rate,
        f"Many operations fail: {ended.failed} out of {ended.count}",
        failed_operations=ended.failed,
        ended_operations=ended.count,
        window_seconds=float(limits.config.window),
        next_step="Which, and why: swarmctl ops list --state failed.",
    )


def _percent(share: float) -> str:
    return f"{share * 100:.2f} %"
