"""An automatic start that failed: marked on the record, and counted among those at once."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.core.recovery.again import is_tried_again
from swarmd.core.recovery.turns import under_way
from swarmd.errors import DeadlineExceeded, OperationCancelled, SwarmError
from swarmd.messages.enums import DesiredState, InstanceStatus, OperationKind, Origin
from tests.core.desk import BROKEN, RESTART, START, UPDATE, Desk, update_arguments
from tests.core.samples import config, instance

DOWN: dict[str, Any] = {
    "status": InstanceStatus.STOPPED,
    "desired": DesiredState.RUNNING,
}


@pytest.mark.parametrize("error", [BROKEN, DeadlineExceeded("it does not answer")])
@pytest.mark.parametrize("kind", [START, RESTART])
@pytest.mark.parametrize("origin", Origin)
def test_the_record_remembers_who_asked(
    origin: Origin, kind: OperationKind, error: SwarmError
) -> None:
    desk = Desk(instance(1, **DOWN))
    desk.fail(desk.ask(kind, origin=origin), error)
    record = desk.record()
    assert record.status is InstanceStatus.ERROR
    assert record.last_error is not None
    assert record.last_error.message == error.message
    assert is_tried_again(record) is (origin is not Origin.USER)


def test_what_a_user_ends_or_starts_is_not_tried_again() -> None:
    desk = Desk(instance(1, **DOWN))
    desk.fail(desk.automatic(START))
    desk.run(desk.ask(START))
    assert not is_tried_again(desk.record())
    desk.fail(desk.automatic(RESTART), OperationCancelled("stop took precedence"))
    assert not is_tried_again(desk.record())
    desk.fail(desk.ask(START))
    assert not is_tried_again(desk.record())


def test_only_what_brings_back_takes_a_turn() -> None:
    rows = [instance(number, name=f"n{number}", **DOWN) for number in range(1, 5)]
    elsewhere = instance(5, name="n5", provider="box1", **DOWN)
    desk = Desk(*rows, elsewhere)
    assert under_way(desk.tables, "local") == 0
    desk.ask(START, rows[0].id)
    desk.automatic(UPDATE, rows[1].id, **update_arguments(config(name="n2")))
    assert under_way(desk.tables, "local") == 0
    desk.automatic(START, rows[2].id)
    desk.ask(RESTART, rows[3].id, origin=Origin.RECOVERY)
    desk.automatic(START, elsewhere.id)
    assert under_way(desk.tables, "local") == 2
