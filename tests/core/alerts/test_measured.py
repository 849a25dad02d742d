"""The thresholds of seed 000, section 6.3: a table for each, and what is on either side."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.alerts.condition import MEASURED, Condition
from swarmd.core.alerts.measured import MOST_SAMPLES, judge, within
from swarmd.core.telemetry.histogram import quantile
from swarmd.messages.alert import AlertKey
from swarmd.messages.config import AlertingConfig
from swarmd.messages.enums import AlertType, HealthStatus, MigrationStatus, OperationKind
from swarmd.messages.telemetry import SwarmMetrics
from swarmd.messages.units import Duration
from tests.core.alerts.samples import ended, histogram, provider, sample

CONFIG = AlertingConfig()
START, CREATE = OperationKind.START, OperationKind.CREATE
UTILIZATION = (AlertType.PROVIDER_UTILIZATION, "local")
ERRORS: AlertKey = (AlertType.ERROR_RATE, "")
LATENCY: AlertKey = (AlertType.OPERATION_LATENCY, "")
UNHEALTHY: AlertKey = (AlertType.UNHEALTHY_INSTANCES, "")
MIGRATIONS: AlertKey = (AlertType.FAILED_MIGRATIONS, "")


def found(*samples: SwarmMetrics, active: set[AlertKey] | None = None) -> dict[AlertKey, Condition]:
    return dict(judge(samples, active or set(), CONFIG).conditions)


def ill(count: int, **more: Any) -> SwarmMetrics:
    return sample(by_health={HealthStatus.UNHEALTHY: count}, **more)


def moved(**counts: int) -> SwarmMetrics:
    return sample(migrations={MigrationStatus(key): count for key, count in counts.items()})


def did(**counts: Any) -> SwarmMetrics:
    return sample(operations={START: ended(**counts)})


@pytest.mark.parametrize(
    ("seen", "key", "value"),
    [
        (sample(providers=[provider(9, 10)]), UTILIZATION, 0.9),
        (sample(providers=[provider(8, 10)]), UTILIZATION, None),  # at it is not above it
        (sample(providers=[provider(9, 10, enabled=False)]), UTILIZATION, None),
        (sample(providers=[provider(900, 0)]), UTILIZATION, None),  # 0: as many as you like
        (ill(3), UNHEALTHY, 0.3),
        (ill(2), UNHEALTHY, None),
        (ill(2, trash=5), UNHEALTHY, 0.4),  # nothing in the trash is ill, nor is it well
        (ill(0, total=0), UNHEALTHY, None),
        (ill(0, total=5, trash=5), UNHEALTHY, None),
        (moved(failed=1, completed=3), MIGRATIONS, 0.25),
        (moved(failed=1, completed=4), MIGRATIONS, None),
        (moved(timed_out=1, completed=1, pending=1, cancelled=1), MIGRATIONS, 0.25),
        (sample(), MIGRATIONS, None),
        (did(ok=8, failed=2), ERRORS, 0.2),
        (did(ok=8, failed=8, refused=8), ERRORS, None),  # mistakes of those who asked
        (did(ok=8, failed=10, refused=8), ERRORS, 0.2),
        (did(ok=9, failed=1), ERRORS, None),
        (did(failed=1), ERRORS, None),  # one failure of one is no alert
        (did(failed=4), ERRORS, None),
        (did(failed=5), ERRORS, 1.0),
        (did(failed=1, cancelled=9), ERRORS, None),  # who cancels has not failed
        (did(ok=9, failed=1, cancelled=90), ERRORS, None),
        (did(ok=10, took=29.0), LATENCY, None),
        (did(ok=10, took=31.0), LATENCY, 31.0),
        (did(ok=4, took=100.0), LATENCY, None),
    ],
)
def test_thresholds(seen: SwarmMetrics, key: AlertKey, value: float | None) -> None:
    conditions = found(seen)
    if value is None:
        assert key not in conditions
        return
    details = conditions[key].details
    assert details["value"] == pytest.approx(value)
    assert details["threshold"] > 0
    assert set(conditions) == {key}


def test_messages_are_the_seeds() -> None:
    seen = sample(
        providers=[provider(9, 10)],
        by_health={HealthStatus.UNHEALTHY: 3},
        migrations={MigrationStatus.FAILED: 2, MigrationStatus.COMPLETED: 2},
    )
    said = {key[0].value: each.message for key, each in found(seen).items()}
    assert said == {
        "provider_utilization": "Provider local utilization is high: 90.00 % (9 of 10 instances)",
        "unhealthy_instances": "High number of unhealthy instances: 3 out of 10",
        "failed_migrations": "High number of failed migrations: 2 out of 4",
    }


def test_one_alert_for_each_provider() -> None:
    seen = sample(
        providers=[provider(9, 10), provider(10, 10, name="box"), provider(1, 9, name="c")]
    )
    assert {key[1] for key in found(seen)} == {"local", "box"}


@pytest.mark.parametrize(("used", "raised", "stays"), [(9, True, True), (8, False, True),
                                                       (73, False, True), (72, False, False),
                                                       (1, False, False)])  # fmt: skip
def test_what_has_an_alert_keeps_it_until_it_is_clearly_below(
    used: int, raised: bool, stays: bool
) -> None:
    seen = sample(providers=[provider(used, 10 if used < 10 else 100)])
    assert (UTILIZATION in found(seen)) is raised
    assert (UTILIZATION in found(seen, active={UTILIZATION})) is stays


def test_operations_of_the_whole_window_count() -> None:
    few = [sample(minute, operations={CREATE: ended(ok=1), START: ended(failed=1)}) for minute in
           range(3)]  # fmt: skip
    assert not found(few[0])
    assert found(*few)[ERRORS].details["ended_operations"] == 6


def test_a_window_that_has_not_filled_yet_does_not_end_what_goes_on() -> None:
    """A restart of the daemon begins with an empty window."""
    active = {ERRORS, LATENCY, UNHEALTHY}
    begun = judge([sample(0)], active, CONFIG)
    assert begun.unsure == {ERRORS, LATENCY}
    whole = judge([sample(minute) for minute in range(10)], active, CONFIG)
    assert whole.unsure == frozenset()
    assert not whole.conditions
    enough = judge([did(ok=20)], active, CONFIG)
    assert enough.unsure == frozenset()


def test_the_window_ends_with_the_newest_sample() -> None:
    samples = [sample(minute) for minute in (9, 0, 5, 11)]
    kept = within(samples, Duration(600))
    assert [each.timestamp.minute for each in kept] == [5, 9, 11]
    assert within((), 60) == ()


def test_a_window_without_end_is_bounded() -> None:
    samples = [sample(minute) for minute in range(MOST_SAMPLES + 9)]
    kept = within(samples, 1e9)
    assert len(kept) == MOST_SAMPLES
    assert kept[-1] == samples[-1]
    endless = AlertingConfig(window=Duration(1e9))
    assert judge(kept, {ERRORS}, endless).unsure == frozenset()


@given(
    st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.integers(0, 12),
    st.sets(st.sampled_from([UTILIZATION, ERRORS, LATENCY, UNHEALTHY, MIGRATIONS])),
)  # fmt: skip
def test_it_never_says_anything_of_what_it_does_not_judge(
    used: int, ill_ones: int, ok: int, failed: int, active: set[AlertKey]
) -> None:
    active |= {(AlertType.PROVIDER_DOWN, "local"), (AlertType.DISK_FULL, "state")}
    seen = sample(
        providers=[provider(used, 12)],
        by_health={HealthStatus.UNHEALTHY: ill_ones},
        operations={START: ended(ok=ok, failed=failed)},
    )
    sight = judge([seen], active, CONFIG)
    assert sight.judged == MEASURED
    assert {key[0] for key in sight.unsure | sight.conditions.keys()} <= MEASURED
    assert sight.unsure <= active
    assert not sight.unsure & sight.conditions.keys()


# --- latency ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "p95"),
    [
        ((), None),
        ((3.0,), 3.0),
        ((1.0,) * 100, 1.0),
        ((400.0,) * 3, 400.0),  # beyond the last bound
        ((0.1,) * 99 + (500.0,), 0.1),
        ((0.1,) * 90 + (500.0,) * 10, 500.0),
    ],
)
def test_the_p95_is_never_outside_of_what_was_seen(
    seconds: tuple[float, ...], p95: float | None
) -> None:
    found = quantile(histogram(*seconds), 0.95)
    assert found == (None if p95 is None else pytest.approx(p95, rel=0.5))


@given(st.lists(st.floats(0.001, 900), min_size=1, max_size=60))
def test_the_p95_lies_in_its_bucket(seconds: list[float]) -> None:
    counted = histogram(*seconds)
    found = quantile(counted, 0.95)
    assert found is not None
    assert min(seconds) <= found <= max(seconds)
    exact = sorted(seconds)[-(-95 * len(seconds) // 100) - 1]
    edges = (0.0, *counted.bounds, max(seconds))
    low = max(edge for edge in edges if edge < exact)
    high = min((edge for edge in counted.bounds if edge >= exact), default=max(seconds))
    assert low <= found <= max(high, max(seconds) if exact > counted.bounds[-1] else high)
