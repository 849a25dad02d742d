"""A start of what runs, and a stop of what is stopped: found so, told so, nothing else changed."""

from __future__ import annotations

from datetime import datetime

import msgspec
import pytest

from swarmd.messages.enums import DesiredState, InstanceStatus
from swarmd.messages.instance import Instance
from swarmd.messages.provider import Observed
from tests.core.desk import START, STOP, Desk
from tests.core.samples import instance, later, observed

RUNNING, STOPPED = InstanceStatus.RUNNING, InstanceStatus.STOPPED
ERROR, UNKNOWN = InstanceStatus.ERROR, InstanceStatus.UNKNOWN


def stopped() -> Instance:
    return instance(1, status=STOPPED, desired=DesiredState.STOPPED)


@pytest.mark.parametrize("status", [RUNNING, UNKNOWN, ERROR])
@pytest.mark.parametrize("told", [None, later(-60)])
def test_a_start_of_what_runs_is_told_as_such_and_applies_nothing(
    status: InstanceStatus, told: datetime | None
) -> None:
    """What waits for a restart still waits: the life that runs has not seen it."""
    life = instance(1, status=status, started_at=later(-60), restart_required=("env",))
    desk = Desk(life)
    desk.end(desk.ask(START), observed=observed(started_at=told, unchanged=True), url="http://x")
    record = desk.record()
    assert (record.status, record.started_at) == (RUNNING, later(-60))
    assert record.restart_required == ("env",)
    assert "instance_started" not in desk.told
    assert desk.events[-2].data["status"] == "running", "who shows it as starting is told"
    assert desk.story[-1] == "found running already: asked for by ana"


@pytest.mark.parametrize(
    ("life", "seen"),
    [
        (instance(1, started_at=later(-60)), observed(started_at=later(0))),
        (instance(1, started_at=later(-60)), observed(started_at=later(0), unchanged=True)),
        # Taken up after a crash: the start had done it, and it was not yet written down.
        (stopped(), observed(started_at=later(-60), unchanged=True)),
    ],
)
def test_a_start_that_began_a_life_is_a_start(life: Instance, seen: Observed) -> None:
    desk = Desk(msgspec.structs.replace(life, restart_required=("env",)))
    desk.end(desk.ask(START), observed=seen, url="http://x")
    assert desk.record().restart_required == ()
    assert "instance_started" in desk.told


@pytest.mark.parametrize(("unchanged", "already"), [(True, True), (False, False)])
def test_a_stop_of_what_is_stopped_is_told_as_such(unchanged: bool, already: bool) -> None:
    """Unless something ran that nobody knew of: what a start that was cut off left behind."""
    desk = Desk(stopped())
    desk.end(desk.ask(STOP), observed=observed(status=STOPPED, unchanged=unchanged))
    assert ("instance_stopped" not in desk.told) is already
    assert ("found stopped already: asked for by ana" in desk.story) is already
