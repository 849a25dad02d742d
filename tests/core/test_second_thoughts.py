"""Wishes that are taken back, joined or repeated: what stays wished."""

from __future__ import annotations

import pytest

from swarmd.core.wishes import accept
from swarmd.messages.enums import DesiredState, InstanceStatus, OperationState
from tests.core.desk import CANCELLED, DELETE, RESTART, START, STOP, Desk
from tests.core.samples import instance, make_id

RUNNING, STOPPED = InstanceStatus.RUNNING, InstanceStatus.STOPPED


def test_a_delete_that_waited_and_was_cancelled_does_not_happen_later() -> None:
    desk = Desk(instance(1, status=RUNNING, desired=DesiredState.RUNNING))
    stop = desk.ask(STOP)
    delete = desk.ask(DELETE)
    desk.cancel(delete)
    desk.run(stop)
    assert desk.of(delete).state is OperationState.CANCELLED
    record = desk.tables.instances[make_id(1)]
    assert record.status is STOPPED
    assert record.desired is DesiredState.STOPPED


@pytest.mark.parametrize(
    ("status", "desired"),
    [(STOPPED, DesiredState.STOPPED), (RUNNING, DesiredState.RUNNING)],
)
def test_a_cancelled_restart_leaves_the_wish_as_it_was(
    status: InstanceStatus, desired: DesiredState
) -> None:
    desk = Desk(instance(1, status=status, desired=desired))
    restart = desk.ask(RESTART)
    desk.cancel(restart)
    desk.fail(restart, CANCELLED)
    assert desk.tables.instances[make_id(1)].desired is desired


def test_a_stop_makes_a_restart_unnecessary() -> None:
    desk = Desk(instance(1, status=RUNNING, restart_required=("env",)))
    desk.run(desk.ask(STOP))
    assert desk.tables.instances[make_id(1)].restart_required == ()


def test_a_wish_that_joined_is_known_again_by_its_key() -> None:
    desk = Desk(instance(1, status=RUNNING, desired=DesiredState.RUNNING))
    stop = desk.ask(STOP)
    assert desk.ask(STOP, key="k", digest="d").id == stop.id
    desk.run(stop)
    desk.run(desk.ask(START))
    again = accept(desk.tables, desk.wish(STOP, key="k", digest="d"), make_id(1))
    assert again.operation_id == stop.id
    assert again.joined
    assert desk.tables.instances[make_id(1)].status is RUNNING
