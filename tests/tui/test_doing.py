"""What is done, what is lost by it, and how it ended, in words: pure."""

from __future__ import annotations

import pytest

from swarmd.errors import DaemonUnreachable, DeadlineExceeded, ResourceLimitError, SwarmError
from swarmd.messages import codec
from swarmd.messages.enums import InstanceStatus, OperationKind, OperationState
from tests.tui import scene
from tui.actions import BY_NAME
from tui.model.doing import cancelled, lasts
from tui.model.placing import refusal
from tui.model.rows import FIELDS, Row, row_of
from tui.model.text import plain
from tui.tools import opened

DOWN = (InstanceStatus.STOPPED, InstanceStatus.CREATED)


def row(number: int, status: InstanceStatus = InstanceStatus.RUNNING, **facts: object) -> Row:
    data = codec.to_plain(scene.instance(f"i{number}", number=number, status=status, **facts))
    return row_of({field: data.get(field) for field in FIELDS})


@pytest.mark.parametrize("status", InstanceStatus)
@pytest.mark.parametrize("name", ["stop", "restart"])
def test_only_what_is_known_to_be_down_is_stopped_without_a_question(
    name: str, status: InstanceStatus
) -> None:
    loses = BY_NAME[name].loses([row(1, status)])
    assert bool(loses) is (status not in DOWN)
    assert ("may run" in loses) is (status not in (*DOWN, InstanceStatus.RUNNING))
    assert BY_NAME[name].loses([row(1, InstanceStatus.STOPPED), row(2, status)]) == loses


def test_how_long_the_trash_keeps_is_not_promised() -> None:
    assert "trash_retention" in BY_NAME["delete"].loses([row(1)])
    assert "day" not in BY_NAME["delete"].loses([row(1)]) + BY_NAME["delete"].what


@pytest.mark.parametrize("kind", OperationKind)
def test_what_becomes_of_one_whose_operation_is_cancelled(kind: OperationKind) -> None:
    one = scene.operation(1, kind, scene.instance("web", number=1))
    assert cancelled([one]).endswith(".")
    assert cancelled([one, one]) == cancelled([one])


def test_of_several_kinds_each_is_told() -> None:
    web = scene.instance("web", number=1)
    start, stop = (
        scene.operation(1, OperationKind.START, web),
        scene.operation(2, OperationKind.STOP, web),
    )
    waits = scene.operation(3, OperationKind.DELETE, web, state=OperationState.PENDING)
    assert cancelled([waits]) == "It was not begun yet."
    assert cancelled([start, stop, waits]).splitlines() == [
        "Start: It stays stopped, and nothing starts it by itself.",
        "Stop: It is to run on: if it has ended already, it is started again.",
        "What waits is not begun.",
    ]


def test_which_were_opened_and_which_not() -> None:
    assert opened([row(1)]) == "Opened ana/i1"
    rows = [*(row(at) for at in range(1, 8)), row(9, InstanceStatus.STOPPED, url=None)]
    assert opened(rows) == (
        "Opened ana/i1, ana/i2, ana/i3, ana/i4, ana/i5; 2 more not: no more than 5 at once; "
        "ana/i9: no URL: not running. s starts it."
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ResourceLimitError("no provider takes it"), "It would be made nowhere"),
        (DaemonUnreachable("it is gone"), "It is not known where it would be made"),
        (DeadlineExceeded("no answer"), "It is not known where it would be made"),
    ],
)
def test_a_lost_connection_is_no_refusal(error: SwarmError, words: str) -> None:
    assert plain(next(iter(refusal(error, 60)))) == words


@pytest.mark.parametrize(
    ("seconds", "state", "said"),
    [
        (0.43, OperationState.SUCCEEDED, "430 ms"),
        (3.2, OperationState.SUCCEEDED, "3s"),
        (0.43, OperationState.RUNNING, "0s"),
    ],
)
def test_how_long_it_took(seconds: float, state: OperationState, said: str) -> None:
    operation = scene.operation(
        1,
        OperationKind.START,
        scene.a_class()[0],
        state=state,
        started_at=scene.ago(seconds),
        ended_at=scene.NOW if state.ended else None,
    )
    assert lasts(operation, scene.NOW) == said
