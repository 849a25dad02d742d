"""The monitors of all providers: made, told what is new, and closed."""

from __future__ import annotations

from typing import Any, cast

import pytest

from swarmd.actors.base import Context, health_actor
from swarmd.actors.heard import Noticed
from swarmd.actors.measures import Measures
from swarmd.actors.monitor import HealthMonitor
from swarmd.actors.monitors import Monitors
from swarmd.actors.published import News, Published
from swarmd.actors.supervisor import Family
from swarmd.actors.ticker import Rhythms
from swarmd.actors.uses import Outlooks, RunningCommands
from swarmd.core.tables import Change, Tables
from swarmd.messages.config import HealthConfig, InstancesConfig
from swarmd.messages.enums import EventType, OperationKind, OperationState
from swarmd.messages.events import Event
from tests.actors.health_kit import FakeProbe, FakeProvider, HealthStore, SetClock, Told, running
from tests.actors.kit import AT, operation
from tests.support import wait_until

ME = health_actor("local")


class Closes(FakeProbe):
    def __init__(self) -> None:
        super().__init__()
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class Hall:
    """Monitors with what they need."""

    def __init__(self, **health: Any) -> None:
        rows = (running(1), running(2, provider="box1"))
        self.directory, self.family, self.rhythms = Told(), Family(), Rhythms({})
        self.published = Published(Tables.build(rows, (), (), 0), "j")
        self.probe, self.commands = Closes(), RunningCommands()
        self.monitors = Monitors(
            context=Context(self.directory, SetClock()),
            family=self.family,
            rhythms=self.rhythms,
            published=self.published,
            store=cast(Any, HealthStore()),
            probe=self.probe,
            settings=lambda: HealthConfig(**health),
            instances=InstancesConfig,
            new_id=lambda: "o1",
            boot="b1",
            commands=self.commands,
            outlooks=Outlooks(),
            measures=Measures(lambda: self.published.tables.instances),
        )

    def tell(self, kind: EventType, target: str | None) -> list[Any]:
        """What the monitor is told after this event."""
        event = Event(seq=1, journal="j", at=AT, type=kind, target=target)
        self.published.publish(News(self.published.tables, (event,), ()))
        return self.directory.take(ME)


def provider() -> Any:
    return FakeProvider()


def test_a_monitor_is_started_beside_its_provider_and_stopped_with_it() -> None:
    hall = Hall()
    child = hall.monitors.child(provider())
    assert child is not None
    assert child.name == ME
    assert hall.rhythms.all().keys() == {ME}
    hall.family.add(child)
    ref = child.factory(3)
    hall.directory.put(ME, ref, object())
    assert ref.actor_class is HealthMonitor
    hall.monitors.stop("local")
    assert hall.rhythms.all() == {}
    assert hall.family.get(ME) is None
    wait_until(lambda: not ref.is_alive())
    hall.monitors.stop("local")
    hall.monitors.close()
    assert hall.probe.closed == 1


def test_what_is_switched_off_has_no_monitor() -> None:
    hall = Hall(enabled=False)
    assert hall.monitors.child(provider()) is None
    assert hall.rhythms.all() == {}
    assert hall.tell(EventType.OPERATION_ENDED, "i1") == []
    hall.monitors.close()


def test_a_monitor_hears_at_once_of_what_ended_or_changed_at_its_provider() -> None:
    hall = Hall()
    hall.monitors.child(provider())
    assert hall.tell(EventType.OPERATION_ENDED, "i1") == [Noticed("i1")]
    assert hall.tell(EventType.INSTANCE_STATUS_CHANGED, "i1") == [Noticed("i1")]
    assert hall.tell(EventType.INSTANCE_HEALTH_CHANGED, "i1") == []
    assert hall.tell(EventType.OPERATION_ENDED, "i2") == []
    assert hall.tell(EventType.OPERATION_ENDED, "gone") == []
    assert hall.tell(EventType.OPERATION_ENDED, None) == []
    hall.monitors.close()


def test_closing_closes_what_asks() -> None:
    hall = Hall()
    hall.monitors.child(provider())
    [asker] = hall.monitors._askers.values()
    hall.monitors.close()
    assert hall.probe.closed == 1
    assert not asker.run("k", lambda: None)


def test_a_user_a_command_and_a_lease_are_use() -> None:
    hall = Hall()
    hall.monitors.child(provider())
    row = hall.published.tables.instances["i1"]
    ended = operation("o1", row, kind=OperationKind.UPDATE, state=OperationState.SUCCEEDED)
    tables = hall.published.tables.apply(Change(operations=(ended,)))
    hall.published.tables = tables
    event = Event(
        seq=1, journal="j", at=AT, type=EventType.OPERATION_ENDED, target="i1", operation="o1"
    )
    hall.published.publish(News(tables, (event,), ("o1",)))
    [notice] = hall.directory.take(ME)
    assert notice.used == f"update by {ended.caller.name}"
    assert hall.tell(EventType.INSTANCE_KEPT, "i1")[0].used.startswith("keep by")
    for each in hall.published.tables.instances.values():
        hall.commands.run(each, lambda: cast(Any, None))
    assert hall.directory.take(ME) == [Noticed("i1", used="a command")]
    hall.monitors.close()


def test_what_is_known_of_use_outlives_a_monitor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HealthMonitor, "start", lambda *_, **given: given["idling"])
    hall = Hall()
    first = hall.monitors.child(provider())
    hall.monitors.stop("local")
    second = hall.monitors.child(provider())
    assert first is not None
    assert second is not None
    assert first.factory(1) is second.factory(1)
    hall.monitors.close()
