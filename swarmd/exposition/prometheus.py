"""A sample in Prometheus' exposition format, by Prometheus' own library."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from swarmd.messages.enums import OperationKind
from swarmd.messages.telemetry import Histogram, OperationMetrics, SwarmMetrics


def render(sample: SwarmMetrics, accept: str, version: str) -> tuple[bytes, str]:
    """The text and its content type.

    Args:
        sample: What to tell; its operations are those since the start of the daemon.
        accept: The ``Accept`` header of who asks; empty: the plain text format.
        version: The daemon's.
    """
    # A registry of its own each time: nothing is kept, and no other library's figures are told.
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    registry.register(_Sample(sample, version))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Sample(Collector):
    def __init__(self, sample: SwarmMetrics, version: str) -> None:
        self._sample = sample
        self._version = version

    def collect(self) -> Iterator[Metric]:
        """Every figure with its help and its type."""
        build = InfoMetricFamily("swarmd_build", "The daemon that tells this")
        build.add_metric([], {"version": self._version})
        yield build
        yield from self._instances()
        yield from self._providers()
        yield from self._operations()
        yield from self._daemon()

    def _instances(self) -> Iterator[Metric]:
        sample = self._sample
        for name, told, label, counts in (
            ("instances", "Instances by status; the trash is deleted", "status",
             sample.instances.by_status),
            ("instances_health", "Instances by health", "health", sample.health.by_status),
            ("migrations", "Migrations by status", "status", sample.migrations.by_status),
        ):  # fmt: skip
            family = GaugeMetricFamily(f"swarmd_{name}", told, labels=[label])
            for word, count in counts.items():
                family.add_metric([word], count)
            yield family

    def _providers(self) -> Iterator[Metric]:
        labels = ["provider", "type"]
        names = (
            ("instances", "Instances at a provider, its trash included", "instance_count"),
            ("max_instances", "The most instances at a provider; 0: no limit", "max_instances"),
            ("utilization_ratio", "Share of the most instances that is taken", "utilization"),
            ("enabled", "1 if the provider is driven", "enabled"),
            ("up", "1 if the provider answered its last look", "ok"),
        )
        for name, told, field in names:
            family = GaugeMetricFamily(f"swarmd_provider_{name}", told, labels=labels)
            for provider, metrics in self._sample.providers.items():
                family.add_metric([provider, metrics.type], float(getattr(metrics, field)))
            yield family

    def _operations(self) -> Iterator[Metric]:
        ended = CounterMetricFamily(
            "swarmd_operations", "Operations that ended", labels=["kind", "outcome"]
        )
        took = HistogramMetricFamily(
            "swarmd_operation_duration_seconds",
            "From the acceptance of an operation to its end",
            labels=["kind"],
        )
        # Also what has not happened yet: a counter that begins with 1 hides its first increase.
        for kind in OperationKind:
            metrics = self._sample.operations.get(kind, OperationMetrics())
            for outcome in ("succeeded", "failed", "cancelled"):
                ended.add_metric([kind, outcome], getattr(metrics, outcome))
            took.add_metric([kind], _buckets(metrics.latency), metrics.latency.sum)
        yield ended
        yield took

    def _daemon(self) -> Iterator[Metric]:
        process = self._sample.process
        yield GaugeMetricFamily("swarmd_threads", "Threads of the daemon", process.threads)
        yield GaugeMetricFamily(
            "swarmd_mailbox_messages", "Messages that wait in all actors", process.mailboxes
        )
        yield CounterMetricFamily(
            "swarmd_actor_restarts", "Actors that were started anew", process.restarts
        )


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """Each bound with how many were not above it, as the format has it."""
    bounds = [*map(floatToGoString, histogram.bounds), "+Inf"]
    return list(zip(bounds, map(float, accumulate(histogram.counts)), strict=True))
