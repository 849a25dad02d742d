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

    def passed(self, key: AlertKey, value: float, threshold: float) -> bool:
        """Whether it is above its threshold; once it has an alert, above a little less."""
        if key in self.active:
            return value > threshold * (1 - self.config.margin)
        return value > threshold


def _utilization(sample: SwarmMetrics, limits: _Limits) -> Iterator[Condition | None]:
    threshold = limits.config.provider_utilization
    for name, each in sample.providers.items():
        key = (AlertType.PROVIDER_UTILIZATION, name)
        limited = each.enabled and each.max_instances > 0
        if limited and limits.passed(key, each.utilization, threshold):
            yield Condition(
                AlertType.PROVIDER_UTILIZATION,
                f"Provider {name} utilization is high: {_percent(each.utilization)}"
                f" ({each.instance_count} of {each.max_instances} instances)",
                subject=name,
                target=name,
                details={
                    "provider_type": each.type,
                    "instances": each.instance_count,
                    "max_instances": each.max_instances,
                    "value": each.utilization,
                    "threshold": threshold,
                    "next_step": f"Stop or delete instances of {name}, or raise its max_instances.",
                },
            )


def _unhealthy(sample: SwarmMetrics, limits: _Limits) -> Condition | None:
    # The trash counts as instances, and none of it can be ill.
    trash = sample.instances.by_status.get(InstanceStatus.DELETED, 0)
    total = sample.instances.total - trash
    count = sample.health.by_status.get(HealthStatus.UNHEALTHY, 0)
    threshold = limits.config.unhealthy_instances
    key = (AlertType.UNHEALTHY_INSTANCES, "")
    if total <= 0 or not limits.passed(key, count / total, threshold):
        return None
    return Condition(
        AlertType.UNHEALTHY_INSTANCES,
        f"High number of unhealthy instances: {count} out of {total}",
        subject=_ALL,
        details={
            "unhealthy_count": count,
            "total_instances": total,
            "value": count / total,
            "threshold": threshold,
            "next_step": "Which: swarmctl ls --health unhealthy; why: swarmctl why NAME.",
        },
    )


def _migrations(sample: SwarmMetrics, limits: _Limits) -> Condition | None:
    by_status = sample.migrations.by_status
    total = sum(by_status.values())
    failed = sum(by_status.get(each, 0) for each in _FAILED)
    threshold = limits.config.failed_migrations
    key = (AlertType.FAILED_MIGRATIONS, "")
    if total <= 0 or not limits.passed(key, failed / total, threshold):
        return None
    return Condition(
        AlertType.FAILED_MIGRATIONS,
        f"High number of failed migrations: {failed} out of {total}",
        subject=_ALL,
        details={
            "failed_migrations": failed,
            "total_migrations": total,
            "value": failed / total,
            "threshold": threshold,
            "next_step": "Which, and why: swarmctl ops list --state failed.",
        },
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
    threshold = float(limits.config.operation_latency)
    key = (AlertType.OPERATION_LATENCY, "")
    if value is None or not limits.passed(key, value, threshold):
        return None
    return Condition(
        AlertType.OPERATION_LATENCY,
        f"Operations take long: the p95 of the last {histogram.count} is {value:.3g} s",
        subject=_ALL,
        details={
            "operations": histogram.count,
            "max_seconds": histogram.max,
            "window_seconds": float(limits.config.window),
            "value": value,
            "threshold": threshold,
            "next_step": "Which kinds: swarmctl metrics; what runs now: swarmctl ops.",
        },
    )


def _errors(ended: _Ended, limits: _Limits) -> Condition | None:
    value, threshold = ended.failed / ended.count, limits.config.error_rate
    if not limits.passed((AlertType.ERROR_RATE, ""), value, threshold):
        return None
    return Condition(
        AlertType.ERROR_RATE,
        f"Many operations fail: {ended.failed} out of {ended.count}",
        subject=_ALL,
        details={
            "failed_operations": ended.failed,
            "ended_operations": ended.count,
            "window_seconds": float(limits.config.window),
            "value": value,
            "threshold": threshold,
            "next_step": "Which, and why: swarmctl ops list --state failed.",
        },
    )


def _percent(share: float) -> str:
    return f"{share * 100:.2f} %"
