"""The alerting actor over a real registry: what it looks at, and what it survives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest

from swarmd.actors.alerting import Alerting, AlertingParts, Delivered
from swarmd.actors.base import ALERTING, Start, Tick
from swarmd.actors.collected import Collected
from swarmd.actors.couriers import Couriers
from swarmd.actors.lanes import Lanes
from swarmd.core.alerts.book import carry_out
from swarmd.core.alerts.episodes import Plan
from swarmd.core.doctor import Disk
from swarmd.core.tables import Change, ProviderView
from swarmd.errors import ResourceLimitError, Unavailable
from swarmd.messages.alert import Alert
from swarmd.messages.config import AlertingConfig, HealthConfig
from swarmd.messages.provider import ProviderHealth
from swarmd.messages.units import Duration
from tests.actors.kit import World
from tests.actors.test_couriers import MemorySink
from tests.core.alerts.samples import condition, provider, sample
from tests.support import wait_until

QUICK = AlertingConfig(raise_after=Duration(0), resolve_after=Duration(0))
GIB = 1 << 30


class Bench:
    """The actor, its registry, a sink in memory, and a clock that the test moves."""

    def __init__(self, world: World, found_seq: int | None = None) -> None:
        self.world = world
        self.settings = QUICK
        self.sink = MemorySink("log")
        self.disks: Sequence[Disk] = ()
        self.now = 0.0
        self.couriers = Couriers(lambda _: [self.sink], world.clock, lambda: None)
        self.lanes = Lanes("disks", 1)
        self.found_seq = found_seq
        world.registry()

    def start(self, generation: int = 1) -> None:
        parts = AlertingParts(
            published=self.world.published,
            couriers=self.couriers,
            lanes=self.lanes,
            look_at_disks=lambda: self.disks,
            settings=lambda: self.settings,
            health=HealthConfig,
            new_id=iter(f"a{number}" for number in range(1000)).__next__,
            found_seq=lambda: self.found_seq,
        )
        ref = Alerting.start(self.world.context, ALERTING, generation, parts)
        self.world.directory.put(ALERTING, ref, Start())

    def tick(self, passed: float = 1.0) -> bool:
        """Always false: what follows "or" is what a test waits for."""
        self.now += passed
        self.world.directory.tell(ALERTING, Tick(self.now))
        return False

    def tell(self, message: object) -> None:
        self.world.directory.tell(ALERTING, message)

    def view(self, *, ok: bool) -> None:
        """What the provider's actor found."""
        view = ProviderView(ProviderHealth(ok=ok, message="no engine"))
        self.world.transact(lambda _: (Change(views={"local": view}), None)).get()

    @property
    def active(self) -> list[Alert]:
        return list(self.world.published.tables.alerts.active)

    def changes(self) -> list[tuple[str, str]]:
        return [
            (event.data["type"], event.data["state"])
            for event in self.world.store.events
            if event.type == "alert"
        ]

    def await_changes(self, *states: str) -> None:
        def come() -> bool:
            self.tick()
            return [state for _, state in self.changes()] == list(states)

        wait_until(come, describe=lambda: (self.changes(), self.world.published.tables.alerts))

    def close(self) -> None:
        self.couriers.close(5.0)
        self.lanes.close(5.0)


@pytest.fixture
def bench() -> Iterator[Bench]:
    world = World()
    made = Bench(world)
    yield made
    world.close()
    made.close()


def test_what_is_published_is_seen_without_being_told(bench: Bench) -> None:
    bench.start()
    bench.view(ok=False)
    bench.await_changes("raised")
    assert bench.world.store.alerts.active[0].type == "provider_down"  # it is on disk
    wait_until(lambda: bench.sink.told == [("a0", "raised")])
    bench.view(ok=True)
    bench.await_changes("raised", "resolved")
    wait_until(lambda: len(bench.sink.told) == 2)
    wait_until(lambda: bench.tick() or not bench.world.published.tables.alerts.outbox)
    assert bench.active == []


def test_what_was_taken_is_written_down_only_once(bench: Bench) -> None:
    bench.start()
    bench.view(ok=False)
    bench.await_changes("raised")
    wait_until(lambda: bench.active)
    wait_until(lambda: bench.tick() or not bench.world.published.tables.alerts.outbox)
    before = len(bench.world.store.batches)
    for _ in range(20):
        bench.tick(0.5)
    bench.world.transact(lambda _: (Change(), None)).get()
    wait_until(lambda: bench.world.directory.depth(ALERTING) == 0)
    assert len(bench.world.store.batches) == before


