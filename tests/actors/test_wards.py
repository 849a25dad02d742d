"""What a monitor remembers, and what it lets go of."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from swarmd.actors.wards import Wards
from swarmd.messages.config import HealthConfig
from swarmd.messages.enums import DesiredState, HealthStatus, InstanceStatus
from swarmd.messages.health import HealthPoint, InstanceHealth
from swarmd.messages.instance import HealthCheck, Instance, InstanceConfig
from swarmd.messages.units import Duration
from tests.actors.health_kit import running
from tests.actors.kit import AT, instance


class Settings:
    """``[health]``, which a reload replaces."""

    def __init__(self) -> None:
        self.now = HealthConfig(check_interval=Duration(30), history_size=3)

    def __call__(self) -> HealthConfig:
        return self.now


def wards() -> tuple[Wards, Settings]:
    settings = Settings()
    return Wards(settings), settings


def with_check(row: Instance, check: HealthCheck) -> Instance:
    return replace(row, config=InstanceConfig(name=row.name, health=check))


def test_rules_are_made_anew_only_when_what_they_are_made_of_changes() -> None:
    known, settings = wards()
    row = running()
    first = known.rules(row)
    assert first.interval == 30
    assert known.rules(replace(row, revision=2)) is first
    settings.now = replace(settings.now, check_interval=Duration(10))
    assert known.rules(row).interval == 10
    own = with_check(row, HealthCheck(interval=Duration(2)))
    assert known.rules(own).interval == 2
    assert known.rules(own) is known.rules(own)


def test_nothing_is_remembered_until_the_store_was_asked() -> None:
    known, _ = wards()
    row = running()
    assert known.track(row) is None
    assert row.id not in known
    known.take(row.id)
    track = known.track(row)
    assert track is not None
    assert row.id in known
    known.take(row.id, None)
    assert known.track(row) is track


def test_what_the_store_kept_is_taken_up() -> None:
    known, _ = wards()
    row = running()
    points = (HealthPoint(at=AT, status=HealthStatus.DEGRADED, message="slow"),)
    kept = InstanceHealth(
        id=row.id, ref=row.ref, status=HealthStatus.DEGRADED, since=AT, history=points
    )
    known.take(row.id, kept)
    track = known.track(row)
    assert track is not None
    assert track.status is HealthStatus.DEGRADED
    assert track.to_health(row).history == points


def test_a_new_start_begins_a_new_life() -> None:
    known, _ = wards()
    row = running()
    known.take(row.id)
    track = known.track(row)
    assert track is not None
    track.answered(False, 1.0, "no", AT + timedelta(hours=1))
    assert known.track(row).failures == 1  # type: ignore[union-attr]
    again = replace(row, started_at=AT + timedelta(hours=2))
    assert known.track(again).failures == 0  # type: ignore[union-attr]
    down = replace(row, status=InstanceStatus.STOPPED, started_at=None)
    assert known.track(down) is track


def test_what_is_not_to_run_costs_nothing() -> None:
    known, _ = wards()
    rows = (
        running(1),
        instance(2),
        instance(3, health=HealthStatus.UNHEALTHY),
        instance(4, desired=DesiredState.RUNNING),
    )
    assert known.missing(rows) == {"i1", "i3", "i4"}
    known.take("i1")
    assert known.missing(rows) == {"i3", "i4"}


def test_what_is_gone_is_forgotten_with_all_that_was_noted() -> None:
    known, _ = wards()
    rows = [running(1), running(2)]
    for row in rows:
        known.take(row.id)
        known.rules(row)
        known.note_judged(row)
        known.note_changed(row.id)
    assert known.forget_others({"i2", "i7"}) == {"i1"}
    assert "i1" not in known
    assert not known.is_judged(rows[0])
    assert known.is_judged(rows[1])
    assert [each.id for each in known.to_keep({row.id: row for row in rows})] == ["i2"]
    assert known.forget_others({"i2"}) == set()


def test_what_is_new_is_kept_once() -> None:
    known, _ = wards()
    row = running()
    known.take(row.id)
    known.note_changed(row.id)
    known.note_changed(row.id)
    known.note_changed("unknown")
    [kept] = known.to_keep({row.id: row})
    assert (kept.id, kept.ref) == (row.id, row.ref)
    assert known.to_keep({row.id: row}) == []
    known.note_changed(row.id)
    assert known.to_keep({}) == []


def test_a_changed_record_is_judged_anew() -> None:
    known, _ = wards()
    row = running()
    assert not known.is_judged(row)
    known.note_judged(row)
    assert known.is_judged(row)
    assert not known.is_judged(replace(row, revision=9))
