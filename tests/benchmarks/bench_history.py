"""What a watched instance costs in memory: its record, its track and its whole history."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from swarmd.actors.wards import Wards
from swarmd.core.health.facts import Seen, Usage
from swarmd.core.health.schedule import Schedule
from swarmd.core.health.verdict import verdict
from swarmd.core.tables import Tables
from swarmd.messages.codec import decoder, encode
from swarmd.messages.config import HealthConfig
from swarmd.messages.enums import DesiredState, InstanceStatus
from swarmd.messages.instance import Instance, InstanceConfig, Resources
from swarmd.messages.units import Size
from tests.benchmarks.figure import Figure

INSTANCES = 400
POINTS = 100
EACH = 8.0
AT = datetime(2026, 1, 1, tzinfo=UTC)
SEEN = Seen(present=True)


def figures() -> Iterator[Figure]:
    """Measured by Python's own count of what it has allocated."""
    settings = HealthConfig(history_size=POINTS)
    texts = [encode(record(number)) for number in range(INSTANCES)]
    gc.collect()
    tracemalloc.start()
    tables = Tables.build((decoder(Instance).decode(text) for text in texts), (), (), 0)
    records = tracemalloc.get_traced_memory()[0]
    wards, schedule = Wards(lambda: settings), Schedule()
    for row in tables.instances.values():
        watch(wards, schedule, row)
    gc.collect()
    everything = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(schedule) == INSTANCES
    yield Figure(
        f"memory of an instance with {POINTS} points of history",
        everything / INSTANCES / 1024, "KiB", EACH,
        f"its record alone {records / INSTANCES / 1024:.1f} KiB",
    )  # fmt: skip


def record(number: int) -> Instance:
    """One with what is usual in a configuration."""
    config = InstanceConfig(
        name=f"n{number}",
        resources=Resources(memory=Size(2 << 30), cpu=1.0),
        labels={"course": f"unix-{number % 7}"},
        env={"TERM": "xterm"},
    )
    return Instance(
        id=f"01k0000000000000000000{number:04}", name=f"n{number}", owner="ana", config=config,
        provider="local", provider_type="local", desired=DesiredState.RUNNING,
        status=InstanceStatus.RUNNING, created_at=AT, updated_at=AT, node="n1", started_at=AT,
        url=f"http://127.0.0.1:{10_000 + number}",
    )  # fmt: skip


def watch(wards: Wards, schedule: Schedule, row: Instance) -> None:
    """As many probes as the history holds; each fourth one fails, of which some words tell."""
    wards.take(row.id)
    track, rules = wards.track(row), wards.rules(row)
    assert track is not None
    for number in range(POINTS):
        now = AT + timedelta(seconds=60 + 30 * number)
        ok = number % 4 > 0
        track.answered(ok, 0.001 * number, "200" if ok else f"no answer: {row.name}", now)
        track.used(Usage(memory_bytes=1 << 28, memory_limit_bytes=2 << 30), now)
        track.conclude(verdict(row, track, rules, seen=SEEN, now=now), now)
    wards.note_judged(replace(row))
    schedule.plan(row.id, 0.0, rules.pace, 0.5)
    assert len(track.history) == POINTS


if __name__ == "__main__":
    for figure in figures():
        print(figure)
