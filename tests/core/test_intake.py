"""Requests about what is there: from a request to a verdict, also when it is asked again."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.core.intake import check_driven, decide
from swarmd.core.tables import Change, Tables
from swarmd.core.wishes import Verdict
from swarmd.errors import Conflict, InternalError, SwarmError, Unavailable
from swarmd.messages import codec
from swarmd.messages.enums import AuthType, InstanceStatus, OperationKind, OperationState
from swarmd.messages.instance import Auth, InstanceConfig
from swarmd.messages.requests import (
    CreateInstance,
    DeleteInstance,
    Mutation,
    RestartInstance,
    StartInstance,
    StopInstance,
    UndeleteInstance,
    UpdateInstance,
)
from swarmd.messages.secret import Secret
from tests.core.desk import BO, tables_of
from tests.core.intakes import OFF, SMALL, decided, intake, refused
from tests.core.samples import config, instance, make_id


@pytest.mark.parametrize(
    ("request_", "status", "kind", "arguments"),
    [
        (StartInstance(id="web"), InstanceStatus.STOPPED, OperationKind.START, {}),
        (
            StopInstance(id="web", force=True),
            InstanceStatus.RUNNING,
            OperationKind.STOP,
            {"force": True},
        ),
        (
            RestartInstance(id="web"),
            InstanceStatus.RUNNING,
            OperationKind.RESTART,
            {"force": False},
        ),
        (
            DeleteInstance(id="ana/web"),
            InstanceStatus.RUNNING,
            OperationKind.DELETE,
            {"force": False},
        ),
        (
            DeleteInstance(id="web", force=True),
            InstanceStatus.DELETED,
            OperationKind.DELETE,
            {"force": True},
        ),
        (
            UndeleteInstance(id="web", name="old"),
            InstanceStatus.DELETED,
            OperationKind.UNDELETE,
            {"name": "old"},
        ),
    ],
)
def test_requests(
    request_: Mutation, status: InstanceStatus, kind: OperationKind, arguments: dict[str, Any]
) -> None:
    operation, _ = decided(request_, tables_of(instance(1, status=status)))
    assert operation.kind is kind
    assert operation.arguments.items() >= arguments.items()
    assert operation.state is OperationState.RUNNING


def test_an_undelete_means_the_one_in_the_trash() -> None:
    tables = tables_of(instance(1, status=InstanceStatus.DELETED), instance(2))
    operation, _ = decided(UndeleteInstance(id="web", name="old"), tables)
    assert operation.target == make_id(1)
    assert refused(UndeleteInstance(id="web"), tables).field == "name"
    assert decided(StopInstance(id="web"), tables)[0].target == make_id(2)


@pytest.mark.parametrize(
    ("request_", "status", "kind", "field", "hint"),
    [
        (StartInstance(id="nope"), InstanceStatus.STOPPED, "instance_not_found", "id", "ls"),
        (StartInstance(id=" "), InstanceStatus.STOPPED, "validation_error", "id", "Give an id"),
        (
            StartInstance(id="web"),
            InstanceStatus.DELETED,
            "conflict",
            "id",
            f"swarmctl undelete {make_id(1)}",
        ),
        (DeleteInstance(id="web"), InstanceStatus.DELETED, "conflict", "id", "swarmctl rm --force"),
        (UndeleteInstance(id="web"), InstanceStatus.RUNNING, "conflict", "id", "ls --trash"),
        (
            UndeleteInstance(id="web", name="a/b"),
            InstanceStatus.DELETED,
            "validation_error",
            "name",
            "Use 1 to 63",
        ),
    ],
)
def test_a_refused_request(
    request_: Mutation, status: InstanceStatus, kind: str, field: str, hint: str
) -> None:
    error = refused(request_, tables_of(instance(1, status=status)))
    assert (error.type, error.field) == (kind, field)
    assert hint in str(error.next_step)


def update(changes: dict[str, Any], **values: Any) -> UpdateInstance:
    return UpdateInstance(id="web", changes=changes, **values)


def test_an_update_is_a_merge_patch() -> None:
    found = instance(1, config=config(env={"A": "1"}, auth=Auth(credentials=Secret("mine"))))
    operation, record = decided(
        update({"env": {"B": "2"}}, restart=True, if_revision=1), tables_of(found)
    )
    after = codec.convert(operation.arguments["config"], InstanceConfig)
    assert after.env == {"A": "1", "B": "2"}
    assert after.auth.credentials == Secret("mine")
    assert (operation.arguments["restart"], operation.arguments["if_revision"]) == (True, 1)
    assert record.config == found.config


def test_an_update_that_takes_the_password_away_makes_a_new_one() -> None:
    found = instance(1, config=config(auth=Auth(type=AuthType.NONE)))
    operation, _ = decided(update({"auth": None}), tables_of(found))
    after = codec.convert(operation.arguments["config"], InstanceConfig)
    assert after.auth == Auth(credentials=Secret("fresh password"))


@pytest.mark.parametrize(
    ("changes", "kind", "field"),
    [
        ({"resources": {"memory": "12x"}}, "validation_error", "changes.resources.memory"),
        ({"resources": {"memory": "64g"}}, "resource_limit_error", "changes.resources.memory"),
        ({"envv": {}}, "validation_error", "changes.envv"),
        ({"env": {"1A": "x"}}, "validation_error", "changes.env"),
        ({"image": "img"}, "validation_error", "changes.image"),
        ({"name": "api"}, "validation_error", "changes.name"),
    ],
)
def test_a_refused_update_blames_what_was_sent(
    changes: dict[str, Any], kind: str, field: str
) -> None:
    error = refused(update(changes), tables_of(instance(1)))
    assert (error.type, error.field) == (kind, field)
    assert error.next_step


def test_an_update_at_a_provider_that_is_not_ready() -> None:
    tables = tables_of(instance(1)).apply(Change(views={"local": None}))
    error = refused(update({"protect": True}), tables)
    assert (error.type, error.field) == ("unavailable", None)


def test_an_update_of_an_old_revision() -> None:
    error = refused(update({"protect": True}, if_revision=7), tables_of(instance(1)))
    assert (error.type, error.field) == ("conflict", "if_revision")


def test_only_what_is_driven_is_changed() -> None:
    gone = tables_of(instance(1, provider="old"))
    error = refused(StopInstance(id="web"), gone)
    assert error.type == "unavailable"
    assert "swarmctl providers register" in str(error.next_step)
    off = tables_of(instance(1)).apply(Change(providers=(OFF,)))
    with pytest.raises(Unavailable) as caught:
        check_driven(off, "local")
    assert "swarmctl providers enable local" in str(caught.value.next_step)
    check_driven(tables_of(), "local")


def test_a_request_that_is_no_operation() -> None:
    with pytest.raises(InternalError, match="no operation for a Mutation"):
        decide(tables_of(), Mutation(), intake())


# --- asked again ------------------------------------------------------------------------------


def again(tables: Tables, request: Mutation, **values: Any) -> Verdict:
    fresh: dict[str, Any] = {"operation_id": make_id(200), "instance_id": make_id(201)}
    return decide(tables, request, intake(**fresh | values))


@pytest.mark.parametrize(
    ("request_", "change"),
    [
        (
            CreateInstance(config=config(), idempotency_key="k"),
            Change(views={"local": SMALL}),
        ),
        (
            DeleteInstance(id=make_id(1), force=True, idempotency_key="k"),
            Change(drop_instances=(make_id(1),)),
        ),
        (StopInstance(id="web", idempotency_key="k"), Change(providers=(OFF,))),
    ],
)
def test_what_was_done_already_is_not_refused(request_: Mutation, change: Change) -> None:
    """Though it would be now: there is no room any more, it is gone, or not driven."""
    there = () if isinstance(request_, CreateInstance) else (instance(1),)
    tables = tables_of(*there)
    first = decide(tables, request_, intake())
    after = tables.apply(first.change).apply(change)
    verdict = again(after, request_)
    assert (verdict.operation_id, verdict.joined) == (first.operation_id, True)
    with pytest.raises(Conflict) as caught:
        again(after, request_, digest="other")
    assert caught.value.field == "idempotency_key"
    with pytest.raises(SwarmError) as theirs:
        again(after, request_, caller=BO)
    assert theirs.value.field != "idempotency_key"
