"""The one writer: order, durability before publication, failures, and its own death."""

from __future__ import annotations

import contextlib
import threading
from itertools import count
from typing import Any

import pytest

from swarmd.actors.base import Tick
from swarmd.actors.owed import Owed
from swarmd.actors.registry import Durable, Transact, batch_of
from swarmd.core.health.ailments import Ailment
from swarmd.core.tables import Change, EventDraft, ProviderView, Tables
from swarmd.errors import Conflict, InternalError, ResourceLimitError
from swarmd.messages.alert import AlertBook, Move
from swarmd.messages.enums import AlertChange, EventType, OperationState
from swarmd.messages.health import Illness
from swarmd.messages.provider import ProviderHealth, ProviderRecord
from tests.actors.kit import LOCAL, Answer, World, instance, operation
from tests.support import wait_until

FULL = ResourceLimitError("the disk is full")
RAISED = AlertChange.RAISED


def shown_error(world: World) -> str | None:
    return world.published.write_error


def rename(row_id: str, name: str) -> Any:
    def decide(tables: Tables) -> tuple[Change, str]:
        before = tables.instances[row_id]
        event = EventDraft(EventType.INSTANCE_UPDATED, row_id)
        return Change(instances=(instance(1, name=name),), events=(event,)), before.name

    return decide


def test_a_decision_sees_what_was_decided_before_it(world: World) -> None:
    world.registry()
    world.store.flowing.clear()
    answers = [world.transact(rename("i1", f"n{n}")) for n in range(20)]
    assert world.published.tables.instances["i1"].name == "web1"
    world.store.flowing.set()
    assert [each.get() for each in answers] == ["web1", *(f"n{n}" for n in range(19))]
    assert world.published.tables.instances["i1"].name == "n19"
    assert [event.seq for event in world.store.events] == list(range(1, 21))
    assert world.published.tables.seq == 20
    told = [event.seq for news in world.news for event in news.events]
    assert told == list(range(1, 21))


def test_published_after_it_is_durable_and_before_its_reply(world: World) -> None:
    world.registry()
    world.store.flowing.clear()
    seen: list[tuple[bool, bool]] = []
    replied = threading.Event()

    def reply(_value: Any, _error: Any) -> None:
        durable = "i2" in world.store.instances
        seen.append((durable, "i2" in world.published.tables.instances))
        replied.set()

    world.directory.tell(
        "registry", Transact(lambda _t: (Change(instances=(instance(2),)), None), reply)
    )
    assert not replied.wait(0.05)
    assert "i2" not in world.published.tables.instances
    world.store.flowing.set()
    assert replied.wait(5)
    assert seen == [(True, True)]


def test_a_refusal_and_a_fault_of_ours_change_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.registry()

    def refuse(_tables: Tables) -> tuple[Change, None]:
        raise Conflict("no")

    def fault(_tables: Tables) -> tuple[Change, None]:
        raise ZeroDivisionError

    with pytest.raises(Conflict):
        world.transact(refuse).get()
    with pytest.raises(InternalError):
        world.transact(fault).get()
    assert world.store.batches == []
    assert world.write(instance(2)).get() == "done"
    assert "a decision failed" in caplog.text


def test_what_is_not_durable_is_published_in_its_turn(world: World) -> None:
    world.registry()
    world.store.flowing.clear()
    durable = world.write(instance(2))
    light = world.transact(lambda _tables: (Change(strays=()), "light"))
    assert not light.told
    world.store.flowing.set()
    assert (durable.get(), light.get()) == ("done", "light")


def test_a_failed_group_is_forgotten_as_a_whole(world: World) -> None:
    world.registry()
    world.store.flowing.clear()
    world.store.error = FULL
    lost = [world.write(instance(n)) for n in (2, 3)]
    light = world.transact(lambda _tables: (Change(strays=()), "light"))
    world.store.flowing.set()
    for answer in (*lost, light):
        with pytest.raises(ResourceLimitError):
            answer.get()
    assert world.published.tables.instances.keys() == {"i1"}
    assert world.published.write_error == FULL.message
    world.store.error = None
    assert world.write(instance(4)).get() == "done"
    assert shown_error(world) is None
    assert world.published.tables.instances.keys() == {"i1", "i4"}
    assert world.published.tables.seq == world.store.events[-1].seq == 1


def test_what_came_meanwhile_is_decided_afterwards(world: World) -> None:
    """On the tables without what could not be written."""
    world.registry()
    world.store.flowing.clear()
    world.store.error = FULL
    lost = [world.write(instance(n)) for n in (2, 3, 4)]
    world.store.flowing.set()
    names = world.transact(lambda tables: (Change(), tuple(tables.instances)))
    for answer in lost:
        with pytest.raises(ResourceLimitError):
            answer.get()
    world.store.error = None
    # It was decided before the failure, and is forgotten with it, or afterwards.
    with contextlib.suppress(ResourceLimitError):
        assert names.get() == ("i1",)
    assert world.transact(lambda tables: (Change(), tuple(tables.instances))).get() == ("i1",)


def test_a_refused_wish_does_not_come_alive(world: World) -> None:
    """A write that failed half way left a newer version on disk: it is written over."""
    world.registry()
    target = world.published.tables.instances["i1"]
    store = world.store
    store.error = FULL
    wish = operation("op1", target)
    refused = world.transact(
        lambda _t: (Change(operations=(wish,), instances=(instance(1, name="new"),)), None)
    )
    with pytest.raises(ResourceLimitError):
        refused.get()
    # The disk has it all the same, in part.
    store.operations["op1"] = wish
    store.instances["i1"] = instance(1, name="new")
    store.error = None
    world.directory.tell("registry", Tick(0.0))
    wait_until(lambda: "op1" not in store.operations)
    assert store.instances["i1"].name == "web1"
    assert world.published.tables.operations == {}


