"""Samples over time: each figure's min, mean, max and last; operations and histograms added up.

Samples are taken in one by one, so that days of them need no memory; those of one step are
looked at some at a time, figure by figure, which is several times as fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

from swarmd.core.telemetry.operations import sum_counts
from swarmd.core.telemetry.window import Window
from swarmd.messages.enums import OperationKind
from swarmd.messages.telemetry import (
    Figure,
    MetricsPoint,
    OperationMetrics,
    ProcessMetrics,
    ProviderMetrics,
    SwarmMetrics,
)

_AT_ONCE = 256
_WHEN = attrgetter("timestamp")


class _Sums:
    """One figure on its way."""

    __slots__ = ("at", "count", "last", "least", "most", "total")

    def __init__(self, values: Sequence[float], at: datetime) -> None:
        self.count, self.total = len(values), float(sum(values))
        self.least, self.most, self.last = min(values), max(values), values[-1]
        self.at = at

    def add(self, other: _Sums) -> None:
        self.count += other.count
        self.total += other.total
        self.least, self.most = min(self.least, other.least), max(self.most, other.most)
        if other.at >= self.at:
            self.at, self.last = other.at, other.last

    def copy(self) -> _Sums:
        made = _Sums((self.last,), self.at)
        made.count, made.total, made.least, made.most = (
            self.count,
            self.total,
            self.least,
            self.most,
        )
        return made

    def figure(self) -> Figure:
        # Dividing rounds: a mean is never outside of what it is the mean of.
        mean = min(self.most, max(self.least, self.total / self.count))
        return Figure(min=self.least, mean=mean, max=self.most, last=self.last)


Group = Sequence[Mapping[Any, float]]
"""The same kind of figures of several samples."""


def _groups(samples: Sequence[SwarmMetrics]) -> Iterator[tuple[str, Group]]:
    """The figures of samples, by what their names begin with."""
    yield "instances.", [{"total": each.instances.total} for each in samples]
    yield "instances.status.", [each.instances.by_status for each in samples]
    yield "instances.provider.", [each.instances.by_provider for each in samples]
    yield "health.", [each.health.by_status for each in samples]
    yield "migrations.", [each.migrations.by_status for each in samples]
    yield "providers.", [_of_providers(each.providers) for each in samples]
    yield "process.", [_of_process(each.process) for each in samples]


def _of_providers(providers: Mapping[str, ProviderMetrics]) -> dict[str, float]:
    shares = {f"{name}.utilization": each.utilization for name, each in providers.items()}
    return shares | {f"{name}.ok": float(each.ok) for name, each in providers.items()}


def _of_process(process: ProcessMetrics) -> dict[str, float]:
    return {field: getattr(process, field) for field in process.__struct_fields__}


def _figures(samples: Sequence[SwarmMetrics]) -> Iterator[tuple[str, _Sums]]:
    """Each figure over samples that are in order."""
    newest = samples[-1].timestamp
    for begin, group in _groups(samples):
        names = list(group[0])
        if all(list(each) == names for each in group):
            # Nearly always: no figure has to be looked up, which the words' hashes make slow.
            columns = zip(*(each.values() for each in group), strict=True)
            for name, values in zip(names, columns, strict=True):
                yield f"{begin}{name}", _Sums(values, newest)
            continue
        for name in dict.fromkeys(key for each in group for key in each):
            have = [number for number, each in enumerate(group) if name in each]
            values = tuple(group[number][name] for number in have)
            yield f"{begin}{name}", _Sums(values, samples[have[-1]].timestamp)


class _Slot:
    """One step on its way."""

    __slots__ = ("operations", "samples", "seconds", "sums")

    def __init__(self) -> None:
        self.samples = 0
        self.seconds = 0.0
        self.sums: dict[str, _Sums] = {}
        self.operations: dict[OperationKind, OperationMetrics] = {}

    def add(self, other: _Slot) -> None:
        self.samples += other.samples
        self.seconds += other.seconds
        for name, sums in other.sums.items():
            if (mine := self.sums.get(name)) is not None:
                mine.add(sums)
            else:
                self.sums[name] = sums.copy()
        self.operations = sum_counts((self.operations, other.operations))

    def point(self, at: datetime) -> MetricsPoint:
        return MetricsPoint(
            at=at,
            samples=self.samples,
            seconds=round(self.seconds, 3),
            figures={name: sums.figure() for name, sums in self.sums.items()},
            operations=self.operations,
        )


def _slot_of(samples: Sequence[SwarmMetrics]) -> _Slot:
    slot = _Slot()
    slot.samples, slot.seconds = len(samples), sum(each.seconds for each in samples)
    slot.sums = dict(_figures(sorted(samples, key=_WHEN)))
    slot.operations = sum_counts([each.operations for each in samples])
    return slot


class Aggregation:
    """See the module's docstring.

    Args:
        window: Which samples count, and in which steps.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._slots: dict[int, _Slot] = {}
        self._taken: list[SwarmMetrics] = []
        self._number = 0

    def add(self, sample: SwarmMetrics) -> None:
        """Take one in; the order does not matter."""
        number = self._window.number(sample.timestamp)
        if number is None:
            return
        if number != self._number or len(self._taken) >= _AT_ONCE:
            self._flush()
        self._number = number
        self._taken.append(sample)

    def _flush(self) -> None:
        """They come in order, nearly always: so many of one step lie together."""
        if self._taken:
            self._slots.setdefault(self._number, _Slot()).add(_slot_of(self._taken))
            self._taken = []

    def points(self) -> tuple[MetricsPoint, ...]:
        """One for each step; one without samples is a gap."""
        self._flush()
        return tuple(
            self._slots.get(number, _Slot()).point(self._window.begin(number))
            for number in range(self._window.count)
        )

    def total(self) -> MetricsPoint:
        """Everything as one point."""
        self._flush()
        everything = _Slot()
        for slot in self._slots.values():
            everything.add(slot)
        return everything.point(self._window.since)
