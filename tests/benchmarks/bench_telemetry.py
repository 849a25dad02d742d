"""What measuring costs: a sample of 10,000 instances, and the question about ten days of them.

A sample is taken once a minute, in a thread of its own; while Python's threads take turns every
5 ms, no other waits longer for it. The yardstick of a report is decoding the same lines.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from swarmd.core.tables import Tables
from swarmd.core.telemetry.aggregation import Aggregation
from swarmd.core.telemetry.collecting import collect
from swarmd.core.telemetry.window import window_of
from swarmd.messages import codec
from swarmd.messages.enums import HealthStatus, InstanceStatus, OperationKind
from swarmd.messages.requests import DaemonMetrics
from swarmd.messages.telemetry import ProcessMetrics, SwarmMetrics
from swarmd.messages.units import Duration
from swarmd.store.files import Files
from swarmd.store.metrics import SAMPLES_PER_FILE, MetricsFiles
from swarmd.store.quarantine import Quarantine
from tests.benchmarks.figure import Figure, median_seconds
from tests.core.desk import LOCAL
from tests.core.samples import instance
from tests.core.telemetry.samples import metrics

COUNT = 10_000
SAMPLE_MS = 15.0
SAMPLE_BYTES = 4096
FILES = 100
REPORT_RATIO = 10.0
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def tables() -> Tables:
    """Instances of every status and health."""
    statuses, healths = list(InstanceStatus), list(HealthStatus)
    rows = [
        instance(
            number,
            name=f"n{number}",
            status=statuses[number % len(statuses)],
            health=healths[number % len(healths)],
        )
        for number in range(COUNT)
    ]
    return Tables.build(rows, (), (LOCAL,), 0)


def sample_of(of: Tables, at: datetime) -> SwarmMetrics:
    """A sample in which operations of four kinds ended."""
    kinds = tuple(OperationKind)[:4]
    return collect(
        of,
        now=at,
        seconds=60.0,
        operations={kind: metrics(0.1, 0.4, 3.0) for kind in kinds},
        health=True,
        process=ProcessMetrics(rss_bytes=40 << 20, threads=20),
    )


def fill(folder: Path, sample: SwarmMetrics) -> list[bytes]:
    """A hundred full files of one sample a minute, the last of them now; their lines."""
    told: list[bytes] = []
    minutes = range(FILES * SAMPLES_PER_FILE, 0, -1)
    lines = [
        codec.encode(msgspec.structs.replace(sample, timestamp=NOW - timedelta(minutes=minute)))
        for minute in minutes
    ]
    for start in range(0, len(lines), SAMPLES_PER_FILE):
        at = NOW - timedelta(minutes=minutes[start])
        path = folder / f"metrics-{at:%Y%m%dT%H%M%S.%f}Z.jsonl"
        path.write_bytes(b"\n".join(lines[start : start + SAMPLES_PER_FILE]) + b"\n")
        told += lines[start : start + SAMPLES_PER_FILE]
    return told


def report(kept: MetricsFiles, since: str, step: float) -> int:
    """What ``daemon.metrics`` does; how many samples it met."""
    window = window_of(DaemonMetrics(since=since, step=Duration(step)), NOW)
    aggregation = Aggregation(window)
    for sample in kept.read(window.since, window.until):
        aggregation.add(sample)
    codec.encode(aggregation.points())
    return aggregation.total().samples


def cpu_seconds(work: Callable[[], object]) -> float:
    """Processor time that it takes once: what else the machine does makes it no slower."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def figures() -> Iterator[Figure]:
    """All of them."""
    of = tables()
    cost = median_seconds(lambda: sample_of(of, NOW), 31)
    yield Figure(f"a sample of {COUNT:,} instances", cost * 1e3, "ms", SAMPLE_MS)
    sample = sample_of(of, NOW)
    yield Figure("bytes of a sample", len(codec.encode(sample)), "B", SAMPLE_BYTES)
    with tempfile.TemporaryDirectory(prefix="swarmd-bench-") as place:
        folder = Path(place) / "metrics"
        folder.mkdir()
        lines = fill(folder, sample)
        kept = MetricsFiles(Files(), str(folder), Quarantine(Files(), place, str), FILES)
        opened = median_seconds(kept.open, 5)
        yield Figure(f"looking at {FILES} files at a start", opened * 1e3, "ms", 100.0)
        yield Figure(
            "a report of the last hour",
            median_seconds(lambda: report(kept, "1h", 120), 9) * 1e3, "ms", 100.0,
        )  # fmt: skip
        assert report(kept, "10d", 21600) == len(lines)
        decode = codec.decoder(SwarmMetrics).decode
        ours, bare = [], []
        for _ in range(3):
            ours.append(cpu_seconds(lambda: report(kept, "10d", 21600)))
            bare.append(cpu_seconds(lambda: [None for line in lines if decode(line) is None]))
        mine, theirs = statistics.median(ours), statistics.median(bare)
        yield Figure(
            f"processor time of a report of ten days ({len(lines):,} samples)",
            mine, "s", REPORT_RATIO * theirs,
            f"decoding alone: {theirs:.2f} s; ratio {mine / theirs:.2f}",
        )  # fmt: skip


if __name__ == "__main__":
    for figure in figures():
        print(figure)
