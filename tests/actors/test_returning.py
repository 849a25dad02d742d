"""Who is brought back when: a few at a time, each once, none while its provider is left alone."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from swarmd.actors.published import Published
from swarmd.actors.restarts import Restarts
from swarmd.actors.returning import Returning
from swarmd.core.recovery.remedy import Hold
from swarmd.core.tables import Change, Tables
from swarmd.messages.config import HealthConfig
from swarmd.messages.enums import (
    BreakerState,
    DesiredState,
    InstanceStatus,
    OperationState,
    Origin,
)
from swarmd.messages.instance import Instance
from swarmd.messages.provider import BreakerInfo
from tests.actors.kit import AT, LOCAL, instance, operation

TWO = HealthConfig(max_parallel=2)


def ended(number: int, status: InstanceStatus = InstanceStatus.STOPPED) -> Instance:
    return instance(number, desired=DesiredState.RUNNING, status=status)


class Bed:
    """Those that ended, and what was asked for."""

    def __init__(self, *rows: Instance) -> None:
        self.published = Published(Tables.build(rows, (), (LOCAL,), 0), "j")
        self.started: list[str] = []
        self.held: list[str] = []
        self.restarts = Restarts()
        self.returning = Returning(self.published, self.restarts, self._start, self._hold)
        self.returning.found("local", {row.id: "exit status 1" for row in rows})

    def _start(self, instance_id: str, why: str) -> str:
        assert "exit status 1" in why
        self.started.append(instance_id)
        return f"o-{instance_id}-{self.started.count(instance_id)}"

    def _hold(self, instance_id: str, _remedy: Hold, _now: datetime) -> None:
        self.held.append(instance_id)

    def apply(self, change: Change) -> None:
        self.published.tables = self.published.tables.apply(change)

    def begin(self, row: Instance) -> None:
        """Its start is under way."""
        started = operation(self._id(row), row, origin=Origin.RECONCILE)
        self.apply(Change(operations=(started,)))

    def end(self, row: Instance, status: InstanceStatus) -> None:
        """Its start has ended, and this is what is recorded then."""
        over = operation(
            self._id(row), row, origin=Origin.RECONCILE, state=OperationState.SUCCEEDED
        )
        self.apply(Change(operations=(over,), instances=(ended(int(row.id[1:]), status),)))

    def _id(self, row: Instance) -> str:
        return f"o-{row.id}-{self.started.count(row.id)}"

    def advance(self) -> list[str]:
        before = len(self.started)
        self.returning.advance("local", TWO, AT)
        return self.started[before:]


def test_at_most_so_many_at_once_and_the_next_as_soon_as_one_has_ended() -> None:
    rows = [ended(number) for number in range(4)]
    bed = Bed(*rows)
    assert bed.advance() == ["i0", "i1"]
    assert bed.advance() == []  # asked for, though not accepted yet
    bed.begin(rows[0])
    bed.begin(rows[1])
    assert bed.advance() == []
    bed.end(rows[0], InstanceStatus.RUNNING)
    assert bed.advance() == ["i2"]
    bed.end(rows[1], InstanceStatus.RUNNING)
    assert bed.advance() == ["i3"]


def test_none_while_its_provider_is_left_alone() -> None:
    bed = Bed(ended(0))
    bed.apply(Change(breakers={"local": BreakerInfo(state=BreakerState.HALF_OPEN)}))
    assert bed.advance() == []
    bed.apply(Change(breakers={"local": BreakerInfo()}))
    assert bed.advance() == ["i0"]


def test_none_once_its_provider_is_disabled() -> None:
    bed = Bed(ended(0))
    bed.apply(Change(providers=(replace(LOCAL, enabled=False),)))
    assert bed.advance() == []
    bed.apply(Change(providers=(LOCAL,)))
    assert bed.advance() == []  # it is looked at anew first
    bed.returning.found("local", {"i0": "exit status 1"})
    assert bed.advance() == ["i0"]


def test_one_whose_end_is_not_recorded_yet_is_started_at_once() -> None:
    assert Bed(ended(0, InstanceStatus.RUNNING)).advance() == ["i0"]


def test_what_somebody_else_does_about_it_is_awaited() -> None:
    for status, again in ((InstanceStatus.RUNNING, []), (InstanceStatus.STOPPED, ["i0"])):
        row = ended(0)
        bed = Bed(row)
        bed.begin(row)
        assert bed.advance() == []
        bed.end(row, status)
        assert bed.advance() == again


def test_what_is_over_quickly_is_not_taken_for_under_way() -> None:
    """Begun and ended between two glances, and to be started again."""
    row = ended(0)
    bed = Bed(row)
    assert bed.advance() == ["i0"]
    bed.end(row, InstanceStatus.STOPPED)
    bed.restarts.excuse("i0")
    bed.returning.found("local", {"i0": "exit status 1"})
    assert bed.advance() == ["i0"]


def test_one_that_is_held_is_not_started_before_its_record_tells() -> None:
    """Looks may follow each other faster than a record is written."""
    row = ended(1)
    bed = Bed(row)
    for _ in range(HealthConfig().max_recovery_attempts):
        bed.restarts.note(row.id, AT)
    assert bed.advance() == []
    assert bed.held == [row.id]
    bed.returning.found("local", {row.id: "exit status 1"})
    assert bed.advance() == []
    assert bed.held == [row.id]
    bed.apply(Change(instances=(ended(1, InstanceStatus.ERROR),)))
    bed.returning.found("local", {row.id: "exit status 1"})
    assert bed.advance() == []
    bed.apply(Change(instances=(row,)))  # a person's start of it has failed to last
    bed.returning.found("local", {row.id: "exit status 1"})
    assert bed.advance() == [row.id]


def test_only_what_is_still_ended_and_wanted() -> None:
    bed = Bed(ended(0), ended(1), ended(2, InstanceStatus.ERROR), ended(3))
    bed.returning.keep("local", ("i1", "i2", "i3"))
    bed.apply(Change(instances=(instance(1, desired=DesiredState.STOPPED),)))
    assert bed.advance() == ["i3"]
