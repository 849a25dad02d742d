"""Samples over time: min, mean, max and last; a gap is a gap; no operation is lost."""

from __future__ import annotations

import random
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.telemetry.aggregation import Aggregation
from swarmd.core.telemetry.operations import ended_of, sum_counts
from swarmd.core.telemetry.window import window_of
from swarmd.messages.enums import OperationKind
from swarmd.messages.requests import DaemonMetrics
from swarmd.messages.telemetry import Figure, MetricsPoint, ProviderMetrics, SwarmMetrics
from swarmd.messages.units import Duration
from tests.core.samples import NOW, later
from tests.core.telemetry.samples import DURATIONS, metrics, sample

CREATE, STOP = OperationKind.CREATE, OperationKind.STOP
BOX = ProviderMetrics(
    type="docker", enabled=True, ok=True, instance_count=3, max_instances=4, utilization=0.75
)


def aggregated(
    *samples: SwarmMetrics, since: str = "5m", step: float = 60
) -> tuple[tuple[MetricsPoint, ...], MetricsPoint]:
    found = Aggregation(window_of(DaemonMetrics(since=since, step=Duration(step)), NOW))
    for each in samples:
        found.add(each)
    return found.points(), found.total()


def test_a_step_has_the_least_the_most_the_mean_and_the_last() -> None:
    points, total = aggregated(
        sample(later(-170), running=4),
        sample(later(-160), running=1),
        sample(later(-150), running=2),
    )
    figure = Figure(min=1, mean=7 / 3, max=4, last=2)
    assert points[2].figures["instances.total"] == figure
    assert points[2].figures["instances.status.running"] == figure
    assert points[2].figures["instances.provider.local"] == figure
    assert points[2].figures["process.rss_bytes"].max == 4000
    assert (points[2].samples, points[2].seconds) == (3, 180.0)
    assert total.figures == points[2].figures


def test_a_step_without_samples_is_a_gap_and_not_a_zero() -> None:
    points, total = aggregated(sample(later(-290), running=1), sample(NOW, running=3))
    assert [each.samples for each in points] == [1, 0, 0, 0, 1]
    assert [each.at for each in points] == [later(-300 + 60 * n) for n in range(5)]
    assert all(points[n] == MetricsPoint(at=later(-300 + 60 * n), samples=0) for n in (1, 2, 3))
    assert total.figures["instances.total"] == Figure(min=1, mean=2, max=3, last=3)


def test_the_last_is_the_newest_in_whatever_order_they_come() -> None:
    samples = [sample(later(-second), running=second) for second in range(1, 50)]
    expected = aggregated(*samples)
    random.Random(7).shuffle(samples)
    assert aggregated(*samples) == expected
    assert expected[1].figures["instances.total"].last == 1


def test_what_lies_outside_does_not_count() -> None:
    points, total = aggregated(sample(later(-301)), sample(later(1)))
    assert total.samples == sum(each.samples for each in points) == 0


def test_a_provider_that_came_and_went_has_figures_of_its_own_time() -> None:
    points, total = aggregated(
        sample(later(-250), providers={"box": BOX}), sample(later(-10), running=1)
    )
    name = "providers.box.utilization"
    assert points[0].figures[name] == Figure(min=0.75, mean=0.75, max=0.75, last=0.75)
    assert points[0].figures["providers.box.ok"].last == 1.0
    assert name not in points[4].figures
    assert total.figures[name].last == 0.75


def test_a_provider_may_come_and_go_within_a_step() -> None:
    ill = msgspec.structs.replace(BOX, ok=False, utilization=0.25)
    points, _ = aggregated(
        sample(later(-50)),
        sample(later(-40), providers={"box": BOX}),
        sample(later(-30), providers={"box": ill, "other": BOX}),
        sample(later(-20)),
    )
    figures = points[4].figures
    assert figures["providers.box.utilization"] == Figure(min=0.25, mean=0.5, max=0.75, last=0.25)
    assert figures["providers.other.ok"] == Figure(min=1.0, mean=1.0, max=1.0, last=1.0)
    assert figures["instances.total"].last == 0
    assert points[4].samples == 4


SAMPLES = st.lists(
    st.tuples(st.integers(-400, 5), *[st.lists(DURATIONS, max_size=5) for _ in range(2)]),
    max_size=30,
)  # fmt: skip


@given(SAMPLES, st.sampled_from([1.0, 7.0, 60.0, 3600.0]))
def test_no_operation_is_lost_and_none_is_told_twice(
    rows: list[tuple[int, list[float], list[float]]], step: float
) -> None:
    samples = [
        sample(later(at), operations={CREATE: metrics(*created), STOP: metrics(*stopped)})
        for at, created, stopped in rows
    ]
    points, total = aggregated(*samples, step=step)
    begin = points[0].at
    inside = [each for each in samples if begin <= each.timestamp <= NOW]
    assert total.operations == sum_counts([each.operations for each in inside])
    assert sum_counts([each.operations for each in points]) == total.operations
    assert sum(each.samples for each in points) == total.samples == len(inside)
    assert total.seconds == pytest.approx(sum(each.seconds for each in inside))
    durations = sum(
        len(one) + len(two) for at, one, two in rows if begin <= later(at) <= NOW
    )  # fmt: skip
    assert sum(map(ended_of, total.operations.values())) == durations


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=20))
def test_a_mean_lies_between_the_least_and_the_most(values: list[float]) -> None:
    samples = [
        sample(NOW - timedelta(seconds=number), seconds=1.0, providers={
            "box": ProviderMetrics(type="d", enabled=True, ok=True, instance_count=1,
                                   max_instances=1, utilization=value)})
        for number, value in enumerate(values)
    ]  # fmt: skip
    figure = aggregated(*samples)[1].figures["providers.box.utilization"]
    assert figure.min == min(values) <= figure.mean <= figure.max == max(values)
    assert figure.last == values[0]
