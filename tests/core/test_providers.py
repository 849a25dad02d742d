"""Providers at run time: what the file says, what was said since, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.core.providers import (
    administer,
    check_type,
    drains,
    merge_records,
    reload_records,
    told,
)
from swarmd.core.reconcile import Found
from swarmd.core.strays import stray_of
from swarmd.core.tables import Change, Tables
from swarmd.errors import SwarmError, ValidationError
from swarmd.messages import codec
from swarmd.messages.config import ProviderConfig
from swarmd.messages.enums import DesiredState, InstanceStatus, OperationState
from swarmd.messages.provider import ProviderRecord
from swarmd.messages.replies import DrainedInstance
from swarmd.messages.requests import (
    CordonProvider,
    DisableProvider,
    EnableProvider,
    ListProviders,
    RegisterProvider,
    RemoveProvider,
    Request,
    UpdateProvider,
)
from tests.core.desk import LOCAL, READY, tables_of
from tests.core.samples import NODE, NOW, instance, observed

TYPES = ("local", "docker")
BOX = ProviderRecord(
    name="box1", type="docker", registered=True, priority=1.0, options={"host": "a", "tls": True}
)


def both(**values: Any) -> Tables:
    return tables_of(**values).apply(Change(providers=(LOCAL, BOX), views={"box1": READY}))


def after(request: Request, tables: Tables | None = None) -> tuple[Tables, Change]:
    change, _ = administer(both() if tables is None else tables, request, TYPES)
    return (both() if tables is None else tables).apply(change), change


def refused(request: Request, tables: Tables | None = None) -> SwarmError:
    with pytest.raises(SwarmError) as caught:
        administer(both() if tables is None else tables, request, TYPES)
    return caught.value


# --- at a start -------------------------------------------------------------------------------


SWITCHED_OFF = ProviderRecord(name="local", type="local", enabled=False, switched=True)


def configured(**values: Any) -> ProviderConfig:
    return ProviderConfig(**{"name": "local", "type": "local"} | values)


def test_the_file_says_what_a_provider_is() -> None:
    saved = ProviderRecord(name="local", type="local", priority=9, options={"a": 1})
    merged = merge_records(
        (configured(priority=2.0, max_parallel=3, options={"b": 2}),), (saved, BOX)
    )
    assert merged == (
        ProviderRecord(name="local", type="local", priority=2.0, max_parallel=3, options={"b": 2}),
        BOX,
    )


@pytest.mark.parametrize(
    ("in_file", "saved", "enabled", "cordoned"),
    [
        (True, None, True, False),
        (False, None, False, False),
        (True, LOCAL, True, False),
        (False, LOCAL, False, False),
        (True, SWITCHED_OFF, False, False),
        (False, ProviderRecord(name="local", type="local", switched=True), True, False),
        (True, ProviderRecord(name="local", type="local", enabled=False), True, False),
        (True, ProviderRecord(name="local", type="local", cordoned=True), True, True),
        (
            True,
            ProviderRecord(
                name="local", type="docker", enabled=False, cordoned=True, switched=True,
                registered=True,
            ),
            True,
            False,
        ),
    ],
)  # fmt: skip
def test_what_was_switched_at_run_time_is_remembered(
    in_file: bool, saved: ProviderRecord | None, enabled: bool, cordoned: bool
) -> None:
    (merged,) = merge_records((configured(enabled=in_file),), (saved,) if saved else ())
    assert (merged.enabled, merged.cordoned) == (enabled, cordoned)
    assert not merged.registered
    assert merged.type == "local"


def test_what_left_the_file_is_gone() -> None:
    assert merge_records((), (LOCAL, BOX)) == (BOX,)


def test_a_reloaded_file() -> None:
    lost = stray_of(Found("old", observed(7)), NODE, NOW)
    old = ProviderRecord(name="old", type="local")
    tables = both().apply(Change(providers=(LOCAL, BOX, old), views={"old": READY}, strays=(lost,)))
    change, names = reload_records(
        tables, (configured(enabled=False), configured(name="new", priority=2.0))
    )
    assert names == ("new", "local", "old")
    assert [str(event.type) for event in change.events] == [
        "provider_added",
        "provider_updated",
        "provider_removed",
    ]
    after_it = tables.apply(change)
    assert set(after_it.providers) == {"local", "new", "box1"}
    assert after_it.views.keys() == {"box1"}
    assert after_it.strays == ()


def test_a_reloaded_file_that_says_the_same() -> None:
    assert reload_records(both(), (configured(),)) == (Change(), ())


# --- verbs ------------------------------------------------------------------------------------


def test_register_and_remove() -> None:
    request = RegisterProvider(
        name="box2", type="docker", enabled=False, priority=2.0, options={"host": "b"}
    )
    tables, change = after(request)
    assert tables.providers["box2"] == ProviderRecord(
        name="box2",
        type="docker",
        enabled=False,
        priority=2.0,
        options={"host": "b"},
        registered=True,
    )
    assert list(tables.providers) == ["local", "box1", "box2"]
    assert [str(event.type) for event in change.events] == ["provider_added"]
    assert change.events[0].data == {
        "provider": "box2", "type": "docker", "enabled": False, "cordoned": False,
    }  # fmt: skip
    tables, change = after(RemoveProvider(name="box2"), tables)
    assert tables.providers.keys() == both().providers.keys()
    assert [str(event.type) for event in change.events] == ["provider_removed"]
    tables, _ = after(RemoveProvider(name="box1"), tables)
    assert "box1" not in tables.views


@pytest.mark.parametrize(
    ("request_", "enabled", "cordoned", "seen"),
    [
        (EnableProvider(name="local"), True, False, True),
        (DisableProvider(name="local"), False, False, False),
        (CordonProvider(name="local"), True, True, True),
        (DisableProvider(name="box1"), False, False, False),
    ],
)
def test_switches(request_: Any, enabled: bool, cordoned: bool, seen: bool) -> None:
    tables, change = after(request_)
    record = tables.providers[request_.name]
    assert (record.enabled, record.cordoned) == (enabled, cordoned)
    assert (request_.name in tables.views) is seen
    assert [str(event.type) for event in change.events] == ["provider_updated"]
    assert change.events[0].target == request_.name


def test_enable_undoes_cordon_and_disable() -> None:
    tables, _ = after(CordonProvider(name="local"))
    tables, _ = after(DisableProvider(name="local"), tables)
    assert tables.providers["local"].cordoned
    tables, _ = after(EnableProvider(name="local"), tables)
    assert (tables.providers["local"].enabled, tables.providers["local"].cordoned) == (True, False)


def test_what_was_switched_is_still_so_after_the_next_start() -> None:
    tables, _ = after(DisableProvider(name="local"))
    (merged, _box) = merge_records((configured(),), tuple(tables.providers.values()))
    assert not merged.enabled


def test_an_update_is_a_merge_patch_of_the_options() -> None:
    tables, _ = after(
        UpdateProvider(name="box1", priority=5.0, options={"host": "b", "tls": None, "new": 1})
    )
    record = tables.providers["box1"]
    assert (record.priority, record.options) == (5.0, {"host": "b", "new": 1})
    tables, _ = after(UpdateProvider(name="box1"), tables)
    assert tables.providers["box1"] == record


def test_what_placement_goes_by() -> None:
    """From the file, from a registration, and changed afterwards."""
    configured = ProviderConfig(
        name="far", type="local", region="eu-west", labels={"gpu": "yes"}, cost_per_hour=2.0
    )
    (record,) = merge_records((configured,), ())
    assert (record.region, record.labels, record.cost_per_hour) == ("eu-west", {"gpu": "yes"}, 2.0)
    (bare,) = merge_records((ProviderConfig(name="far", type="local"),), (record,))
    assert (bare.region, bare.labels, bare.cost_per_hour) == (None, {}, None)
    tables, _ = after(
        RegisterProvider(
            name="far", type="local", region="us", labels={"a": "1", "b": "2"}, cost_per_hour=1.0
        )
    )
    tables, _ = after(
        UpdateProvider(name="far", region="eu", labels={"a": None, "c": "3"}, cost_per_hour=0.0),
        tables,
    )
    far = tables.providers["far"]
    assert (far.region, far.labels, far.cost_per_hour) == ("eu", {"b": "2", "c": "3"}, 0.0)
    tables, _ = after(UpdateProvider(name="far", region=""), tables)
    assert tables.providers["far"].region is None
    assert tables.providers["far"].cost_per_hour == 0.0


def test_a_cost_that_is_not_known_any_more() -> None:
    tables, _ = after(RegisterProvider(name="far", type="local", cost_per_hour=1.0))
    changes: tuple[tuple[dict[str, Any], float | None], ...] = (
        ({}, 1.0),
        ({"cost_per_hour": 2.5}, 2.5),
        ({"cost_per_hour": None}, None),
    )
    for sent, cost in changes:
        request = codec.convert({"name": "far", **sent}, UpdateProvider)
        tables, _ = after(request, tables)
        assert tables.providers["far"].cost_per_hour == cost


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "kind", "field", "hint"),
    [
        (
            RegisterProvider(name="box1", type="docker"),
            "conflict",
            "name",
            "swarmctl providers update",
        ),
        (RegisterProvider(name="Box 1", type="docker"), "validation_error", "name", "lower-case"),
        (RegisterProvider(name="", type="docker"), "validation_error", "name", "lower-case"),
        (
            RegisterProvider(name="box2", type="dokcer"),
            "validation_error",
            "type",
            "Did you mean docker? Installed types: docker, local.",
        ),
        (
            RegisterProvider(name="box2", type="xyz"),
            "validation_error",
            "type",
            "Installed types: docker, local.",
        ),
        (UpdateProvider(name="local"), "validation_error", "name", "swarmctl reload"),
        (RemoveProvider(name="local"), "validation_error", "name", "swarmctl reload"),
        *(
            (kind(name="box9"), "provider_not_found", "name", "box1")
            for kind in (
                UpdateProvider, RemoveProvider, EnableProvider, DisableProvider, CordonProvider,
            )
        ),
    ],
)  # fmt: skip
def test_a_refusal(request_: Request, kind: str, field: str, hint: str) -> None:
    error = refused(request_)
    assert (error.type, error.field) == (kind, field)
    assert hint in str(error.next_step)


@pytest.mark.parametrize(("count", "more"), [(1, ""), (3, ""), (4, " …")])
def test_one_with_instances_is_not_removed(count: int, more: str) -> None:
    rows = [
        instance(n, name=f"w{n}", provider="box1", status=InstanceStatus.DELETED)
        for n in range(1, count + 1)
    ]
    tables = both().apply(Change(instances=tuple(rows)))
    error = refused(RemoveProvider(name="box1"), tables)
    shown = " ".join(row.ref for row in rows[:3])
    assert error.type == "conflict"
    assert error.next_step == f"Delete them first: swarmctl rm --force {shown}{more}"
    assert error.details["instances"] == [row.ref for row in rows]


def test_a_type_is_known_or_refused() -> None:
    check_type("local", TYPES, "type")
    with pytest.raises(ValidationError) as caught:
        check_type("fly", TYPES, "providers[0].type")
    assert caught.value.field == "providers[0].type"


def test_a_request_about_no_provider() -> None:
    with pytest.raises(TypeError, match="ListProviders"):
        administer(both(), ListProviders(), TYPES)


@pytest.mark.parametrize(
    ("desired", "status", "stops"),
    [
        (DesiredState.RUNNING, InstanceStatus.RUNNING, True),
        (DesiredState.RUNNING, InstanceStatus.STOPPED, True),  # reconciliation would start it
        (DesiredState.RUNNING, InstanceStatus.ERROR, True),
        (DesiredState.RUNNING, InstanceStatus.CREATING, True),
        (DesiredState.STOPPED, InstanceStatus.STOPPED, False),
        (DesiredState.STOPPED, InstanceStatus.CREATED, False),
        (DesiredState.STOPPED, InstanceStatus.UNKNOWN, True),
        (DesiredState.DELETED, InstanceStatus.RUNNING, False),
        (DesiredState.DELETED, InstanceStatus.DELETED, False),
    ],
)
def test_what_a_drain_stops(desired: DesiredState, status: InstanceStatus, stops: bool) -> None:
    assert drains(instance(desired=desired, status=status)) is stops


def test_what_is_told_of_a_drain_begins_with_what_did_not_stop() -> None:
    def one(name: str, state: OperationState | None) -> DrainedInstance:
        return DrainedInstance(id=name, ref=name, operation=state and f"o{name}", state=state)

    drained = told(
        "box",
        [
            one("a", OperationState.SUCCEEDED),
            one("b", OperationState.FAILED),
            one("c", OperationState.RUNNING),
            one("d", None),
            one("e", OperationState.CANCELLED),
        ],
    )
    assert (drained.begun, drained.stopped, drained.failed, drained.refused) == (4, 1, 2, 1)
    assert [each.id for each in drained.items] == ["b", "c", "d", "e", "a"]
