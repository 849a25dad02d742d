"""A hold: what it writes, whom it spares, and what ends it."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.core.reconcile import Facts, reconcile
from swarmd.core.recovery.held import hold, is_held, words_of_hold
from swarmd.core.recovery.remedy import Hold
from swarmd.core.tables import Change
from swarmd.messages.enums import DesiredState, EventType, InstanceStatus, OperationKind, Origin
from swarmd.messages.instance import Failure, Instance
from tests.core.desk import RESTART, START, STOP, UPDATE, Desk, tables_of, update_arguments
from tests.core.samples import NODE, NOW, config, instance, later, make_id, observed

LOOP = Hold("a crash loop: it was tried 5 times", "Look at its log (swarmctl logs NAME).")
STOPPED, ERROR = InstanceStatus.STOPPED, InstanceStatus.ERROR


def held(**values: Any) -> Instance:
    row = instance(1, **{"status": STOPPED} | values)
    [after] = hold(tables_of(row), row.id, LOOP, NOW).instances
    return after


def test_a_hold_says_why_and_what_can_be_done() -> None:
    row = instance(1, status=STOPPED, revision=4)
    change = hold(tables_of(row), row.id, LOOP, later(5))
    [after] = change.instances
    assert (after.status, after.desired) == (ERROR, DesiredState.RUNNING)
    assert is_held(after)
    assert after.last_error is not None
    assert after.last_error.message == "ana/web is held: a crash loop: it was tried 5 times"
    step = "Look at its log (swarmctl logs ana/web)."
    assert after.last_error.details["next_step"] == step
    assert words_of_hold(after) == f"it is held: {LOOP.why}. {step}"
    [event] = change.events
    assert event.type is EventType.INSTANCE_STATUS_CHANGED
    assert event.data["before"] == "stopped"
    assert event.data["why"] == after.last_error.message
    [(target, reason)] = change.reasons
    assert (target, reason.what, reason.by) == (row.id, "held", "recovery")
    assert reason.at == later(5)
    assert reason.why == f"{LOOP.why}. {step}"


@pytest.mark.parametrize("desired", [DesiredState.STOPPED, DesiredState.DELETED])
def test_what_is_not_to_run_is_not_held(desired: DesiredState) -> None:
    row = instance(1, status=STOPPED, desired=desired)
    assert hold(tables_of(row), row.id, LOOP, NOW) == Change()


def test_what_is_gone_busy_or_held_already_is_left_alone() -> None:
    assert hold(tables_of(), make_id(1), LOOP, NOW) == Change()
    desk = Desk(instance(1, status=STOPPED))
    desk.ask(START)
    assert hold(desk.tables, make_id(1), LOOP, NOW) == Change()
    assert hold(tables_of(held()), make_id(1), LOOP, NOW) == Change()


@pytest.mark.parametrize(
    "row",
    [
        instance(1, status=STOPPED),
        instance(1, status=ERROR),
        instance(1, status=ERROR, last_error=Failure(type="provider_error", message="x")),
        instance(
            1, status=STOPPED, last_error=Failure(type="x", message="y", details={"held": True})
        ),
    ],
)
def test_what_is_not_held(row: Instance) -> None:
    assert not is_held(row)
    assert words_of_hold(row) is None


def test_reconciliation_leaves_it_alone_for_good() -> None:
    row = held()
    plan = reconcile(
        Facts(
            records={row.id: row},
            busy=frozenset(),
            observed={"local": [observed(1, status=STOPPED, exit="it ended with 3")]},
            absences={},
            confirmed_absent=frozenset(),
            tombstones=frozenset(),
            attempts={},
            node=NODE,
            now=later(1e6),
            trash_retention=86400.0,
            chance=0.5,
        )
    )
    assert plan.start == ()
    assert plan.empty


@pytest.mark.parametrize("kind", [START, RESTART, STOP])
def test_a_users_wish_ends_it(kind: OperationKind) -> None:
    desk = Desk(held())
    desk.run(desk.ask(kind))
    assert not is_held(desk.record())


def test_a_recovery_by_hand_ends_it() -> None:
    desk = Desk(held())
    desk.run(desk.ask(RESTART, force=True, recreate=True, origin=Origin.USER))
    assert desk.record().status is InstanceStatus.RUNNING
    assert not is_held(desk.record())


def test_a_changed_configuration_ends_it() -> None:
    """As the hold itself says: change its configuration."""
    desk = Desk(held())
    operation = desk.ask(UPDATE, **update_arguments(config(env={"FIXED": "1"})))
    desk.end(operation)
    desk.end(operation, observed=observed(1, status=STOPPED))
    assert not is_held(desk.record())
    # It is to run and does not: reconciliation starts it.
    assert (desk.record().status, desk.record().desired) == (STOPPED, DesiredState.RUNNING)