def test_a_figure_must_stay_above_its_threshold_in_later_samples(bench: Bench) -> None:
    """Time alone is no second sample."""
    bench.settings = AlertingConfig(raise_after=Duration(60))
    bench.start()
    bench.tell(Collected(sample(0, providers=[provider(9, 10)])))
    for _ in range(30):
        bench.tick(10)
    wait_until(lambda: bench.world.directory.depth(ALERTING) == 0)
    assert bench.changes() == []
    bench.tell(Collected(sample(1, providers=[provider(9, 10)])))
    bench.await_changes("raised")


def test_without_samples_nothing_measured_goes_on_for_ever(bench: Bench) -> None:
    bench.start()
    bench.tell(Collected(sample(0, providers=[provider(9, 10)])))
    bench.await_changes("raised")
    bench.tick(2 * QUICK.window + 1)
    bench.await_changes("raised", "resolved")


def test_a_clock_that_was_set_back_hides_no_sample(bench: Bench) -> None:
    bench.start()
    bench.tell(Collected(sample(120, providers=[provider(1, 10)])))
    bench.tick()
    bench.tell(Collected(sample(0, providers=[provider(9, 10)])))
    bench.await_changes("raised")


def test_what_waits_is_kept_while_nobody_can_be_told(bench: Bench) -> None:
    """As at the daemon's end, or once alerting is switched off: a last look must drop nothing."""
    bench.sink.error = lambda _: Unavailable("down")
    bench.start()
    bench.view(ok=False)
    bench.await_changes("raised")
    bench.couriers.suspend()
    bench.settings = msgspec.structs.replace(QUICK, enabled=False)
    for _ in range(5):
        bench.tick()
    wait_until(lambda: bench.world.directory.depth(ALERTING) == 0)
    bench.world.transact(lambda _: (Change(), None)).get()
    assert [each.sink for each in bench.world.published.tables.alerts.outbox] == ["log"]
    assert bench.couriers.infos() == ()
    bench.sink.error = lambda _: None
    bench.settings = QUICK
    wait_until(lambda: bench.tick() or bench.sink.told)


def test_a_disk(bench: Bench) -> None:
    bench.disks = [Disk("state", "/state", GIB // 2, 10 * GIB)]
    bench.start()
    bench.await_changes("raised")
    bench.disks = [Disk("state", "/state", 5 * GIB, 10 * GIB)]
    bench.tick(60)
    bench.await_changes("raised", "resolved")


def test_a_write_that_failed_is_made_up_for(bench: Bench) -> None:
    bench.start()
    bench.world.store.error = ResourceLimitError("the disk is full")
    bench.tell(Collected(sample(0, providers=[provider(9, 10)])))
    bench.tick()
    wait_until(lambda: bench.world.published.write_error)
    assert bench.changes() == []
    bench.world.store.error = None
    bench.await_changes("raised")
    assert len(bench.active) == 1


@pytest.mark.parametrize("message", [Tick, Collected, "_Written", "Delivered", "_Measured"])
def test_one_that_died_goes_on_where_the_book_stands(bench: Bench, message: Any) -> None:
    struck: list[str] = []

    def fault(name: str, told: object) -> None:
        kind = message if isinstance(message, str) else message.__name__
        if name == ALERTING and type(told).__name__ == kind and not struck:
            struck.append(kind)
            raise RuntimeError("struck")

    object.__setattr__(bench.world.context, "fault", fault)
    bench.couriers = Couriers(
        lambda _: [bench.sink], bench.world.clock, lambda: bench.tell(Delivered())
    )
    bench.start()
    bench.view(ok=False)
    bench.tell(Collected(sample(0, providers=[provider(9, 10)])))
    wait_until(lambda: struck or bench.tick())
    bench.start(generation=2)
    bench.tell(Collected(sample(1, providers=[provider(9, 10)])))
    wait_until(lambda: bench.tick() or len(bench.active) == 2)
    bench.view(ok=True)
    bench.tell(Collected(sample(2, providers=[provider(1, 10)])))
    wait_until(lambda: bench.tick() or not bench.active)
    for kind in ("provider_down", "provider_utilization"):
        states = [state for each, state in bench.changes() if each == kind]
        assert states == ["raised", "resolved"]


def test_events_that_a_crash_kept_from_the_journal_are_told(bench: Bench) -> None:
    tables = bench.world.published.tables
    plan = Plan(raised=(condition(),))
    change = carry_out(tables, plan, now=bench.world.clock.now(), new_id=lambda: "a7", sinks=(),
                       kept=5)  # fmt: skip
    lost = change.alerts
    bench.world.transact(lambda _: (Change(alerts=lost), None)).get()
    bench.view(ok=False)
    bench.found_seq = 0
    bench.start()
    bench.await_changes("raised")
    assert [alert.id for alert in bench.active] == ["a7"]
    assert bench.world.published.tables.alerts.moves == ()
