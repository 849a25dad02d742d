from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.naming import check_name, check_owner, nearest, parse_ref, resolve
from swarmd.errors import InstanceNotFound, ValidationError
from swarmd.messages.instance import Instance
from tests.core.samples import instance

WEB = instance(1, name="web")
API = instance(2, name="api")
BEN = instance(3, name="web", owner="ben")
LAB = instance(4, name="lab", owner="ben")
HEX = instance(5, name="01k0000", owner="eve")
ALL = (WEB, API, BEN, LAB, HEX)


def find(ref: str, caller: str = "ana", admin: bool = True, ids: bool = True) -> Instance:
    return resolve(
        ref,
        caller=caller,
        by_id={i.id: i for i in ALL},
        by_name={(i.owner, i.name): i.id for i in ALL},
        sorted_ids=sorted(i.id for i in ALL) if ids else None,
        admin=admin,
    )


@pytest.mark.parametrize("name", ["a", "A1", "web-1", "a.b_c-d", "0", "x" * 63])
def test_good_names(name: str) -> None:
    check_name(name)
    check_owner(name)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "is empty"),
        ("x" * 64, "64 characters"),
        ("a/b", "slash"),
        ("a\\b", "slash"),
        ("a\nb", "control character"),
        ("a\x85b", "control character"),
        ("a b", "contains ' '"),
        ("café", "contains 'é'"),
        ("-a", "begin and end"),
        ("a.", "begin and end"),
        ("..", "begin and end"),
    ],
)
def test_bad_names(name: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        check_name(name)
    assert caught.value.field == "config.name"
    assert caught.value.next_step
    with pytest.raises(ValidationError, match="owner") as caught:
        check_owner(name)
    assert caught.value.field == "owner"


@given(st.text(max_size=70))
def test_a_name_that_passes_is_safe_everywhere(name: str) -> None:
    try:
        check_name(name)
    except ValidationError:
        return
    assert 1 <= len(name) <= 63
    assert name.isascii()
    assert name.replace(".", "").replace("_", "").replace("-", "").isalnum()
    assert name[0] not in ".-_"


@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize(
    ("ref", "caller", "found"),
    [
        (WEB.id, "ben", WEB),
        (WEB.id.upper(), "ana", WEB),
        ("web", "ana", WEB),
        ("web", "ben", BEN),
        ("ben/web", "ana", BEN),
        (" api ", "ana", API),
        ("lab", "ana", LAB),
        ("01k0000", "eve", HEX),
    ],
)
def test_resolve(ref: str, caller: str, found: Instance, ids: bool) -> None:
    assert find(ref, caller, ids=ids) is found


@pytest.mark.parametrize("ids", [True, False])
def test_a_unique_prefix(ids: bool) -> None:
    only = instance(9, id="01m" + "0" * 23)
    by_id = {i.id: i for i in (*ALL, only)}
    found = resolve(
        "01M0",
        caller="ana",
        by_id=by_id,
        by_name={},
        sorted_ids=sorted(by_id) if ids else None,
    )
    assert found is only


def test_three_characters_are_no_prefix() -> None:
    assert parse_ref("01k", "ana").prefix is None
    with pytest.raises(InstanceNotFound):
        find("01k")


def test_an_ambiguous_prefix_lists_what_fits() -> None:
    with pytest.raises(ValidationError, match="several instances") as caught:
        find("01k00")
    assert caught.value.field == "id"
    assert caught.value.details["candidates"] == sorted(i.id for i in ALL)


def test_at_most_five_candidates_are_listed() -> None:
    many = {i.id: i for i in (instance(n) for n in range(9))}
    with pytest.raises(ValidationError, match="…") as caught:
        resolve("01k0", caller="x", by_id=many, by_name={}, sorted_ids=sorted(many))
    assert len(caught.value.details["candidates"]) == 5


def test_a_name_of_several_others_is_ambiguous() -> None:
    with pytest.raises(ValidationError, match=r"ana/web.*ben/web"):
        find("web", "eve")


def test_only_an_admin_finds_others_by_bare_name() -> None:
    with pytest.raises(InstanceNotFound):
        find("lab", "ana", admin=False)


@pytest.mark.parametrize(
    ("ref", "hint"),
    [("wbe", "web"), ("ben/lba", "ben/lab"), ("Web", "web"), ("zzzz", "swarmctl ls")],
)
def test_not_found_says_what_is_near(ref: str, hint: str) -> None:
    with pytest.raises(InstanceNotFound, match="there is no instance") as caught:
        find(ref)
    assert hint in str(caught.value.next_step)


def test_an_empty_reference() -> None:
    with pytest.raises(ValidationError, match="empty"):
        find("  ")


def test_nearest() -> None:
    assert nearest("memry", ["cpu", "memory"]) == ("memory",)
    assert nearest("env", ["environment", "auth"]) == ("environment",)
    assert nearest("xyz", ["environment"]) == ()
