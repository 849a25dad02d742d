"""One sample of the tables."""

from __future__ import annotations

from swarmd.core.tables import Change, ProviderView
from swarmd.core.telemetry.collecting import collect, facts_of
from swarmd.messages import codec
from swarmd.messages.enums import HealthStatus, InstanceStatus, MigrationStatus, OperationKind
from swarmd.messages.provider import ProviderHealth, ProviderRecord
from swarmd.messages.telemetry import ProcessMetrics, SwarmMetrics
from tests.core.desk import LOCAL, tables_of
from tests.core.samples import NOW, caps, instance
from tests.core.telemetry.samples import metrics

CREATE = OperationKind.CREATE


def collected() -> SwarmMetrics:
    tables = tables_of(
        instance(1, health=HealthStatus.UNHEALTHY),
        instance(2, name="api", health=HealthStatus.HEALTHY),
        instance(3, name="old", status=InstanceStatus.DELETED),
        instance(4, name="box", provider="box", provider_type="docker"),
    )
    box = ProviderRecord(name="box", type="docker")
    off = ProviderRecord(name="off", type="local", enabled=False)
    full = ProviderView(ProviderHealth(ok=False, message="ill"), caps(max_instances=4))
    tables = tables.apply(Change(providers=(LOCAL, box, off), views={"box": full}))
    return collect(
        tables,
        now=NOW,
        seconds=59.99999,
        operations={CREATE: metrics(1.0, 2.0, failed=1)},
        health=True,
        process=ProcessMetrics(rss_bytes=1 << 20, threads=12),
        journal="j",
        seq=7,
    )


def test_everything_is_counted() -> None:
    found = collected()
    assert (found.timestamp, found.seconds, found.journal, found.seq) == (NOW, 60.0, "j", 7)
    assert found.instances.total == 4
    assert found.instances.by_status[InstanceStatus.RUNNING] == 3
    assert set(found.instances.by_status) == set(InstanceStatus)
    assert found.instances.by_provider == {"box": 1, "local": 3, "off": 0}
    assert found.health.enabled
    assert found.health.by_status[HealthStatus.UNHEALTHY] == 1
    assert sum(found.health.by_status.values()) == 4
    assert set(found.migrations.by_status) == set(MigrationStatus)
    assert found.operations == {CREATE: metrics(1.0, 2.0, failed=1)}
    assert found.process.threads == 12


def test_a_provider_is_as_full_as_its_most_instances_say() -> None:
    providers = collected().providers
    assert list(providers) == ["box", "local", "off"]
    box, local, off = providers.values()
    assert (box.type, box.enabled, box.ok) == ("docker", True, False)
    assert (box.instance_count, box.max_instances, box.utilization) == (1, 4, 0.25)
    assert (local.instance_count, local.max_instances, local.utilization) == (3, 0, 0.0)
    assert (off.enabled, off.ok, off.utilization) == (False, False, 0.0)


def test_the_journal_keeps_little_of_it() -> None:
    facts = facts_of(collected())
    assert facts == {
        "instances": 4,
        "running": 3,
        "unhealthy": 1,
        "operations": 2,
        "failed": 1,
        "seconds": 60.0,
    }
    assert len(codec.encode(facts)) < 150


def test_it_comes_back_from_the_disk_as_it_was() -> None:
    found = collected()
    assert codec.decoder(SwarmMetrics).decode(codec.encode(found)) == found
