"""Each end is counted once: whatever dies, and whoever asks meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from swarmd.actors.base import ALERTING, TELEMETRY, Start, Tick
from swarmd.actors.collected import Collected
from swarmd.actors.metering import Metering
from swarmd.actors.registry import Transact
from swarmd.actors.supervisor import Family
from swarmd.actors.ticker import Rhythms
from swarmd.core.tables import Change, EventDraft
from swarmd.core.telemetry.operations import Counts, ended_of
from swarmd.errors import StateError, Unavailable
from swarmd.messages.config import TelemetryConfig
from swarmd.messages.enums import EventType, MetricsFormat, OperationKind, OperationState
from swarmd.messages.requests import DaemonMetrics
from swarmd.messages.telemetry import SwarmMetrics
from swarmd.messages.units import Duration
from tests.actors.kit import AT, World, instance, operation
from tests.support import wait_until

START = OperationKind.START


def count(counts: Counts) -> int:
    return sum(map(ended_of, counts.values()))


class Bench:
    """A registry, and telemetry that is ticked by hand. Each life has its own."""

    def __init__(self, world: World, interval: float = 60.0, *, enabled: bool = True) -> None:
        self.world = world
        self.settings = TelemetryConfig(enabled=enabled, interval=Duration(interval))
        self.rhythms = Rhythms({})
        self.family = Family()
        self.rendered: list[SwarmMetrics] = []
        self.metering = Metering(
            context=world.context,
            family=self.family,
            rhythms=self.rhythms,
            published=world.published,
            store=world.store,  # type: ignore[arg-type]
            settings=lambda: self.settings,
            health=lambda: True,
            render=self._render,
        )
        self.child = self.metering.child()

    def _render(self, sample: SwarmMetrics, accept: str) -> tuple[bytes, str]:
        self.rendered.append(sample)
        return f"for {accept!r}".encode(), "text/plain"

    def start(self, generation: int = 1) -> Any:
        assert self.child is not None
        ref = self.child.factory(generation)
        self.world.directory.put(TELEMETRY, ref, Start())
        return ref

    def tick(self) -> None:
        self.world.directory.tell(TELEMETRY, Tick(time.monotonic()))

    def end(self, name: str, seconds: float = 1.0) -> None:
        """An operation ends, and everybody has heard of it."""
        ended = operation(
            name,
            instance(1),
            state=OperationState.SUCCEEDED,
            ended_at=AT + timedelta(seconds=seconds),
        )
        self.world.transact(lambda _tables: (ended_as(ended), None)).get()

    def total(self, **fields: Any) -> Any:
        report = self.metering.report(DaemonMetrics(since="1h", **fields))
        assert report.total is not None
        return report.total


def ended_as(ended: Any) -> Change:
    facts = {"kind": str(ended.kind), "state": str(ended.state)}
    event = EventDraft(EventType.OPERATION_ENDED, operation=ended.id, data=facts)
    return Change(operations=(ended,), events=(event,))


@pytest.fixture
def world() -> Iterator[World]:
    made = World(instance(1))
    made.registry()
    yield made
    made.close()


def test_a_sample_has_what_ended_since_the_one_before(world: World) -> None:
    bench = Bench(world, interval=0.05)
    bench.start()
    bench.end("o1", 0.3)
    bench.end("o2", 2.0)
    wait_until(bench.metering.is_due)
    bench.tick()
    wait_until(lambda: len(world.store.samples) == 1)
    first = world.store.samples[0]
    assert first.operations[START].succeeded == 2
    assert (first.operations[START].latency.min, first.operations[START].latency.max) == (0.3, 2.0)
    assert first.seconds >= 0.05
    assert first.process.rss_bytes > 1 << 20
    assert first.process.threads >= 2
    assert first.process.descriptors > 0
    assert (first.journal, first.seq) == ("j", 2)
    wait_until(bench.metering.is_due)
    bench.tick()
    wait_until(lambda: len(world.store.samples) == 2)
    assert world.store.samples[1].operations == {}


def test_no_sample_is_taken_before_its_time(world: World) -> None:
    bench = Bench(world)
    ref = bench.start()
    for _ in range(5):
        bench.tick()
    ref.stop(block=True, timeout=5)
    assert len(world.store.samples) == 1, "the one at the end"


def test_a_sample_is_told_to_the_journal_and_to_who_judges_it(world: World) -> None:
    heard = world.listen(ALERTING)
    bench = Bench(world, interval=0.05)
    bench.start()
    bench.end("o1")
    wait_until(bench.metering.is_due)
    bench.tick()
    wait_until(lambda: any(e.type is EventType.METRICS_COLLECTED for e in world.store.events))
    [event] = [e for e in world.store.events if e.type is EventType.METRICS_COLLECTED]
    assert (event.data["instances"], event.data["operations"]) == (1, 1)
    wait_until(lambda: heard[1:])
    assert heard[1:] == [Collected(world.store.samples[0])]


def test_a_daemon_that_ends_in_peace_leaves_nothing_uncounted(world: World) -> None:
    bench = Bench(world)
    ref = bench.start()
    bench.end("o1")
    ref.stop(block=True, timeout=5)
    assert count(world.store.samples[0].operations) == 1


def test_what_ended_while_the_actor_was_dead_is_in_its_next_sample(world: World) -> None:
    bench = Bench(world)
    ref = bench.start()
    bench.end("o1")
    world.strike(TELEMETRY, Tick)
    bench.tick()
    wait_until(lambda: not ref.is_alive())
    bench.end("o2")
    bench.start(2).stop(block=True, timeout=5)
    assert count(world.store.samples[0].operations) == 2


def test_a_sample_that_fails_leaves_its_operations_to_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(world, interval=0.05)
    bench.end("o1")

    def broken(sample: SwarmMetrics) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr(world.store, "keep_metrics", broken)
    with pytest.raises(RuntimeError):
        bench.metering.take()
    monkeypatch.undo()
    bench.end("o2")
    sample = bench.metering.take()
    assert count(sample.operations) == 2
    assert sample.seconds >= 0


def test_a_registry_that_begins_anew_counts_nothing_twice(world: World) -> None:
    """One end is told, another one was written and not told when the registry died."""
    bench = Bench(world)
    bench.end("o1")
    world.store.flowing.clear()
    late = operation("o2", instance(1), state=OperationState.SUCCEEDED, ended_at=AT)
    taken = threading.Event()

    def decide(_tables: Any) -> tuple[Change, None]:
        taken.set()
        return ended_as(late), None

    world.transact(decide)
    assert taken.wait(5)
    world.strike("registry", Transact)
    ref = world.directory.get("registry")
    assert ref is not None
    world.directory.tell("registry", Transact(lambda _tables: (Change(), None)))
    wait_until(lambda: not ref.is_alive())
    world.store.flowing.set()
    world.registry(2)
    wait_until(lambda: any(news.restarted for news in world.news))
    bench.end("o3")
    assert count(bench.metering.take().operations) == 3
    assert {each.operation for each in world.store.events} == {"o1", "o2", "o3"}


@pytest.mark.parametrize("samples_before", [0, 1])
def test_what_a_killed_daemon_did_not_live_to_sample_is_in_the_first_of_the_next(
    world: World, samples_before: int
) -> None:
    before = Bench(world)
    before.end("o1")
    for _ in range(samples_before):
        before.metering.take()
    before.end("o2")
    after = Bench(world)
    sample = after.metering.take()
    assert count(sample.operations) == 2 - samples_before
    assert count(Bench(world).metering.take().operations) == 0
    after.metering.text("")
    assert count(after.rendered[0].operations) == 0, "a counter counts since the start"


def test_what_ended_long_after_the_last_sample_was_not_to_be_measured(world: World) -> None:
    before = Bench(world)
    old = before.metering.take()
    world.store.samples = [
        SwarmMetrics(
            timestamp=old.timestamp - timedelta(seconds=200), seconds=60.0, providers={},
            instances=old.instances, health=old.health, migrations=old.migrations, operations={},
            journal=old.journal, seq=old.seq,
        )
    ]  # fmt: skip
    before.end("o1")
    assert count(Bench(world).metering.take().operations) == 0


def test_another_journal_says_nothing(world: World) -> None:
    Bench(world).end("o1")
    world.store.samples = []
    Bench(world).metering.take()
    [sample] = world.store.samples
    world.store.samples = [
        SwarmMetrics(
            timestamp=sample.timestamp, seconds=1.0, providers={}, instances=sample.instances,
            health=sample.health, migrations=sample.migrations, operations={}, journal="other",
        )
    ]  # fmt: skip
    assert count(Bench(world).metering.take().operations) == 0


def test_a_journal_that_cannot_be_read_costs_the_count_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Bench(world).end("o1")

    def unreadable(after_seq: int, limit: int) -> Any:
        raise StateError("no such disk")

    monkeypatch.setattr(world.store, "history", unreadable)
    assert count(Bench(world).metering.take().operations) == 0
    assert "no such disk" in caplog.text


def test_a_report_has_what_is_kept_and_what_is_now(world: World) -> None:
    bench = Bench(world)
    bench.end("o1")
    bench.metering.take()
    bench.end("o2")
    total = bench.total()
    assert (total.samples, count(total.operations)) == (2, 2)
    assert total.figures["instances.total"].last == 1
    # Looking changes nothing.
    assert bench.total().operations == total.operations
    assert count(bench.metering.take().operations) == 1
    assert count(bench.total().operations) == 2


def test_who_asks_while_samples_are_taken_sees_each_end_once(world: World) -> None:
    bench = Bench(world)
    stop = threading.Event()
    seen: list[int] = []

    def look() -> None:
        while not stop.is_set():
            seen.append(count(bench.total().operations))

    looking = threading.Thread(target=look)
    looking.start()
    for number in range(60):
        bench.end(f"o{number}")
        bench.metering.take()
    stop.set()
    looking.join(20)
    assert seen == sorted(seen)
    assert count(bench.total().operations) == 60


def test_a_time_that_is_over_has_nothing_of_now(world: World) -> None:
    bench = Bench(world)
    bench.end("o1")
    assert bench.total(until="1m").samples == 0


def test_prometheus_is_told_of_everything_since_the_start(world: World) -> None:
    bench = Bench(world)
    bench.end("o1")
    bench.metering.take()
    bench.end("o2")
    report = bench.metering.report(DaemonMetrics(format=MetricsFormat.PROMETHEUS))
    assert (report.text, report.points, report.total) == ("for ''", (), None)
    assert bench.metering.text("x") == (b"for 'x'", "text/plain")
    assert [count(each.operations) for each in bench.rendered] == [2, 2]


def test_switched_off_there_is_no_actor_and_who_asks_is_told_the_key(world: World) -> None:
    bench = Bench(world, enabled=False)
    assert bench.child is None
    assert bench.rhythms.all() == {}
    asks = (lambda: bench.metering.report(DaemonMetrics()), lambda: bench.metering.text(""))
    for ask in asks:
        with pytest.raises(Unavailable) as refused:
            ask()
        assert refused.value.field == "telemetry.enabled"
        assert "telemetry.enabled" in str(refused.value.next_step)
    bench.end("o1")
    assert world.store.samples == []


def test_a_changed_interval_takes_effect_at_once(world: World) -> None:
    bench = Bench(world, interval=3600.0)
    assert bench.rhythms.all() == {TELEMETRY: 1.0}
    assert not bench.metering.is_due()
    bench.settings = TelemetryConfig(interval=Duration(0.05))
    bench.metering.retime()
    assert bench.rhythms.all() == {TELEMETRY: 0.05}
    wait_until(bench.metering.is_due)
