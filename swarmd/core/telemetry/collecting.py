"""One sample of everything (seed 000, section 6.1)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from swarmd.core import views
from swarmd.core.tables import Tables
from swarmd.core.telemetry.operations import Counts, ended_of
from swarmd.messages.enums import HealthStatus, InstanceStatus
from swarmd.messages.replies import ProviderCount
from swarmd.messages.telemetry import ProcessMetrics, ProviderMetrics, SwarmMetrics


def collect(
    tables: Tables,
    *,
    now: datetime,
    seconds: float,
    operations: Counts,
    health: bool,
    process: ProcessMetrics,
    journal: str = "",
    seq: int = 0,
) -> SwarmMetrics:
    """What is measured at one moment.

    Args:
        tables: The published tables.
        now: The moment.
        seconds: In which the operations ended.
        operations: What ended, by kind.
        health: Whether the health of instances is watched.
        process: The daemon's own process.
        journal: The journal that tells of the operations' ends.
        seq: Its last event of which they count.
    """
    counts = views.counts(tables, health=health)
    return SwarmMetrics(
        timestamp=now,
        seconds=round(seconds, 3),
        providers={each.name: _provider(each) for each in counts["providers"]},
        instances=counts["instances"],
        health=counts["health"],
        migrations=counts["migrations"],
        operations=dict(operations),
        process=process,
        journal=journal,
        seq=seq,
    )


def _provider(count: ProviderCount) -> ProviderMetrics:
    most = count.capabilities.max_instances if count.capabilities is not None else 0
    return ProviderMetrics(
        type=count.type,
        enabled=count.enabled,
        ok=count.ok,
        instance_count=count.instance_count,
        max_instances=most,
        utilization=count.instance_count / most if most > 0 else 0.0,
    )


def facts_of(sample: SwarmMetrics) -> dict[str, Any]:
    """What the journal keeps of a sample: little, since it comes often."""
    operations = sample.operations.values()
    return {
        "instances": sample.instances.total,
        "running": sample.instances.by_status.get(InstanceStatus.RUNNING, 0),
        "unhealthy": sample.health.by_status.get(HealthStatus.UNHEALTHY, 0),
        "operations": sum(map(ended_of, operations)),
        "failed": sum(each.failed for each in operations),
        "seconds": sample.seconds,
    }
