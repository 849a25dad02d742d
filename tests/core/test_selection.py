from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmd.core.selection import (
    Index,
    Selected,
    event_fits,
    instance_fields,
    key_of,
    page,
    pick_fields,
)
from swarmd.errors import ValidationError
from swarmd.messages.enums import DesiredState, EventType, HealthStatus, InstanceStatus
from swarmd.messages.events import Event
from swarmd.messages.instance import Instance, Resources
from swarmd.messages.requests import ListInstances
from swarmd.messages.units import Size
from tests.core.samples import NOW, config, instance

RED = instance(
    1,
    name="web-1",
    config=config("web-1", labels={"team": "red", "eq": "a=b"}, metadata={"note": "x"}, swarm="s1"),
)
BLUE = instance(
    2,
    name="api",
    owner="ben",
    provider="box1",
    status=InstanceStatus.STOPPED,
    desired=DesiredState.STOPPED,
    health=HealthStatus.UNHEALTHY,
    metadata={"seen": "yes"},
    config=config("api", labels={"team": "blue"}),
)
GONE = instance(3, name="old", status=InstanceStatus.DELETED)
ALL = (RED, BLUE, GONE)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, (RED, BLUE)),
        ({"trash": True}, (GONE,)),
        ({"name": "web-*"}, (RED,)),
        ({"name": "web"}, ()),
        ({"name": "w?b-[0-9]"}, (RED,)),
        ({"name": "WEB-*"}, ()),
        ({"owner": "ben"}, (BLUE,)),
        ({"provider": "box*"}, (BLUE,)),
        ({"status": (InstanceStatus.STOPPED, InstanceStatus.ERROR)}, (BLUE,)),
        ({"desired": (DesiredState.RUNNING,)}, (RED,)),
        ({"health": (HealthStatus.UNHEALTHY,)}, (BLUE,)),
        ({"label": ("team",)}, (RED, BLUE)),
        ({"label": ("team=r*",)}, (RED,)),
        ({"label": ("eq=a=b",)}, (RED,)),
        ({"label": ("team=*", "eq")}, (RED,)),
        ({"label": ("absent",)}, ()),
        ({"label": ("absent=*",)}, ()),
        ({"metadata": ("note=x",)}, (RED,)),
        ({"metadata": ("seen",)}, (BLUE,)),
        ({"swarm": "s?"}, (RED,)),
        ({"owner": "ben", "name": "web*"}, ()),
    ],
)
def test_filters(filters: dict[str, Any], expected: tuple[Instance, ...]) -> None:
    request = ListInstances(**filters)
    assert page(Index.build(ALL), request).items == expected
    found = page(Index.build(ALL), request)
    assert {i.id for i in found.items} == {i.id for i in expected}
    assert found.total == len(expected)


@pytest.mark.parametrize("field", ["label", "metadata"])
def test_a_filter_without_a_key(field: str) -> None:
    filters: dict[str, Any] = {field: ("=red",)}
    with pytest.raises(ValidationError, match="no key") as caught:
        page(Index.build(ALL), ListInstances(**filters))
    assert caught.value.field == field


# --- pages -----------------------------------------------------------------------------------


def walk(index: Index, **filters: Any) -> list[Selected]:
    pages = [page(index, ListInstances(**filters))]
    while pages[-1].next_cursor:
        pages.append(page(index, ListInstances(**filters, cursor=pages[-1].next_cursor)))
    return pages


names = st.text("abc-é", min_size=1, max_size=4)
fleets = st.lists(st.tuples(names, names), max_size=30).map(
    lambda pairs: [instance(n, owner=o, name=name) for n, (o, name) in enumerate(pairs)]
)


@given(fleets, st.integers(1, 7))
def test_pages_show_everything_once_and_in_order(fleet: list[Instance], limit: int) -> None:
    pages = walk(Index.build(fleet), limit=limit)
    shown = [i for p in pages for i in p.items]
    assert shown == sorted(fleet, key=key_of)
    assert all(p.total == len(fleet) for p in pages)
    assert all(len(p.items) <= limit for p in pages)


