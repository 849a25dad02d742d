"""Strays as they are listed, ended and adopted."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.core.reconcile import Found
from swarmd.core.strays import adopted, stand_in_for, stray_of
from swarmd.errors import Conflict, InstanceNotFound, SwarmError, ValidationError
from swarmd.messages.enums import AuthType, DesiredState, InstanceStatus
from swarmd.messages.instance import Auth, Instance
from swarmd.messages.provider import Observed
from swarmd.messages.secret import Secret
from tests.core.samples import NODE, NOW, config, make_id, observed


def test_a_stray_as_it_is_listed() -> None:
    seen = observed(7, name="web", owner="ana", epoch=3, bytes=5)
    stray = stray_of(Found("local", seen), NODE, NOW)
    assert (stray.id, stray.provider, stray.name, stray.owner) == (
        make_id(7), "local", "web", "ana",
    )  # fmt: skip
    assert (stray.epoch, stray.bytes, stray.running, stray.found_at) == (3, 5, True, NOW)
    assert stray.reason == "no record explains it"


def test_another_node_s() -> None:
    seen = observed(7, node="node-b", status=InstanceStatus.STOPPED)
    stray = stray_of(Found("local", seen), NODE, NOW)
    assert (stray.reason, stray.node, stray.running) == ("made by node node-b", "node-b", False)


@pytest.mark.parametrize(
    ("seen", "ref"),
    [
        (observed(7, name="web", owner="ana", epoch=4), "ana/web"),
        (observed(7), f"/{make_id(7)}"),
    ],
)
def test_what_stands_in_for_a_record(seen: Observed, ref: str) -> None:
    record = stand_in_for(seen)
    assert (record.id, record.ref, record.epoch, record.node) == (seen.id, ref, seen.epoch, NODE)
    assert record.desired is DesiredState.DELETED
    assert record.config.name == record.name


def adopt(seen: Observed | None, **values: Any) -> Instance:
    defaults: dict[str, Any] = {
        "provider": "local",
        "provider_type": "local",
        "node": NODE,
        "name": None,
        "owner": "ana",
        "password": "fresh",
        "taken": False,
        "now": NOW,
    }
    return adopted(seen, **defaults | values)


@pytest.mark.parametrize(
    ("status", "desired", "shown"),
    [
        (InstanceStatus.RUNNING, DesiredState.RUNNING, InstanceStatus.UNKNOWN),
        (InstanceStatus.STOPPED, DesiredState.STOPPED, InstanceStatus.UNKNOWN),
        (InstanceStatus.ERROR, DesiredState.STOPPED, InstanceStatus.UNKNOWN),
        (InstanceStatus.DELETED, DesiredState.DELETED, InstanceStatus.DELETED),
    ],
)
def test_an_adopted_one_goes_on_as_it_was_found(
    status: InstanceStatus, desired: DesiredState, shown: InstanceStatus
) -> None:
    record = adopt(observed(7, name="web", status=status, epoch=4, config=config("old")))
    assert (record.id, record.ref, record.config.name) == (make_id(7), "ana/web", "web")
    assert (record.desired, record.status, record.epoch) == (desired, shown, 4)
    assert record.config.auth.credentials == Secret("fresh")
    running = status is InstanceStatus.RUNNING
    assert record.restart_required == (("auth.credentials",) if running else ())
    assert (record.deleted_at is not None) is (status is InstanceStatus.DELETED)


def test_an_adopted_one_may_get_another_name_and_keeps_its_way_to_log_in() -> None:
    seen = observed(7, name="web", config=config("web", auth=Auth(type=AuthType.NONE)))
    record = adopt(seen, name="api", owner="bo")
    assert (record.ref, record.config.name) == ("bo/api", "api")
    assert record.config.auth == Auth(type=AuthType.NONE)
    assert record.restart_required == ()


def test_one_without_a_name_is_called_by_its_id() -> None:
    record = adopt(observed(7))
    assert record.name == record.config.name == make_id(7)


@pytest.mark.parametrize(
    ("seen", "values", "error", "field", "hint"),
    [
        (None, {}, InstanceNotFound, "id", "swarmctl doctor"),
        (
            observed(7, name="web"),
            {"taken": True},
            Conflict,
            "name",
            f"swarmctl doctor adopt {make_id(7)} local --name NEW",
        ),
        (observed(7, name="../web"), {}, ValidationError, "name", "Use 1 to 63"),
        (observed(7, name="web"), {"name": "a b"}, ValidationError, "name", "Use 1 to 63"),
        (observed(7, name="web"), {"owner": ""}, ValidationError, "owner", "Use 1 to 63"),
    ],
)
def test_a_refused_adoption(
    seen: Observed | None,
    values: dict[str, Any],
    error: type[SwarmError],
    field: str,
    hint: str,
) -> None:
    with pytest.raises(error) as caught:
        adopt(seen, **values)
    assert caught.value.field == field
    assert hint in str(caught.value.next_step)
