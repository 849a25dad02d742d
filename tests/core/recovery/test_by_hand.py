"""A recovery that a user asks for: what it becomes, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.core.recovery.by_hand import by_hand
from swarmd.errors import Unavailable, ValidationError
from swarmd.messages.enums import (
    DesiredState,
    InstanceStatus,
    OperationKind,
    Origin,
    RecoveryAction,
)
from swarmd.messages.requests import RecoverInstance
from tests.core.desk import tables_of
from tests.core.intakes import decided, refused
from tests.core.samples import instance

RESTART, RECREATE = RecoveryAction.RESTART, RecoveryAction.RECREATE
MIGRATE = RecoveryAction.MIGRATE


@pytest.mark.parametrize(
    ("action", "arguments"),
    [
        (RESTART, {"force": True, "recreate": False}),
        (RECREATE, {"force": True, "recreate": True}),
    ],
)
@pytest.mark.parametrize("status", list(InstanceStatus))
def test_what_is_to_run_is_recovered_whatever_its_status(
    action: RecoveryAction, arguments: dict[str, Any], status: InstanceStatus
) -> None:
    assert by_hand(action, instance(1, status=status)) == arguments


@pytest.mark.parametrize("action", list(RecoveryAction))
@pytest.mark.parametrize("desired", [DesiredState.STOPPED, DesiredState.DELETED])
def test_what_is_not_to_run_is_not_recovered(action: RecoveryAction, desired: DesiredState) -> None:
    with pytest.raises(ValidationError) as caught:
        by_hand(action, instance(1, desired=desired))
    assert caught.value.field == "id"
    assert f"is to be {desired}" in caught.value.message
    assert "swarmctl start ana/web" in (caught.value.next_step or "")


def test_nothing_can_be_moved() -> None:
    with pytest.raises(Unavailable) as caught:
        by_hand(MIGRATE, instance(1))
    assert caught.value.field == "action"
    assert "no other provider fits" in caught.value.message
    assert "recreate" in (caught.value.next_step or "")


def test_a_request_becomes_a_restart_of_the_users() -> None:
    operation, record = decided(
        RecoverInstance(id="web", action=RECREATE),
        tables_of(instance(1, status=InstanceStatus.ERROR)),
    )
    assert (operation.kind, operation.origin) == (OperationKind.RESTART, Origin.USER)
    assert operation.arguments.items() >= {"force": True, "recreate": True}.items()
    assert record.desired is DesiredState.RUNNING


def test_the_gentlest_is_the_default() -> None:
    operation, _ = decided(RecoverInstance(id="web"), tables_of(instance(1)))
    assert operation.arguments.items() >= {"force": True, "recreate": False}.items()


def test_what_is_in_the_trash_is_not_recovered() -> None:
    trashed = instance(1, status=InstanceStatus.DELETED, desired=DesiredState.DELETED)
    assert refused(RecoverInstance(id="web"), tables_of(trashed)).next_step
