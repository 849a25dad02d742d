"""Automatic starts: counted, forgiven, and what each end leads to."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from swarmd.actors.restarts import Restarts
from swarmd.core.recovery.again import failed_by_itself
from swarmd.core.recovery.remedy import Act, Hold, Leave, Wait
from swarmd.core.tables import Tables
from swarmd.errors import ProviderError, ProviderUnreachable, SwarmError
from swarmd.messages.config import HealthConfig
from swarmd.messages.enums import (
    DesiredState,
    InstanceStatus,
    OperationKind,
    Origin,
    RecoveryAction,
)
from swarmd.messages.instance import Failure, HealthCheck, Instance, InstanceConfig, Resources
from swarmd.messages.units import Duration, Size
from tests.actors.health_kit import running
from tests.actors.kit import AT, instance, operation

SETTINGS = HealthConfig(max_recovery_attempts=3, stable_time=Duration(60))
DOWN = instance(1, desired=DesiredState.RUNNING)
LATER = AT + timedelta(hours=1)


def tables(*rows: Instance) -> Tables:
    return Tables.build(rows, (), (), 0)


def with_config(row: Instance, **values: object) -> Instance:
    return replace(row, config=InstanceConfig(name=row.name, **values))  # type: ignore[arg-type]


def test_what_ended_is_started_until_it_ended_too_often() -> None:
    restarts = Restarts()
    assert restarts.counts() == {}
    for number in range(3):
        now = LATER + timedelta(minutes=number)
        found = restarts.decide(DOWN, "it ended with 3", SETTINGS, now)
        assert isinstance(found, Act)
        assert found.action is RecoveryAction.RESTART
        restarts.note(DOWN.id, now)
        assert restarts.counts() == {DOWN.id: (number + 1, now)}
    found = restarts.decide(DOWN, "it ended with 3", SETTINGS, LATER + timedelta(minutes=3))
    assert isinstance(found, Hold)
    assert "3 times" in found.why
    restarts.forget(DOWN.id)
    restarts.forget(DOWN.id)
    assert restarts.counts() == {}
    assert isinstance(restarts.decide(DOWN, "", SETTINGS, LATER), Act)


def test_a_start_that_failed_over_and_over_says_why_and_what_helps() -> None:
    error = Failure(
        type="provider_error",
        message="port 8100 is taken by process 7",
        details={"next_step": "Free it."},
    )
    row = replace(DOWN, status=InstanceStatus.ERROR, last_error=failed_by_itself(error))
    restarts = Restarts()
    assert restarts.which(row.id, "", SETTINGS) == "attempt 1 of 3"
    assert restarts.which(row.id, "the memory limit was reached", SETTINGS) == "attempt 1 of 1"
    for _ in range(3):
        restarts.note(row.id, LATER)
    assert row.id in restarts
    found = restarts.decide(row, "it ended with 3", SETTINGS, LATER)
    assert isinstance(found, Hold)
    assert found.why.endswith("does not run although it is to: port 8100 is taken by process 7")
    assert found.next_step("a/b") == "Free it. Then recover it (swarmctl recover a/b)."


def test_between_two_there_is_a_pause() -> None:
    restarts = Restarts()
    restarts.note(DOWN.id, LATER)
    assert isinstance(restarts.decide(DOWN, "", SETTINGS, LATER), Wait)


@pytest.mark.parametrize("words", ["the memory limit was reached", "OOMKilled"])
def test_out_of_memory_it_is_tried_once_and_the_limit_is_named(words: str) -> None:
    row = with_config(DOWN, resources=Resources(memory=Size(64 << 20)))
    restarts = Restarts()
    assert isinstance(restarts.decide(row, words, SETTINGS, LATER), Act)
    restarts.note(row.id, LATER)
    found = restarts.decide(row, words, SETTINGS, LATER)
    assert isinstance(found, Hold)
    assert "64m" in found.why
    assert "swarmctl update web --memory" in found.next_step("web")


@pytest.mark.parametrize(
    ("general", "own", "started"),
    [(True, None, True), (False, None, False), (True, False, False), (False, True, True)],
)
def test_what_is_not_to_be_recovered_is_left(
    general: bool, own: bool | None, started: bool
) -> None:
    row = with_config(replace(DOWN, started_at=AT), health=HealthCheck(recover=own))
    settings = replace(SETTINGS, auto_recover=general)
    found = Restarts().decide(row, "", settings, LATER)
    assert isinstance(found, Act if started else Leave)


def test_a_wish_to_run_that_was_kept_is_carried_out_also_where_nothing_is_recovered() -> None:
    row = with_config(DOWN, health=HealthCheck(recover=False))
    assert row.started_at is None
    assert isinstance(Restarts().decide(row, "", SETTINGS, LATER), Act)


def test_only_what_runs_for_long_is_forgiven() -> None:
    restarts = Restarts()
    rows = {
        "i1": running(1),
        "i2": instance(2, desired=DesiredState.RUNNING),
        "i3": running(3, status=InstanceStatus.STARTING),
        "i4": running(4),
    }
    for each in (*rows, "gone"):
        restarts.note(each, LATER)
    restarts.note("i4", LATER + timedelta(seconds=30))
    restarts.forgive(tables(*rows.values()), LATER + timedelta(seconds=59), SETTINGS)
    assert restarts.counts().keys() == set(rows)
    restarts.forgive(tables(*rows.values()), LATER + timedelta(seconds=60), SETTINGS)
    assert restarts.counts().keys() == {"i2", "i3", "i4"}


@pytest.mark.parametrize("words", ["its folder is gone", "its volume is missing"])
def test_what_lost_its_files_is_never_started_around_empty_ones(words: str) -> None:
    found = Restarts().decide(DOWN, words, SETTINGS, LATER)
    assert isinstance(found, Hold)
    assert "never put in its place" in found.why


def test_what_only_lost_its_container_is_made_anew() -> None:
    found = Restarts().decide(DOWN, "its container was removed", SETTINGS, LATER)
    assert isinstance(found, Act)
    assert found.recreate


@pytest.mark.parametrize(
    ("origin", "error", "left"),
    [
        (Origin.RECONCILE, None, 1),
        (Origin.RECONCILE, ProviderError("it ends with 3"), 1),
        (Origin.RECONCILE, ProviderUnreachable("no engine answers"), 0),
        (Origin.USER, None, None),
        (Origin.USER, ProviderError("it ends with 3"), None),
    ],
)
def test_what_the_end_of_an_operation_means_for_the_attempts(
    origin: Origin, error: SwarmError | None, left: int | None
) -> None:
    """A person's change begins anew; a provider's silence is no fault of the instance."""
    restarts = Restarts()
    restarts.note(DOWN.id, LATER)
    restarts.step_ended(operation("o1", DOWN, kind=OperationKind.START, origin=origin), error)
    assert restarts.counts().keys() == ({DOWN.id} if left is not None else set())
    if left is not None:
        assert restarts.which(DOWN.id, "", SETTINGS) == f"attempt {left + 1} of 3"