def test_a_page_goes_on_where_the_last_ended_though_its_last_is_gone() -> None:
    fleet = [instance(n, name=f"n{n}") for n in range(6)]
    first = page(Index.build(fleet), ListInstances(limit=2))
    rest = Index.build(fleet[2:])
    second = page(rest, ListInstances(limit=2, cursor=first.next_cursor))
    assert second.items == tuple(fleet[2:4])


def test_what_is_not_visible_is_not_counted() -> None:
    found = page(Index.build(ALL), ListInstances(), visible=lambda i: i.owner == "ben")
    assert (found.items, found.total) == ((BLUE,), 1)


@pytest.mark.parametrize("cursor", ["x", "!!!!", "é", "W10", "eyJhIjoxfQ", "WyJhIiwiYiJd", "AAAA"])
def test_a_bad_cursor(cursor: str) -> None:
    with pytest.raises(ValidationError, match="cursor") as caught:
        page(Index.build(ALL), ListInstances(cursor=cursor))
    assert caught.value.field == "cursor"
    assert caught.value.next_step


def test_fifty_pages_cost_less_than_sorting_once() -> None:
    fleet = [instance(n, name=f"n{n:05d}") for n in range(10_000)]
    begin = time.perf_counter()
    index = Index.build(fleet)
    built = time.perf_counter()
    pages = walk(index, limit=200)
    walked = time.perf_counter()
    assert len(pages) == 50
    assert walked - built < built - begin


# --- the index -------------------------------------------------------------------------------

statuses = st.sampled_from([InstanceStatus.RUNNING, InstanceStatus.DELETED])
steps = st.lists(st.tuples(st.integers(0, 8), st.one_of(st.none(), st.tuples(names, statuses))))


@settings(max_examples=60)
@given(st.lists(steps, max_size=4))
def test_an_index_kept_up_to_date_is_the_index_built_anew(
    rounds: list[list[tuple[int, tuple[str, InstanceStatus] | None]]],
) -> None:
    world: dict[int, Instance] = {}
    index = Index()
    for changes in rounds:
        pairs = []
        for number, wanted in changes:
            before = world.pop(number, None)
            after = wanted and instance(number, name=wanted[0], status=wanted[1])
            if after is not None:
                world[number] = after
            pairs.append((before, after))
        index = index.apply(pairs)
        assert index == Index.build(world.values())


def test_an_index_is_never_changed_in_place() -> None:
    before = Index.build(ALL)
    after = before.apply([(RED, None)])
    assert before.live.rows == (RED, BLUE)
    assert after.live.rows == (BLUE,)
    assert after.trash is before.trash


# --- fields and events -----------------------------------------------------------------------


def test_fields() -> None:
    some = instance(config=config(labels={"a": "b"}, resources=Resources(memory=Size(5))))
    assert pick_fields(some, ("id", "status", "config.labels", "config.resources.memory")) == {
        "id": some.id,
        "status": InstanceStatus.RUNNING,
        "config.labels": {"a": "b"},
        "config.resources.memory": Size(5),
    }


@pytest.mark.parametrize(
    ("field", "hint"),
    [
        ("statsu", "status"),
        ("config.label", "config.labels"),
        ("qqqqqq", "Known fields"),
        ("__class__", "Known fields"),
    ],
)
def test_an_unknown_field(field: str, hint: str) -> None:
    with pytest.raises(ValidationError, match="no field") as caught:
        pick_fields(RED, (field,))
    assert caught.value.field == "fields"
    assert hint in str(caught.value.next_step)


def test_every_known_field_can_be_picked() -> None:
    assert len(pick_fields(RED, tuple(sorted(instance_fields())))) > 40


@pytest.mark.parametrize(
    ("types", "target", "fits"),
    [
        ((), None, True),
        ((EventType.INSTANCE_CREATED,), None, True),
        ((EventType.INSTANCE_DELETED,), None, False),
        ((), "x", True),
        ((), "y", False),
    ],
)
def test_event_fits(types: tuple[EventType, ...], target: str | None, fits: bool) -> None:
    event = Event(seq=1, journal="j", at=NOW, type=EventType.INSTANCE_CREATED, target="x")
    assert event_fits(event, types=frozenset(types), target=target) is fits
