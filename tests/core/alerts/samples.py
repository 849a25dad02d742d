"""Samples, tables and conditions for the tests of alerts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from swarmd.core.alerts.book import carry_out
from swarmd.core.alerts.condition import Condition
from swarmd.core.alerts.episodes import Plan
from swarmd.core.tables import Change, Tables
from swarmd.messages.alert import Alert, AlertKey
from swarmd.messages.enums import (
    AlertType,
    DesiredState,
    HealthStatus,
    InstanceStatus,
    MigrationStatus,
    OperationKind,
)
from swarmd.messages.instance import Instance, InstanceConfig
from swarmd.messages.provider import ProviderRecord
from swarmd.messages.replies import HealthCounts, InstanceCounts, MigrationCounts
from swarmd.messages.telemetry import (
    LATENCY_BOUNDS,
    Histogram,
    OperationMetrics,
    ProviderMetrics,
    SwarmMetrics,
)

AT = datetime(2026, 1, 1, tzinfo=UTC)
LOCAL = ProviderRecord(name="local", type="local")


def histogram(*seconds: float) -> Histogram:
    """What these durations are counted as."""
    counts = [0] * (len(LATENCY_BOUNDS) + 1)
    for each in seconds:
        counts[next((i for i, b in enumerate(LATENCY_BOUNDS) if each <= b), -1)] += 1
    return Histogram(
        counts=tuple(counts),
        sum=sum(seconds),
        min=min(seconds, default=None),
        max=max(seconds, default=None),
    )


def ended(
    ok: int = 0, failed: int = 0, cancelled: int = 0, took: float = 1.0, refused: int = 0
) -> OperationMetrics:
    """So many operations, each of which took so long."""
    return OperationMetrics(
        succeeded=ok, failed=failed, cancelled=cancelled, refused=refused,
        latency=histogram(*[took] * (ok + failed)),
    )  # fmt: skip


def sample(
    minute: int = 0,
    *,
    providers: Iterable[ProviderMetrics] = (),
    by_health: dict[HealthStatus, int] | None = None,
    total: int = 10,
    trash: int = 0,
    migrations: dict[MigrationStatus, int] | None = None,
    operations: dict[OperationKind, OperationMetrics] | None = None,
) -> SwarmMetrics:
    """The sample of this minute."""
    return SwarmMetrics(
        timestamp=AT + timedelta(minutes=minute),
        seconds=60.0,
        providers={each.type: each for each in providers},
        instances=InstanceCounts(
            total=total, by_status={InstanceStatus.DELETED: trash}, by_provider={}
        ),
        health=HealthCounts(enabled=True, by_status=by_health or {}),
        migrations=MigrationCounts(enabled=True, by_status=migrations or {}),
        operations=operations or {},
    )


def provider(used: int, most: int, *, enabled: bool = True, name: str = "local") -> ProviderMetrics:
    return ProviderMetrics(
        type=name, enabled=enabled, ok=True, instance_count=used, max_instances=most,
        utilization=used / most if most else 0.0,
    )  # fmt: skip


def instance(number: int = 1, **changes: Any) -> Instance:
    fields: dict[str, Any] = {
        "id": f"i{number}",
        "name": f"web{number}",
        "owner": "ana",
        "config": InstanceConfig(name=f"web{number}"),
        "provider": "local",
        "provider_type": "local",
        "desired": DesiredState.RUNNING,
        "status": InstanceStatus.RUNNING,
        "health": HealthStatus.HEALTHY,
        "created_at": AT,
        "updated_at": AT,
        "node": "n1",
    }
    return Instance(**(fields | changes))


def tables_of(*rows: Instance, providers: Sequence[ProviderRecord] = (LOCAL,)) -> Tables:
    return Tables.build(rows, (), providers, 0)


def condition(target: str = "local", message: str = "it is down", **more: Any) -> Condition:
    return Condition(AlertType.PROVIDER_DOWN, message, subject=target, target=target, **more)


class Ledger:
    """Tables that plans are carried out on, and every event that came of it."""

    def __init__(self, sinks: Sequence[str] = ("log",), kept: int = 50) -> None:
        self.tables = tables_of()
        self.sinks, self.kept = sinks, kept
        self.now = AT
        self.events: list[tuple[str, str]] = []
        self._ids = itertools.count(1)

    @property
    def active(self) -> dict[AlertKey, Alert]:
        return {alert.key: alert for alert in self.tables.alerts.active}

    def carry_out(self, plan: Plan, **more: Any) -> Change:
        self.now += timedelta(seconds=1)
        change = carry_out(
            self.tables,
            plan,
            now=self.now,
            new_id=lambda: f"a{next(self._ids):04}",
            sinks=self.sinks,
            kept=self.kept,
            **more,
        )
        self.apply(change)
        return change

    def apply(self, change: Change) -> None:
        self.tables = self.tables.apply(change)
        self.events += [(each.data["id"], each.data["state"]) for each in change.events]

    def raise_(self, *targets: str) -> list[Alert]:
        self.carry_out(Plan(raised=tuple(condition(each) for each in targets)))
        return [self.active[AlertType.PROVIDER_DOWN, each] for each in targets]

    def resolve(self, *targets: str) -> None:
        self.carry_out(Plan(resolved=tuple((AlertType.PROVIDER_DOWN, each) for each in targets)))
