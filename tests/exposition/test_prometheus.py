"""The text for Prometheus, read by its official parser."""

from __future__ import annotations

import sys

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as open_metrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from swarmd.exposition.prometheus import render
from swarmd.messages.enums import HealthStatus, InstanceStatus, OperationKind
from swarmd.messages.replies import HealthCounts, InstanceCounts
from swarmd.messages.telemetry import (
    LATENCY_BOUNDS,
    OperationMetrics,
    ProcessMetrics,
    ProviderMetrics,
    SwarmMetrics,
)
from tests.core.telemetry.samples import DURATIONS, histogram, metrics, sample

CREATE = OperationKind.CREATE
OPEN = "application/openmetrics-text; version=1.0.0"


def everything(**fields: object) -> SwarmMetrics:
    box = ProviderMetrics(
        type="docker", enabled=True, ok=False, instance_count=3, max_instances=4, utilization=0.75
    )
    return sample(
        providers={"box-1": box},
        instances=InstanceCounts(
            total=5,
            by_status=dict.fromkeys(InstanceStatus, 0) | {InstanceStatus.RUNNING: 5},
            by_provider={"box-1": 3},
        ),
        health=HealthCounts(enabled=True, by_status={HealthStatus.HEALTHY: 4}),
        operations={CREATE: metrics(0.2, 0.3, 7.0, failed=1)},
        process=ProcessMetrics(threads=12, mailboxes=3, restarts=2),
        **fields,  # type: ignore[arg-type]
    )


def families(of: SwarmMetrics) -> dict[str, prometheus_client.Metric]:
    text, kind = render(of, "", "0.1.0")
    assert kind.startswith("text/plain")
    return {each.name: each for each in text_string_to_metric_families(text.decode())}


def value(of: prometheus_client.Metric, **labels: str) -> float:
    [found] = [each.value for each in of.samples if each.labels == labels]
    return float(found)


def test_the_official_parser_reads_every_family_with_help_and_type() -> None:
    found = families(everything())
    assert all(each.documentation and each.type != "unknown" for each in found.values())
    assert value(found["swarmd_instances"], status="running") == 5
    assert {s.labels["status"] for s in found["swarmd_instances"].samples} == set(InstanceStatus)
    assert value(found["swarmd_instances_health"], health="healthy") == 4
    assert value(found["swarmd_migrations"], status="failed") == 0
    for name, expected in (
        ("instances", 3), ("max_instances", 4), ("utilization_ratio", 0.75), ("enabled", 1),
        ("up", 0),
    ):  # fmt: skip
        family = found[f"swarmd_provider_{name}"]
        assert family.type == "gauge"
        assert value(family, provider="box-1", type="docker") == expected
    assert value(found["swarmd_threads"]) == 12
    assert value(found["swarmd_mailbox_messages"]) == 3
    assert value(found["swarmd_actor_restarts"]) == 2
    assert value(found["swarmd_build_info"], version="0.1.0") == 1
    assert found["process_resident_memory_bytes"].samples[0].value > 1 << 20


def test_operations_are_counters_and_a_real_histogram() -> None:
    found = families(everything())
    ended = found["swarmd_operations"]
    assert (ended.type, ended.samples[0].name) == ("counter", "swarmd_operations_total")
    assert value(ended, kind="create", outcome="succeeded") == 2
    assert value(ended, kind="create", outcome="failed") == 1
    assert value(ended, kind="create", outcome="cancelled") == 0
    took = found["swarmd_operation_duration_seconds"]
    assert took.type == "histogram"
    mine = [each for each in took.samples if each.labels["kind"] == "create"]
    buckets = {each.labels["le"]: each.value for each in mine if each.name.endswith("_bucket")}
    assert buckets["0.1"] == 0
    assert buckets["0.25"] == 1
    assert buckets["0.5"] == 2
    assert buckets["+Inf"] == 3
    assert len(buckets) == len(LATENCY_BOUNDS) + 1
    rest = {each.name.rpartition("_")[2]: each.value for each in mine}
    assert (rest["count"], rest["sum"]) == (3, 7.5)


def test_an_empty_daemon_has_a_text_too() -> None:
    found = families(sample())
    counters = {(s.labels["kind"], s.value) for s in found["swarmd_operations"].samples}
    assert counters == {(kind, 0.0) for kind in OperationKind}, "each begins with 0"
    assert found["swarmd_instances"].samples


def test_who_accepts_open_metrics_gets_it() -> None:
    text, kind = render(everything(), OPEN, "0.1.0")
    assert kind.startswith("application/openmetrics-text")
    parsed = open_metrics_families(text.decode())  # type: ignore[no-untyped-call]
    found = {each.name: each for each in parsed}
    assert found["swarmd_operations"].type == "counter"
    assert text.endswith(b"# EOF\n")


@given(st.lists(DURATIONS, max_size=30))
def test_buckets_never_fall_and_end_with_the_count(durations: list[float]) -> None:
    of = OperationMetrics(succeeded=len(durations), latency=histogram(*durations))
    took = families(sample(operations={CREATE: of}))["swarmd_operation_duration_seconds"]
    buckets = [
        each.value
        for each in took.samples
        if each.name.endswith("_bucket") and each.labels["kind"] == "create"
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == len(durations)


def test_names_that_need_quoting_come_through() -> None:
    odd = 'a"b\\c\nd'
    of = ProviderMetrics(
        type=odd, enabled=True, ok=True, instance_count=1, max_instances=0, utilization=0.0
    )
    found = families(sample(providers={"local": of}))
    assert value(found["swarmd_provider_up"], provider="local", type=odd) == 1


def test_nothing_is_kept_between_two_texts_nor_told_to_the_librarys_own_registry() -> None:
    before = prometheus_client.generate_latest()
    first, second = (families(everything()) for _ in range(2))
    assert first["swarmd_operations"].samples == second["swarmd_operations"].samples
    assert b"swarmd" not in prometheus_client.generate_latest()
    assert b"swarmd" not in before


@pytest.fixture
def without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = [name for name in sys.modules if name.startswith(("prometheus_client", "swarmd.expo"))]
    for name in loaded:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.usefixtures("without_the_library")
def test_the_daemon_loads_the_library_when_somebody_asks() -> None:
    from swarmd import wiring

    assert "prometheus_client" not in sys.modules
    text, _ = wiring.prometheus_text(everything(), "")
    assert b"swarmd_instances" in text
    assert "prometheus_client" in sys.modules
