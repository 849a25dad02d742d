from __future__ import annotations

from itertools import product

import pytest

from swarmd.core import lifecycle
from swarmd.core.lifecycle import (
    BUSY,
    DELETED,
    DELETING,
    DOWN,
    ERROR,
    MOVES,
    RUNNING,
    STOPPED,
    STOPPING,
    UNKNOWN,
    InvalidTransition,
    can_move,
    move,
)
from swarmd.messages.enums import InstanceStatus
from tests.core.samples import NOW, OBSERVED, instance, later

UP = {
    RUNNING,
    InstanceStatus.STARTING,
    InstanceStatus.UPDATING,
    InstanceStatus.MIGRATING,
    InstanceStatus.RECOVERING,
}
"""The server answers, or is meant to in a moment."""


def test_every_status_stands_in_the_table_and_none_moves_to_itself() -> None:
    assert set(MOVES) == set(InstanceStatus)
    assert all(status not in targets for status, targets in MOVES.items())


@pytest.mark.parametrize("status", list(InstanceStatus))
def test_every_status_has_a_way_to_delete(status: InstanceStatus) -> None:
    assert can_move(status, DELETING)
    assert can_move(DELETING, DELETED)


@pytest.mark.parametrize("status", list(InstanceStatus))
def test_reality_can_always_be_recorded(status: InstanceStatus) -> None:
    assert can_move(status, UNKNOWN)
    assert all(can_move(UNKNOWN, seen) for seen in OBSERVED)


def test_what_was_deleted_comes_back_stopped_or_goes_for_good() -> None:
    assert MOVES[DELETED] >= {STOPPED, DELETING}
    assert not can_move(DELETED, RUNNING)


@pytest.mark.parametrize("status", sorted(UP))
def test_a_stop_pre_empts_whatever_is_up(status: InstanceStatus) -> None:
    assert can_move(status, STOPPING)


@pytest.mark.parametrize("status", sorted(BUSY))
def test_whatever_is_being_done_can_fail(status: InstanceStatus) -> None:
    assert can_move(status, ERROR)


def test_subsets() -> None:
    assert not BUSY & set(OBSERVED)
    assert set(OBSERVED) >= DOWN
    assert not UP & DOWN


@pytest.mark.parametrize(("a", "b"), list(product(InstanceStatus, InstanceStatus)))
def test_move_does_what_the_table_says_and_nothing_else(
    a: InstanceStatus, b: InstanceStatus
) -> None:
    before = instance(status=a, observation=7)
    if a != b and b not in MOVES[a]:
        with pytest.raises(InvalidTransition) as caught:
            move(before, b, now=later(5), story=("created by ana",))
        assert before.ref in caught.value.message
        assert caught.value.story == ("created by ana",)
        assert caught.value.details["story"] == ["created by ana"]
        assert caught.value.type == "internal_error"
        return
    after = move(before, b, now=later(5), url="http://x/")
    assert (after.status, after.url, after.updated_at) == (b, "http://x/", later(5))
    assert after.observation == (7 if a == b else 8)
    assert before.updated_at == NOW


def test_names_of_statuses_are_all_there() -> None:
    assert all(getattr(lifecycle, status.name) is status for status in InstanceStatus)
