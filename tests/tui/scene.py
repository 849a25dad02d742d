"""The scene that snapshots are taken of: fixed ids, fixed times, a small class at work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from swarmd.messages.activity import Idle
from swarmd.messages.enums import (
    DaemonState,
    DesiredState,
    HealthStatus,
    InstanceStatus,
    Isolation,
    MigrationStatus,
    OperationKind,
    OperationState,
    Origin,
)
from swarmd.messages.instance import Instance, InstanceConfig, InstanceStats
from swarmd.messages.operation import Caller, Operation
from swarmd.messages.provider import (
    Capabilities,
    CpuLimits,
    InstanceLimits,
    MemoryLimits,
    ProviderHealth,
    ProviderInfo,
)
from swarmd.messages.replies import (
    HealthCounts,
    InstanceCounts,
    MigrationCounts,
    ProviderCount,
    StatusReport,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ANA = Caller(name="ana", uid=1000, gid=1000, pid=4711)


def clock() -> datetime:
    """The time of the scene."""
    return NOW


def ago(seconds: float) -> datetime:
    """So long before the scene's time."""
    return NOW - timedelta(seconds=seconds)


def instance(name: str, **facts: Any) -> Instance:
    """One instance: running and healthy for two hours unless said otherwise."""
    number = facts.pop("number", abs(hash(name)) % 1000)
    facts.setdefault("owner", "ana")
    facts.setdefault("provider", "local")
    facts.setdefault("provider_type", "docker" if facts["provider"] != "local" else "local")
    facts.setdefault("status", InstanceStatus.RUNNING)
    facts.setdefault("health", HealthStatus.HEALTHY)
    facts.setdefault("desired", DesiredState.RUNNING)
    facts.setdefault("id", f"01k{number:023d}")
    running = facts["status"] is InstanceStatus.RUNNING
    facts.setdefault("started_at", ago(7200) if running else None)
    facts.setdefault("url", f"http://127.0.0.1:{21000 + number}/")
    facts.setdefault("config", InstanceConfig(name=name))
    used = Idle(last_used=ago(60 * number), used_by="a browser")
    facts.setdefault("idle", used if running else None)
    return Instance(name=name, created_at=ago(86400), updated_at=ago(60), node="01node", **facts)


def stats(row: Instance) -> InstanceStats | None:
    """What one uses: the more the higher its number; the second is short of memory."""
    number = int(row.id[3:])
    if row.status is not InstanceStatus.RUNNING:
        return None
    return InstanceStats(
        id=row.id,
        cpu_cores=number / 10,
        memory_bytes=(950 if number == 2 else 100 + number) << 20,
        memory_limit_bytes=1000 << 20,
        taken_at=ago(10),
    )


def a_class() -> tuple[Instance, ...]:
    """Six instances in the states that matter."""
    return (
        instance("web", number=1),
        instance("docs", number=2, health=HealthStatus.DEGRADED),
        instance("homework", number=3, owner="ben", provider="box1"),
        instance(
            "homework",
            number=4,
            owner="cleo",
            provider="box1",
            status=InstanceStatus.ERROR,
            health=HealthStatus.UNHEALTHY,
        ),
        instance(
            "lab",
            number=5,
            owner="cleo",
            status=InstanceStatus.STOPPED,
            desired=DesiredState.STOPPED,
            health=HealthStatus.UNKNOWN,
        ),
        instance("agent-7", number=6, status=InstanceStatus.STARTING, health=HealthStatus.UNKNOWN),
    )


def provider(name: str, kind: str = "local", *, ok: bool = True, **facts: Any) -> ProviderInfo:
    """One provider, well unless said otherwise."""
    facts.setdefault("enabled", True)
    facts.setdefault("cordoned", False)
    facts.setdefault("instances", 3)
    message = "" if ok else "no engine answers on /var/run/docker.sock: Connection refused"
    latency = 0.012 if ok else None
    facts.setdefault(
        "health", ProviderHealth(ok=ok, message=message, version="20.10.24", latency=latency)
    )
    facts.setdefault("capabilities", CAPABILITIES if ok else None)
    return ProviderInfo(name=name, type=kind, priority=0.0, registered=False, **facts)


CAPABILITIES = Capabilities(
    supports_live_resize=True,
    supports_snapshotting=False,
    supports_multi_region=False,
    max_resources_per_instance=InstanceLimits(
        cpu=CpuLimits(cores=8, limit=8), memory=MemoryLimits(min=64 << 20, max=32 << 30)
    ),
    isolation=Isolation.CONTAINER,
    config_fields=("name", "resources.memory"),
    limits_enforced=("cpu", "memory", "pids"),
    max_instances=10,
)


def operation(number: int, kind: OperationKind, target: Instance, **facts: Any) -> Operation:
    """One operation: it has run for five seconds unless said otherwise."""
    facts.setdefault("state", OperationState.RUNNING)
    facts.setdefault("origin", Origin.USER)
    facts.setdefault("started_at", ago(5))
    facts.setdefault("created_at", ago(6))
    return Operation(
        id=f"01m{number:023d}",
        kind=kind,
        target=target.id,
        target_ref=target.ref,
        owner=target.owner,
        caller=ANA,
        **facts,
    )


def status(instances: Iterable[Instance], running: int = 0, **facts: Any) -> StatusReport:
    """The daemon, ready unless said otherwise."""
    rows = tuple(instances)
    by_status = Counter(row.status for row in rows)
    by_health = Counter(row.health for row in rows)
    facts.setdefault("state", DaemonState.READY)
    facts.setdefault("reasons", ())
    facts.setdefault("providers", ())
    assert all(isinstance(each, ProviderCount) for each in facts["providers"])
    return StatusReport(
        initialized=True,
        version="1.0.0",
        node="01node",
        pid=4242,
        started_at=ago(90000),
        journal="journal-1",
        last_seq=100,
        instances=InstanceCounts(
            total=len(rows),
            by_status={each: by_status[each] for each in InstanceStatus},
            by_provider=dict(Counter(row.provider for row in rows)),
        ),
        health=HealthCounts(
            enabled=True, by_status={each: by_health[each] for each in HealthStatus}
        ),
        migrations=MigrationCounts(enabled=False, by_status=dict.fromkeys(MigrationStatus, 0)),
        operations_running=running,
        strays=0,
        quarantined=0,
        **facts,
    )
