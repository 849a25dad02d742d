"""What is done about what is ill: with patience, at most so many at once, never twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.core.health.facts import Verdict
from swarmd.core.health.rules import Rules, rules_of
from swarmd.core.tables import Tables
from swarmd.errors import Conflict
from swarmd.messages.enums import (
    DesiredState,
    HealthStatus,
    InstanceStatus,
    OperationKind,
    OperationState,
    Origin,
)
from swarmd.messages.health import Illness
from swarmd.messages.instance import HealthCheck, Instance
from tests.actors.health_kit import Bench, running
from tests.actors.kit import AT, operation

HUNG = Verdict(HealthStatus.UNHEALTHY, Illness.HUNG, "it runs and does not answer: no", ())
NAMELESS = Verdict(HealthStatus.UNHEALTHY, None, "something", ())


def rules(bench: Bench, **check: Any) -> Rules:
    return rules_of(bench.settings, HealthCheck(**check))


def consider(bench: Bench, row: Instance, found: Verdict = HUNG, **check: Any) -> list[Any]:
    """What the controller is asked for."""
    bench.remedies.consider(row, rules(bench, **check), found)
    return bench.wishes()


def recovering(number: int, origin: Origin = Origin.RECOVERY) -> Any:
    row = running(number)
    return operation(f"r{number}", row, kind=OperationKind.RESTART, origin=origin)


def test_what_hangs_is_restarted_by_force() -> None:
    bench = Bench(running())
    [submit] = consider(bench, bench.row())
    verdict = submit.decide(bench.published.tables)
    asked = next(each for each in verdict.change.operations if each.id == submit.operation_id)
    assert (asked.kind, asked.origin) == (OperationKind.RESTART, Origin.RECOVERY)
    assert asked.arguments["force"] is True
    assert "recreate" not in asked.arguments
    assert asked.caller.name == "swarmd"
    assert asked.reason == HUNG.details
    submit.joined("o2")


def test_a_wish_that_is_refused_is_only_told(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(running())
    [submit] = consider(bench, bench.row())
    with caplog.at_level("INFO"):
        submit.refused(Conflict("busy"))
    assert "restart of ana/web1 was refused: busy" in caplog.text


def test_a_user_who_stopped_it_meanwhile_is_not_gone_against() -> None:
    bench = Bench(running())
    [submit] = consider(bench, bench.row())
    bench.change(replace(bench.row(), desired=DesiredState.STOPPED, status=InstanceStatus.STOPPED))
    with pytest.raises(Conflict):
        submit.decide(bench.published.tables)


@pytest.mark.parametrize(
    "found", [NAMELESS, Verdict(HealthStatus.UNHEALTHY, Illness.PROVIDER, "no", ())]
)
def test_what_nothing_helps_is_left(found: Verdict) -> None:
    bench = Bench(running())
    assert consider(bench, bench.row(), found) == []
    bench.remedies.again(100.0)
    assert bench.wishes() == []
    assert bench.changes == []


def test_what_is_not_to_be_recovered_is_left() -> None:
    bench = Bench(running())
    assert consider(bench, bench.row(), recover=False) == []
    bench = Bench(running(), auto_recover=False)
    assert consider(bench, bench.row()) == []


def test_what_somebody_works_on_is_left() -> None:
    bench = Bench(running(), operations=[recovering(1, Origin.USER)])
    assert consider(bench, bench.row()) == []


def test_the_second_one_waits_for_its_time_and_the_third_is_another_action() -> None:
    bench = Bench(running())
    assert len(consider(bench, bench.row())) == 1
    # It hangs again at once.
    assert consider(bench, bench.row()) == []
    bench.remedies.again(1.0)
    assert bench.wishes() == []
    bench.clock.forward(6.0)  # the pause is over, and so is the wait for a wish that was lost
    bench.remedies.again(1.5)  # less than a second after it was tried
    assert bench.wishes() == []
    bench.remedies.again(2.0)
    [submit] = bench.wishes()
    verdict = submit.decide(bench.published.tables)
    asked = next(each for each in verdict.change.operations if each.id == submit.operation_id)
    assert asked.arguments["recreate"] is True


def test_what_was_just_wished_for_is_not_judged_again_before_it_is_accepted() -> None:
    bench = Bench(running(), max_recovery_attempts=1)
    assert len(consider(bench, bench.row())) == 1
    bench.clock.forward(2.0)
    assert consider(bench, bench.row()) == []
    assert bench.story == []  # it is not held either: its one attempt is only about to begin


def test_of_several_at_once_one_is_recovered_after_the_other() -> None:
    bench = Bench(running(1), running(2), max_parallel=1)
    assert len(consider(bench, bench.row(1))) == 1
    assert consider(bench, bench.row(2)) == []


def test_what_is_well_meanwhile_is_not_tried_again() -> None:
    bench = Bench(running())
    consider(bench, bench.row())
    consider(bench, bench.row())
    bench.remedies.well("i1", healthy=False)
    bench.clock.forward(400)
    bench.remedies.again(2.0)
    assert bench.wishes() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"started_at": AT + timedelta(minutes=5)},
        {"desired": DesiredState.STOPPED},
        {"status": InstanceStatus.STARTING},
    ],
)
def test_another_life_of_it_is_not_tried_before_it_was_judged(changes: dict[str, Any]) -> None:
    bench = Bench(running())
    consider(bench, bench.row())
    consider(bench, bench.row())
    bench.clock.forward(400)
    bench.change(replace(bench.row(), **changes))
    bench.remedies.again(2.0)
    bench.change(running())
    bench.remedies.again(4.0)
    assert bench.wishes() == []


def test_what_is_gone_meanwhile_is_not_tried_again() -> None:
    bench = Bench(running())
    consider(bench, bench.row())
    consider(bench, bench.row())
    bench.clock.forward(400)
    bench.published.tables = Tables.build((), (), (), 0)
    bench.remedies.again(2.0)
    assert bench.wishes() == []


def tried_too_often(bench: Bench) -> None:
    for _ in range(bench.settings.max_recovery_attempts):
        assert len(consider(bench, bench.row())) == 1
        bench.clock.forward(301)


def test_what_hangs_over_and_over_is_held_once_until_it_was_started_anew() -> None:
    bench = Bench(running(), max_recovery_attempts=3)
    tried_too_often(bench)
    assert consider(bench, bench.row()) == []
    bench.write()
    assert bench.story == ["held"]
    [(_, reason)] = bench.changes[0].reasons
    assert "a crash loop" in reason.why
    assert "3 times" in reason.why
    assert "swarmctl recover" in reason.why  # a start would find it running
    ailment = bench.published.tables.ailments["i1"]
    assert "a crash loop" in str(ailment.held)  # for the alert
    assert "swarmctl recover" in str(ailment.next_step)
    assert reason.by == "recovery"
    assert consider(bench, bench.row()) == []
    bench.write()
    assert bench.story == ["held"]
    assert bench.row().status is InstanceStatus.RUNNING  # it is left as it is
    started = bench.row().started_at
    assert started is not None
    bench.change(replace(bench.row(), started_at=started + timedelta(seconds=1)))
    assert len(consider(bench, bench.row())) == 1


def test_what_is_held_and_ill_again_has_its_alert_again() -> None:
    bench = Bench(running(), max_recovery_attempts=1)
    tried_too_often(bench)
    consider(bench, bench.row())
    bench.write()
    bench.remedies.well("i1", healthy=True)
    bench.change(ailments={"i1": None})
    for _ in range(2):
        assert consider(bench, bench.row()) == []
        bench.write()
    assert bench.published.tables.ailments["i1"].held
    assert bench.story == ["held"]  # which has been said
    assert len(bench.changes) == 2


def test_well_for_long_is_forgiven() -> None:
    bench = Bench(running(), max_recovery_attempts=3)
    tried_too_often(bench)
    bench.remedies.well("i1", healthy=True)  # the last one was 301 s ago
    bench.clock.forward(300)
    bench.remedies.well("i1", healthy=False)
    bench.remedies.well("i1", healthy=True)
    assert len(consider(bench, bench.row())) == 1


def test_the_forgotten_one_begins_anew() -> None:
    bench = Bench(running(), max_recovery_attempts=3)
    tried_too_often(bench)
    bench.remedies.forget("i1")
    assert len(consider(bench, bench.row())) == 1


def test_only_so_many_at_once_at_one_provider() -> None:
    others = [running(2), running(3), running(9, provider="box1")]
    active = [recovering(2), recovering(9)]
    bench = Bench(running(), *others, operations=active, max_parallel=1)
    assert consider(bench, bench.row()) == []
    ended = replace(active[0], state=OperationState.SUCCEEDED)
    bench.change(operations=(ended,))
    bench.remedies.again(1.0)
    assert len(bench.wishes()) == 1


def test_a_users_operations_take_no_turn() -> None:
    active = [recovering(2, Origin.USER)]
    bench = Bench(running(), running(2), operations=active, max_parallel=1)
    assert len(consider(bench, bench.row())) == 1
