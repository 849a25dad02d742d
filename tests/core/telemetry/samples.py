"""Samples for the tests of what is measured."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hypothesis import strategies as st

from swarmd.core.telemetry.histogram import observe
from swarmd.messages.enums import HealthStatus, InstanceStatus, MigrationStatus, OperationKind
from swarmd.messages.replies import HealthCounts, InstanceCounts, MigrationCounts
from swarmd.messages.telemetry import (
    Histogram,
    OperationMetrics,
    ProcessMetrics,
    ProviderMetrics,
    SwarmMetrics,
)
from tests.core.samples import NOW

DURATIONS = st.integers(0, 2_000_000).map(lambda milliseconds: milliseconds / 1024)
"""Seconds of which sums are exact, whatever their order."""


def histogram(*durations: float, **fields: Any) -> Histogram:
    found = Histogram(**fields)
    for each in durations:
        found = observe(found, each)
    return found


def metrics(*durations: float, failed: int = 0, cancelled: int = 0) -> OperationMetrics:
    ended = len(durations) - failed - cancelled
    return OperationMetrics(
        succeeded=ended, failed=failed, cancelled=cancelled, latency=histogram(*durations)
    )


def sample(
    at: datetime = NOW,
    *,
    running: int = 0,
    unhealthy: int = 0,
    providers: dict[str, ProviderMetrics] | None = None,
    operations: dict[OperationKind, OperationMetrics] | None = None,
    **fields: Any,
) -> SwarmMetrics:
    values: dict[str, Any] = {
        "timestamp": at,
        "seconds": 60.0,
        "providers": providers or {},
        "instances": InstanceCounts(
            total=running,
            by_status={InstanceStatus.RUNNING: running},
            by_provider={"local": running},
        ),
        "health": HealthCounts(enabled=True, by_status={HealthStatus.UNHEALTHY: unhealthy}),
        "migrations": MigrationCounts(enabled=False, by_status={MigrationStatus.FAILED: 0}),
        "operations": operations or {},
        "process": ProcessMetrics(rss_bytes=1000 * running),
    }
    return SwarmMetrics(**(values | fields))
