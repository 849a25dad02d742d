"""Lookups, counts and lists as someone sees them who asks."""

from __future__ import annotations

import msgspec
import pytest

from swarmd.core.tables import Change, Tables
from swarmd.core.views import (
    DISABLED,
    NOT_SEEN,
    candidates,
    counts,
    find,
    find_deleted,
    find_operation,
    one_provider,
    provider_infos,
    select_operations,
)
from swarmd.errors import InstanceNotFound, OperationNotFound, ProviderNotFound, ValidationError
from swarmd.messages.enums import HealthStatus, InstanceStatus, OperationKind, OperationState
from swarmd.messages.instance import Resources
from swarmd.messages.provider import ProviderRecord
from swarmd.messages.requests import ListOperations
from swarmd.messages.units import Size, Storage
from tests.core.desk import LOCAL, READY, START, STOP, Desk, tables_of
from tests.core.samples import config, instance, later, make_id

DELETED = InstanceStatus.DELETED


# --- instances --------------------------------------------------------------------------------


def with_trash() -> Tables:
    return tables_of(
        instance(1),
        instance(2, status=DELETED, deleted_at=later(-20)),
        instance(3, status=DELETED, deleted_at=later(-10)),
        instance(4, name="api", status=DELETED, updated_at=later(5)),
        instance(5, name="api", owner="bo", status=DELETED),
        instance(6, name="lab", owner="bo", status=DELETED),
    )


@pytest.mark.parametrize(
    ("ref", "number"),
    [("web", 1), (make_id(2), 2), ("api", 4), ("bo/api", 5), ("lab", 6), ("bo/lab", 6)],
)
def test_find_with_the_trash(ref: str, number: int) -> None:
    assert find(with_trash(), ref, "ana", trash=True).id == make_id(number)


@pytest.mark.parametrize(
    ("ref", "caller", "number"),
    [
        ("web", "ana", 3),
        ("ana/web", "bo", 3),
        (make_id(1), "ana", 1),
        (make_id(2), "ana", 2),
        ("api", "bo", 5),
    ],
)
def test_what_is_to_come_out_of_the_trash_is_looked_for_there_first(
    ref: str, caller: str, number: int
) -> None:
    assert find_deleted(with_trash(), ref, caller).id == make_id(number)


def test_a_name_in_the_trash_of_several_others_is_not_guessed() -> None:
    with pytest.raises(InstanceNotFound):
        find_deleted(with_trash(), "api", "cy")
    with pytest.raises(InstanceNotFound):
        find(with_trash(), "cy/lab", "cy", trash=True)


def test_names_of_the_trash_are_hidden_without_it() -> None:
    with pytest.raises(InstanceNotFound) as raised:
        find(with_trash(), "api", "ana")
    assert raised.value.next_step == "It is in the trash: swarmctl undelete api."
    with pytest.raises(InstanceNotFound):
        find(with_trash(), "nothing", "ana", trash=True)


# --- operations -------------------------------------------------------------------------------


def operated() -> Desk:
    desk = Desk(instance(1), instance(2, name="api"))
    desk.run(desk.ask(STOP))
    desk.run(desk.ask(START))
    desk.ask(STOP, make_id(2))
    return desk


def test_find_an_operation() -> None:
    tables = operated().tables
    first = min(tables.operations)
    assert find_operation(tables, first).id == first
    assert find_operation(tables, f" {first.upper()} ").id == first
    with pytest.raises(ValidationError, match="fits 3 operations") as several:
        find_operation(tables, first[:5])
    assert several.value.field == "id"
    for ref in (first[:3], "01zz", "", "nothing"):
        with pytest.raises(OperationNotFound) as missing:
            find_operation(tables, ref)
        assert "swarmctl ops" in str(missing.value.next_step)
    alone = Desk(instance(1))
    only = alone.ask(STOP)
    assert find_operation(alone.tables, only.id[:4]).id == only.id


@pytest.mark.parametrize(
    ("request_", "target", "numbers"),
    [
        (ListOperations(), None, [103, 102, 101]),
        (ListOperations(limit=2), None, [103, 102]),
        (ListOperations(), make_id(1), [102, 101]),
        (ListOperations(kind=(OperationKind.STOP,)), None, [103, 101]),
        (ListOperations(state=(OperationState.RUNNING,)), None, [103]),
        (ListOperations(state=(OperationState.FAILED, OperationState.PENDING)), None, []),
    ],
)
def test_select_operations(
    request_: ListOperations, target: str | None, numbers: list[int]
) -> None:
    found = select_operations(operated().tables, request_, target)
    assert [each.id for each in found] == [make_id(number) for number in numbers]


# --- providers and counts ---------------------------------------------------------------------


def several() -> Tables:
    off = ProviderRecord(name="off", type="local", enabled=False)
    new = ProviderRecord(name="new", type="local", options={"root": "/srv"})
    tables = tables_of(
        instance(1),
        instance(2, owner="bo", health=HealthStatus.HEALTHY),
        instance(3, name="old", provider="gone", status=DELETED),
    )
    return tables.apply(Change(providers=(LOCAL, off, new), views={"off": READY}))


def test_providers_with_their_counts() -> None:
    infos = {info.name: info for info in provider_infos(several())}
    assert list(infos) == ["local", "new", "off"]
    assert (infos["local"].instances, infos["local"].health.ok) == (2, True)
    assert (infos["new"].health, infos["new"].capabilities) == (NOT_SEEN, None)
    assert infos["new"].options == {"root": "/srv"}
    assert infos["off"].health == DISABLED
    assert [info.instances for info in provider_infos(several(), "bo")] == [1, 0, 0]


def test_candidates_with_what_their_instances_asked_for() -> None:
    wanted = config(resources=Resources(cpu=0.5, memory=Size(1 << 30), storage=Storage(2 << 30)))
    tables = tables_of(
        instance(1, config=wanted),
        instance(2, name="api", owner="bo", config=wanted),
        instance(3, name="lost", provider="gone"),
    )
    (local,) = candidates(tables, "bo")
    assert (local.name, local.info.instances, local.owned) == ("local", 2, 1)
    assert (local.cpu, local.memory, local.storage) == (1.0, 2 << 30, 4 << 30)


def test_one_provider() -> None:
    assert one_provider(several(), "local").instances == 2
    with pytest.raises(ProviderNotFound) as caught:
        one_provider(several(), "lokal")
    assert caught.value.field == "name"
    assert "local" in str(caught.value.next_step)


def test_counts() -> None:
    tables = several()
    waiting = Desk(tables=tables)
    waiting.ask(STOP)
    waiting.ask(OperationKind.DELETE)
    found = counts(waiting.tables, health=True)
    assert found["instances"].total == 3
    assert found["instances"].by_provider == {"gone": 1, "local": 2, "new": 0, "off": 0}
    assert sum(found["instances"].by_status.values()) == 3
    assert set(found["instances"].by_status) == set(InstanceStatus)
    assert found["health"].enabled
    assert found["health"].by_status[HealthStatus.HEALTHY] == 1
    assert found["operations_running"] == 2
    assert found["strays"] == 0
    assert [each.name for each in found["providers"]] == ["local", "new", "off"]
    assert [each.ok for each in found["providers"]] == [True, False, False]
    assert msgspec.json.encode(found["migrations"])