def test_what_is_owed_comes_with_the_next_change(world: World) -> None:
    owed = Owed()
    published = world.published.tables
    assert owed.pay(published, Change()) == Change()
    target = published.instances["i1"]
    wish = operation("op1", target)
    owed.add(Change(operations=(wish,), instances=(instance(1, name="new"), instance(2))))
    assert owed
    paid = owed.pay(published, Change(instances=(instance(2, name="other"),)))
    assert not owed
    assert paid.drop_operations == ("op1",)
    assert paid.drop_instances == ()
    assert [each.name for each in paid.instances] == ["web1", "other"]
    assert batch_of(paid, ()).drop_operations == ("op1",)


def accepted(answer: Answer) -> bool:
    try:
        answer.get()
    except ResourceLimitError:
        return False
    return True


def test_a_book_that_was_refused_does_not_come_alive_at_the_next_start(world: World) -> None:
    """What a failed write may have left on disk is written over: here an acknowledgement."""
    owed, published = Owed(), world.published.tables
    owed.add(Change(alerts=AlertBook(moves=(Move(alert="a1", change=RAISED, seq=1),))))
    assert owed
    assert owed.pay(published, Change(instances=(instance(2),))).alerts == AlertBook()
    assert not owed
    owed.add(Change(alerts=AlertBook()))
    newer = AlertBook(moves=(Move(alert="a2", change=RAISED, seq=2),))
    assert owed.pay(published, Change(alerts=newer)).alerts == newer


def test_alerts_and_ailments_outlive_a_registry(world: World) -> None:
    world.listen("supervisor")
    ref = world.registry()
    book = AlertBook(moves=(Move(alert="a1", change=RAISED, seq=1),))
    ailment = Ailment(Illness.HUNG, "it hangs")
    world.transact(lambda _: (Change(alerts=book, ailments={"i1": ailment}), None)).get()
    world.strike("registry", Transact)
    world.write(instance(3))
    wait_until(lambda: not ref.is_alive())
    world.registry(2)
    wait_until(lambda: world.news[-1].restarted)
    assert world.published.tables.alerts == book
    assert world.published.tables.ailments == {"i1": ailment}


def test_the_error_stays_shown_until_a_write_succeeds(world: World) -> None:
    world.registry()
    world.store.error = FULL
    with pytest.raises(ResourceLimitError):
        world.write(instance(2)).get()
    world.directory.tell("registry", Tick(0.0))
    wait_until(lambda: world.directory.depth("registry") == 0)
    assert world.published.write_error == FULL.message
    view = ProviderView(ProviderHealth(ok=True))
    shown = Change(views={"local": view})
    # One that came in behind a write that fails just now is told so, and asks again.
    wait_until(lambda: accepted(world.transact(lambda _: (shown, None))))
    assert world.published.write_error == FULL.message  # that needed no disk
    world.store.error = None
    later = count(10.0, 10.0)
    # Every tick tries again, unless the failure before it is still being told.
    wait_until(
        lambda: (
            world.directory.tell("registry", Tick(next(later)))
            and world.published.write_error is None
        )
    )


def test_a_new_registry_reads_what_the_old_one_handed_over(world: World) -> None:
    world.listen("supervisor")
    ref = world.registry()
    world.store.flowing.clear()
    unheard = world.write(instance(2))
    wait_until(lambda: world.directory.depth("registry") == 0)
    world.strike("registry", Transact, SystemExit(3))
    never = world.write(instance(3))
    wait_until(lambda: not ref.is_alive())
    registered = ProviderRecord(name="box", type="local", registered=True)
    world.store.providers = (registered,)
    world.store.flowing.set()
    world.registry(2)
    # Told before it has begun: decided on what is on disk all the same.
    names = world.transact(lambda tables: (Change(), sorted(tables.instances)))
    assert names.get() == ["i1", "i2"]
    assert not unheard.told
    assert not never.told
    assert world.news[-1].restarted or any(each.restarted for each in world.news)
    # Those of the file, which a provider's file need not have, are not forgotten.
    assert world.published.tables.providers == {"local": LOCAL, "box": registered}
    assert world.write(instance(4)).get() == "done"
    assert world.published.tables.seq == len(world.store.events) == 2
    assert [each.seq for each in world.store.events] == [1, 2]


def test_a_late_report_of_an_earlier_registry_means_nothing(world: World) -> None:
    world.registry()
    assert world.write(instance(2)).get() == "done"
    world.directory.tell("registry", Durable(1, 0, FULL))
    world.directory.tell("registry", Durable(99, 1, None))
    assert world.write(instance(3)).get() == "done"
    assert world.published.write_error is None


def test_many_at_once(world: World) -> None:
    world.registry()
    answers: list[Answer] = []
    for number in range(2, 402):
        world.store.error = FULL if number % 97 == 0 else None
        answers.append(world.write(instance(number)))
    world.store.error = None
    told = 0
    for answer in answers:
        try:
            told += answer.get() == "done"
        except ResourceLimitError:
            continue
    world.transact(lambda _tables: (Change(), None)).get()
    world.directory.tell("registry", Tick(0.0))
    wait_until(lambda: world.store.instances.keys() == world.published.tables.instances.keys())
    assert len(world.published.tables.instances) == told + 1
    seqs = [event.seq for event in world.store.events]
    assert seqs == list(range(1, told + 1))
    assert world.published.tables.seq == told


def test_an_operation_that_ends_is_told(world: World) -> None:
    world.registry()
    target = world.published.tables.instances["i1"]
    done = operation("op1", target, state=OperationState.SUCCEEDED)
    world.transact(lambda _tables: (Change(operations=(done,)), None)).get()
    assert world.news[-1].operations == ("op1",)
