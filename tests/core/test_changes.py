from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.changes import changed_fields, covered, merge_patch, set_fields
from swarmd.errors import ValidationError
from swarmd.messages import codec
from swarmd.messages.instance import Auth, InstanceConfig, Resources
from swarmd.messages.secret import MASK, Secret
from swarmd.messages.units import Duration, Size
from tests.core.samples import config

BASE = config(
    env={"A": "1", "B": "2"},
    resources=Resources(cpu=1, memory=Size(1 << 30)),
    auth=Auth(credentials=Secret("hunter2")),
    idle_timeout=Duration(60),
)


@pytest.mark.parametrize(
    ("patch", "changed"),
    [
        ({}, ()),
        ({"resources": {"memory": "2g"}}, ("resources.memory",)),
        ({"resources": {"memory": "1024m"}}, ()),
        ({"resources": {"memory": None}}, ("resources.memory",)),
        ({"resources": None}, ("resources.cpu", "resources.memory")),
        ({"env": {"A": None}}, ("env",)),
        ({"env": {"A": None, "C": "3"}}, ("env",)),
        ({"labels": {"x": "y"}, "protect": True}, ("labels", "protect")),
        ({"auth": {"credentials": "other"}}, ("auth.credentials",)),
        ({"auth": {"credentials": MASK}}, ()),
        ({"auth": None}, ("auth.credentials",)),
        ({"idle_timeout": None}, ("idle_timeout",)),
        ({"image": None}, ()),
        ({"name": "web", "provider": None}, ()),
        ({"extensions": ["a.b"]}, ("extensions",)),
    ],
)
def test_merge_patch(patch: dict[str, Any], changed: tuple[str, ...]) -> None:
    after = merge_patch(BASE, patch)
    assert changed_fields(BASE, after) == changed


def test_values_after_a_patch() -> None:
    after = merge_patch(BASE, {"env": {"A": None, "C": "3"}, "resources": {"memory": "2g"}})
    assert after.env == {"B": "2", "C": "3"}
    assert after.resources == Resources(cpu=1, memory=Size(2 << 30))
    assert after.auth.credentials == Secret("hunter2")


def test_the_whole_reply_sent_back_changes_nothing() -> None:
    patch = codec.to_plain(BASE)
    assert merge_patch(BASE, patch) == BASE
    assert patch["auth"]["credentials"] == MASK


@pytest.mark.parametrize(
    ("patch", "field", "hint"),
    [
        ({"resources": {"memory": "12x"}}, "changes.resources.memory", "512m"),
        ({"resources": {"memry": 1}}, "changes.resources.memry", "memory"),
        ({"resources": 5}, "changes.resources", "table"),
        ({"envv": {}}, "changes.envv", "env"),
        ({"name": "new"}, "changes.name", "xport"),
        ({"name": None}, "changes.name", "xport"),
        ({"idletimeout": None}, "changes.idletimeout", "idle_timeout"),
        ({"resources": {"memroy": None}}, "changes.resources.memroy", "memory"),
        ({"resource": {"memory": None}}, "changes.resource", "resources"),
        ({"provider": "box1"}, "changes.provider", "xport"),
        ({"env": {"A": 1}}, "changes.env[...]", "text"),
    ],
)
def test_a_bad_patch(patch: dict[str, Any], field: str, hint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        merge_patch(BASE, patch)
    assert caught.value.field == field
    assert hint in str(caught.value.next_step)


configs = st.builds(
    InstanceConfig,
    name=st.just("web"),
    image=st.none() | st.just("img"),
    resources=st.builds(Resources, memory=st.none() | st.integers(1, 9).map(Size)),
    env=st.dictionaries(st.sampled_from("ABC"), st.text(max_size=2)),
    extensions=st.lists(st.just("a.b"), max_size=2).map(tuple),
    auth=st.builds(Auth, credentials=st.none() | st.text(min_size=1, max_size=3).map(Secret)),
    protect=st.booleans(),
    idle_timeout=st.none() | st.integers(0, 9).map(Duration),
)


@given(configs, configs)
def test_a_patch_of_all_fields_makes_the_other(a: InstanceConfig, b: InstanceConfig) -> None:
    patch = codec.to_plain(b, reveal=True)
    patch["env"] = dict.fromkeys(a.env) | patch["env"]
    assert merge_patch(a, patch) == b


@given(configs, configs)
def test_changed_fields_are_those_that_differ(a: InstanceConfig, b: InstanceConfig) -> None:
    changed = changed_fields(a, b)
    assert set(changed) == set(changed_fields(b, a))
    assert (not changed) == (a == b)


def test_set_fields() -> None:
    assert set_fields(config()) == ("name",)
    assert set_fields(BASE) == (
        "name", "resources.cpu", "resources.memory", "env", "auth.credentials", "idle_timeout",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "listed", "is_covered"),
    [
        ("resources.memory", {"resources.memory"}, True),
        ("resources.memory", {"resources"}, True),
        ("resources.memory", {"resources.mem"}, False),
        ("resources", {"resources.memory"}, False),
    ],
)
def test_covered(path: str, listed: set[str], is_covered: bool) -> None:
    assert covered(path, listed) is is_covered
