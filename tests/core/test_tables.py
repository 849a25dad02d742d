"""The state as one value: changes, their sums, and the indexes over them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.tables import Change, EventDraft, ProviderView, Tables, key_of, sum_of
from swarmd.messages.enums import EventType, InstanceStatus, OperationKind, OperationState, Origin
from swarmd.messages.instance import Reason
from swarmd.messages.operation import Operation
from swarmd.messages.provider import ProviderHealth, ProviderRecord
from tests.core.desk import ANA, READY, tables_of
from tests.core.samples import NOW, instance, later, make_id
from tests.core.world import copied, rebuilt


def operation(number: int, **values: Any) -> Operation:
    defaults: dict[str, Any] = {
        "id": make_id(number),
        "kind": OperationKind.STOP,
        "target": make_id(1),
        "target_ref": "ana/web",
        "owner": "ana",
        "state": OperationState.PENDING,
        "origin": Origin.USER,
        "caller": ANA,
        "created_at": NOW,
    }
    return Operation(**defaults | values)


# --- algebra ----------------------------------------------------------------------------------

IDS = [make_id(number) for number in range(1, 5)]
instances = st.builds(
    lambda number, name, owner, status: instance(number, name=name, owner=owner, status=status),
    st.integers(1, 4),
    st.sampled_from(("web", "api")),
    st.sampled_from(("ana", "bo")),
    st.sampled_from((InstanceStatus.RUNNING, InstanceStatus.DELETED)),
)
operations = st.builds(
    lambda number, target, state, key: operation(
        number, target=target, state=state, idempotency_key=key
    ),
    st.integers(1, 4),
    st.sampled_from(IDS),
    st.sampled_from((OperationState.RUNNING, OperationState.SUCCEEDED)),
    st.sampled_from((None, "a", "b")),
).map(lambda each: msgspec.structs.replace(each, target=IDS[int(each.id[-1]) - 1]))
views = st.none() | st.just(READY)
changes = st.builds(
    Change,
    operations=st.lists(operations, max_size=3).map(tuple),
    instances=st.lists(instances, max_size=3).map(tuple),
    drop_instances=st.lists(st.sampled_from(IDS), max_size=2).map(tuple),
    drop_operations=st.lists(st.sampled_from(IDS), max_size=2).map(tuple),
    providers=st.none()
    | st.lists(st.builds(ProviderRecord, name=st.sampled_from("ab"), type=st.just("local"))).map(
        tuple
    ),
    events=st.lists(st.just(EventDraft(EventType.CONFIG_RELOADED)), max_size=2).map(tuple),
    views=st.dictionaries(st.sampled_from("ab"), views),
)


def keyless(tables: Tables) -> tuple[object, ...]:
    """All but the keys: two operations under one key are a lapsed key, which is of one only."""
    return tuple(each for n, each in enumerate(copied(tables)) if n != 5)


@given(changes, changes, changes)
def test_a_sum_is_one_after_the_other(base: Change, a: Change, b: Change) -> None:
    tables = Tables().apply(base)
    one_by_one = tables.apply(a).apply(b)
    assert keyless(tables.apply(a.plus(b))) == keyless(one_by_one)
    assert tables.apply(Change()) == tables
    assert a.plus(Change()) == a == Change().plus(a)


@given(st.lists(changes, max_size=4))
def test_the_sum_of_many(many: list[Change]) -> None:
    tables = Tables()
    for each in many:
        tables = tables.apply(each)
    assert keyless(Tables().apply(sum_of(many))) == keyless(tables)


@given(changes, changes)
def test_the_tables_before_stay_as_they_were(a: Change, b: Change) -> None:
    before = Tables().apply(a)
    photograph = copied(before)
    after = before.apply(b)
    assert copied(before) == photograph
    assert after.seq == before.seq + len(b.events)


@given(changes, changes)
def test_the_indexes_are_those_of_a_fresh_start(a: Change, b: Change) -> None:
    tables = Tables().apply(a).apply(b)
    fresh = rebuilt(tables)
    assert tables.names == fresh.names
    assert tables.index == fresh.index
    assert {each: set(ids) for each, ids in tables.active.items()} == {
        each: set(ids) for each, ids in fresh.active.items()
    }


def test_what_is_dropped_and_written_again_stays() -> None:
    gone = Change(drop_instances=(make_id(1),), drop_operations=(make_id(5),))
    back = Change(instances=(instance(1),), operations=(operation(5),))
    both = gone.plus(back)
    assert (both.drop_instances, both.drop_operations) == ((), ())
    assert back.plus(gone).drop_instances == (make_id(1),)


# --- names ------------------------------------------------------------------------------------


def test_of_two_of_one_name_the_newer_bears_it() -> None:
    """Only a provider can bring such a pair about: by taking one out of its trash."""
    tables = tables_of(instance(1), instance(2))
    assert tables.names == {("ana", "web"): make_id(2)}
    for order in ((1, 2), (2, 1)):
        grown = Tables()
        for number in order:
            grown = grown.apply(Change(instances=(instance(number),)))
        assert grown.names == tables.names
    left = tables.apply(Change(drop_instances=(make_id(2),)))
    assert left.names == {("ana", "web"): make_id(1)}
    renamed = tables.apply(Change(instances=(instance(2, name="api"),)))
    assert renamed.names == {("ana", "web"): make_id(1), ("ana", "api"): make_id(2)}


def test_the_trash_bears_no_names() -> None:
    tables = tables_of(instance(1))
    trashed = instance(1, status=InstanceStatus.DELETED)
    after = tables.apply(Change(instances=(trashed,)))
    assert (after.names, after.index.trash.rows) == ({}, (trashed,))
    assert tables.names == {("ana", "web"): make_id(1)}
    assert after.apply(Change(drop_instances=(make_id(1),))).index.trash.rows == ()


def test_names_that_begin_alike() -> None:
    rows = [instance(n, name=name) for n, name in enumerate(("a", "a1", "a-1", "A", "z"), 1)]
    tables = tables_of(*rows)
    for row in rows:
        tables = tables.apply(Change(drop_instances=(row.id,)))
        assert ("ana", row.name) not in tables.names
    assert tables.names == {}


def test_dropping_what_is_not_there() -> None:
    tables = tables_of(instance(1))
    change = Change(drop_instances=(make_id(7),), drop_operations=(make_id(7),))
    assert copied(tables.apply(change)) == copied(tables)


# --- operations -------------------------------------------------------------------------------


def test_at_a_start_the_running_operation_is_the_first() -> None:
    """Ids are made before they are accepted: their order may differ."""
    running = operation(9, state=OperationState.RUNNING)
    tables = tables_of(instance(1), operations=(operation(3), running, operation(4)))
    assert [each.id for each in tables.active_of(make_id(1))] == [
        make_id(9), make_id(3), make_id(4),
    ]  # fmt: skip
    assert tables.active_of(make_id(2)) == ()


def test_the_way_of_an_operation_through_the_active_ones() -> None:
    first, second = operation(5, state=OperationState.RUNNING), operation(6)
    tables = tables_of(instance(1)).apply(Change(operations=(first, second)))
    assert tables.active == {make_id(1): (first.id, second.id)}
    told = msgspec.structs.replace(first, cancel_requested=True)
    tables = tables.apply(Change(operations=(told,)))
    assert tables.active_of(make_id(1)) == (told, second)
    ended = msgspec.structs.replace(first, state=OperationState.FAILED)
    tables = tables.apply(Change(operations=(ended,)))
    assert tables.active == {make_id(1): (second.id,)}
    tables = tables.apply(Change(drop_operations=(second.id,)))
    assert tables.active == {}
    assert set(tables.operations) == {first.id}


def test_a_key_that_was_used_again_is_the_newer_operation_s() -> None:
    old = operation(5, idempotency_key="k", state=OperationState.SUCCEEDED)
    new = operation(6, idempotency_key="k", created_at=later(90000))
    tables = tables_of(instance(1)).apply(Change(operations=(old,)))
    tables = tables.apply(Change(operations=(new,)))
    tables = tables.apply(Change(drop_operations=(old.id,)))
    assert tables.keys == {key_of(new): new.id} == {(1000, "stop", "k"): new.id}
    assert tables.apply(Change(drop_operations=(new.id,))).keys == {}


# --- the rest ---------------------------------------------------------------------------------


def test_providers_and_what_is_seen_of_them() -> None:
    tables = tables_of()
    other = ProviderRecord(name="box1", type="docker")
    tables = tables.apply(Change(providers=(other,), views={"box1": READY, "local": None}))
    assert (tables.providers, tables.views) == ({"box1": other}, {"box1": READY})
    ill = ProviderView(ProviderHealth(ok=False))
    a, b = Change(views={"x": READY}, strays=()), Change(views={"x": ill})
    assert a.plus(b).views == {"x": ill}
    assert a.plus(b).strays == ()
    assert b.plus(a).views == {"x": READY}


@pytest.mark.parametrize(
    ("change", "durable"),
    [
        (Change(), False),
        (Change(views={"local": READY}), False),
        (Change(strays=()), False),
        (Change(operations=(operation(5),)), True),
        (Change(instances=(instance(1),)), True),
        (Change(drop_instances=("x",)), True),
        (Change(drop_operations=("x",)), True),
        (Change(providers=()), True),
        (Change(events=(EventDraft(EventType.CONFIG_RELOADED),)), True),
        (Change(reasons=(("x", Reason(at=NOW, what="a", why="b", by="c")),)), True),
    ],
)
def test_what_belongs_on_disk(change: Change, durable: bool) -> None:
    assert change.durable is durable


def test_reading_an_old_photograph() -> None:
    before = tables_of(instance(1))
    after = before.apply(Change(instances=(instance(2, name="api"),)))
    assert [row.id for row in before.index.live.rows] == [make_id(1)]
    assert len(after.index.live.rows) == 2
