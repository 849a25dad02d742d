"""A courier tells its sink in order, again and again, and holds up nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from swarmd.actors import couriers
from swarmd.actors.couriers import Courier, Couriers
from swarmd.errors import SwarmError, Unavailable, ValidationError
from swarmd.messages.alert import Notice
from swarmd.messages.config import AlertingConfig
from swarmd.messages.enums import AlertChange
from swarmd.ports import Endurance
from tests.actors.kit import Clock
from tests.sinks.notices import notice
from tests.support import wait_until

RESOLVED = AlertChange.RESOLVED


class MemorySink:
    """Takes what it is told, unless it is to fail; it may be held."""

    where = "memory"
    insecure = False

    def __init__(self, name: str = "ops", endurance: Endurance | None = None) -> None:
        self.name = name
        self.endurance = endurance or Endurance(3600.0)
        self.told: list[tuple[str, str]] = []
        self.attempts = 0
        self.error: Callable[[Notice], Exception | None] = lambda _: None
        self.flowing = threading.Event()
        self.flowing.set()
        self.closed = threading.Event()

    def deliver(self, given: Notice) -> None:
        self.flowing.wait()
        self.attempts += 1
        error = self.error(given)
        if error is not None:
            raise error
        self.told.append((given.alert.id, given.change.value))

    def close(self) -> None:
        self.closed.set()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couriers, "_BASE_SECONDS", 0.01)
    monkeypatch.setattr(couriers, "_CAP_SECONDS", 0.02)


def fresh(number: int, change: AlertChange = AlertChange.RAISED) -> Notice:
    return notice(number, change, at=datetime.now(UTC))


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def courier(sink: MemorySink) -> Iterator[Courier]:
    made = Courier(sink, Clock(), lambda: None)
    yield made
    sink.flowing.set()
    made.close()
    assert made.join(5)
    assert sink.closed.is_set()


def refuse(error: SwarmError | None) -> Callable[[Notice], Exception | None]:
    return lambda _: error


def test_in_order_and_once(sink: MemorySink, courier: Courier) -> None:
    waiting = [fresh(1), fresh(2), fresh(1, RESOLVED)]
    courier.offer(waiting)
    courier.offer(waiting)
    wait_until(lambda: len(courier.done()) == 3)
    courier.offer(waiting)  # it is not written down yet that they are done
    courier.offer([*waiting, fresh(3)])
    wait_until(lambda: len(courier.done()) == 4)
    assert sink.told == [("a1", "raised"), ("a2", "raised"), ("a1", "resolved"), ("a3", "raised")]
    courier.offer([])
    assert courier.done() == frozenset()


def test_the_first_holds_up_the_others_until_it_is_taken(
    sink: MemorySink, courier: Courier
) -> None:
    sink.error = refuse(Unavailable("down"))
    courier.offer([fresh(1), fresh(2)])
    wait_until(lambda: sink.attempts > 3)
    info = courier.info()
    assert (info.waiting, info.error, info.given_up) == (2, "down", 0)
    assert info.failing_since is not None
    sink.error = refuse(None)
    wait_until(lambda: len(sink.told) == 2)
    assert [each[0] for each in sink.told] == ["a1", "a2"]
    wait_until(lambda: courier.info().failing_since is None)


def test_what_is_withdrawn_is_not_told(sink: MemorySink, courier: Courier) -> None:
    sink.error = refuse(Unavailable("down"))
    courier.offer([fresh(1)])
    wait_until(lambda: sink.attempts > 1)
    courier.offer([])
    wait_until(lambda: courier.info().failing_since is None)
    sink.error = refuse(None)
    courier.offer([fresh(2)])
    wait_until(lambda: sink.told)
    assert sink.told == [("a2", "raised")]


def test_what_it_will_never_take_is_given_up_at_once(sink: MemorySink, courier: Courier) -> None:
    sink.error = lambda given: ValidationError("bad") if given.alert.id == "a1" else None
    courier.offer([fresh(1), fresh(2)])
    wait_until(lambda: len(courier.done()) == 2)
    assert sink.told == [("a2", "raised")]
    assert sink.attempts == 2
    assert courier.info().given_up == 1


def test_a_fault_of_the_sink_is_a_failure_like_any_other(
    sink: MemorySink, courier: Courier
) -> None:
    faults = [RuntimeError("a fault"), None]
    sink.error = lambda _: faults.pop(0)
    courier.offer([fresh(1)])
    wait_until(lambda: sink.told)


@pytest.mark.parametrize(
    ("endurance", "age", "attempts"),
    [(Endurance(3600.0, 3), 0, 3), (Endurance(60.0), 61, 1)],
)
def test_it_ends_with_the_time_or_the_attempts(
    endurance: Endurance, age: int, attempts: int
) -> None:
    sink = MemorySink(endurance=endurance)
    sink.error = refuse(Unavailable("down"))
    courier = Courier(sink, Clock(), lambda: None)
    courier.offer([notice(1, at=datetime.now(UTC) - timedelta(seconds=age))])
    wait_until(courier.done)
    assert sink.attempts == attempts
    assert courier.info().given_up == 1
    courier.close()
    assert courier.join(5)


def test_a_sink_that_hangs_holds_up_neither_the_others_nor_the_caller() -> None:
    slow, quick = MemorySink("slow"), MemorySink("quick")
    slow.flowing.clear()
    told = threading.Event()
    both = Couriers(lambda _config: [slow, quick], Clock(), told.set)
    both.follow(AlertingConfig())
    both.offer([notice(1, sink="slow", at=datetime.now(UTC)),
                notice(1, sink="quick", at=datetime.now(UTC))])  # fmt: skip
    assert told.wait(5)
    assert quick.told
    assert not slow.told
    assert [info.waiting for info in both.infos()] == [1, 0]
    slow.flowing.set()
    wait_until(lambda: len(both.done()) == 2)
    both.close(5.0)
    assert both.infos() == ()
    assert slow.closed.is_set()


def test_a_changed_configuration_makes_others_that_tell_nothing_twice() -> None:
    made: list[MemorySink] = []

    def make(_config: AlertingConfig) -> list[MemorySink]:
        made.append(MemorySink())
        return [made[-1]]

    several = Couriers(make, Clock(), lambda: None)
    several.follow(AlertingConfig())
    several.follow(AlertingConfig(margin=0.3))  # nothing of a sink
    assert len(made) == 1
    waiting = [notice(1, at=datetime.now(UTC))]
    several.offer(waiting)
    wait_until(several.done)
    several.follow(AlertingConfig(log=False))
    several.offer([*waiting, notice(2, at=datetime.now(UTC))])
    wait_until(lambda: len(several.done()) == 2)
    assert (made[0].told, made[1].told) == ([("a1", "raised")], [("a2", "raised")])
    assert made[0].closed.wait(5)
    several.close(5.0)
