"""Samples over time: each figure's min, mean, max and last; operations and histograms added up.

Samples are taken in one by one, so that days of them need no memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from swarmd.core.telemetry.operations import sum_counts
from swarmd.core.telemetry.window import Window
from swarmd.messages.enums import OperationKind
from swarmd.messages.telemetry import Figure, MetricsPoint, OperationMetrics, SwarmMetrics


def figures_of(sample: SwarmMetrics) -> Iterator[tuple[str, float]]:
    """The figures of a sample by their names."""
    yield "instances.total", sample.instances.total
    for status, count in sample.instances.by_status.items():
        yield f"instances.status.{status}", count
    for provider, count in sample.instances.by_provider.items():
        yield f"instances.provider.{provider}", count
    for health, count in sample.health.by_status.items():
        yield f"health.{health}", count
    for migration, count in sample.migrations.by_status.items():
        yield f"migrations.{migration}", count
    for name, provider_metrics in sample.providers.items():
        yield f"providers.{name}.utilization", provider_metrics.utilization
        yield f"providers.{name}.ok", float(provider_metrics.ok)
    for field in sample.process.__struct_fields__:
        yield f"process.{field}", getattr(sample.process, field)


class _Sums:
    """One figure on its way."""

    __slots__ = ("at", "count", "last", "least", "most", "total")

    def __init__(self, value: float, at: datetime) -> None:
        self.count, self.total = 1, value
        self.least = self.most = self.last = value
        self.at = at

    def add(self, value: float, at: datetime) -> None:
        self.count += 1
        self.total += value
        self.least, self.most = min(self.least, value), max(self.most, value)
        if at >= self.at:
            self.at, self.last = at, value

    def figure(self) -> Figure:
        # Dividing rounds: a mean is never outside of what it is the mean of.
        mean = min(self.most, max(self.least, self.total / self.count))
        return Figure(min=self.least, mean=mean, max=self.most, last=self.last)


class _Slot:
    """One step on its way."""

    __slots__ = ("_operations", "_seconds", "_sums", "samples")

    def __init__(self) -> None:
        self.samples = 0
        self._seconds = 0.0
        self._sums: dict[str, _Sums] = {}
        self._operations: dict[OperationKind, OperationMetrics] = {}

    def add(self, sample: SwarmMetrics) -> None:
        self.samples += 1
        self._seconds += sample.seconds
        for name, value in figures_of(sample):
            if (sums := self._sums.get(name)) is not None:
                sums.add(value, sample.timestamp)
            else:
                self._sums[name] = _Sums(value, sample.timestamp)
        self._operations = sum_counts((self._operations, sample.operations))

    def point(self, at: datetime) -> MetricsPoint:
        return MetricsPoint(
            at=at,
            samples=self.samples,
            seconds=round(self._seconds, 3),
            figures={name: sums.figure() for name, sums in self._sums.items()},
            operations=self._operations,
        )


class Aggregation:
    """See the module's docstring.

    Args:
        window: Which samples count, and in which steps.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._slots: dict[int, _Slot] = {}
        self._all = _Slot()

    def add(self, sample: SwarmMetrics) -> None:
        """Take one in; the order does not matter."""
        number = self._window.number(sample.timestamp)
        if number is not None:
            self._slots.setdefault(number, _Slot()).add(sample)
            self._all.add(sample)

    def points(self) -> tuple[MetricsPoint, ...]:
        """One for each step; one without samples is a gap."""
        return tuple(
            self._slots.get(number, _Slot()).point(self._window.begin(number))
            for number in range(self._window.count)
        )

    def total(self) -> MetricsPoint:
        """Everything as one point."""
        return self._all.point(self._window.since)
