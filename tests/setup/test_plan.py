"""Which steps are left: a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.setup.plan import (
    ARCHIVE_STEPS,
    NPM_STEPS,
    Step,
    megabytes_needed,
    remaining,
)
from swarmd.setup.versions import NODE_WHEELS, archive_fingerprint, npm_fingerprint

STEPS = (Step(name="a", message="A"), Step(name="b", message="B"), Step(name="c", message="C"))


@pytest.mark.parametrize(
    ("stamps", "left"),
    [
        ({}, "abc"),
        ({"a": "v1"}, "bc"),
        ({"a": "v1", "b": "v1"}, "c"),
        ({"a": "v1", "b": "v1", "c": "v1"}, ""),
        ({"b": "v1", "c": "v1"}, "abc"),
        ({"a": "v1", "c": "v1"}, "bc"),
        ({"a": "v0", "b": "v1"}, "abc"),
        ({"a": "v1", "b": ""}, "bc"),
        ({"other": "v1"}, "abc"),
    ],
)
def test_everything_after_the_first_missing_stamp_runs_again(
    stamps: dict[str, str], left: str
) -> None:
    assert "".join(step.name for step in remaining(STEPS, stamps, "v1")) == left


@given(st.dictionaries(st.sampled_from("abc"), st.sampled_from(["v1", "v0", ""])))
def test_a_step_is_left_out_only_with_all_before_it_stamped(stamps: dict[str, str]) -> None:
    left = remaining(STEPS, stamps, "v1")
    assert left == STEPS[len(STEPS) - len(left) :]
    assert all(stamps[step.name] == "v1" for step in STEPS[: len(STEPS) - len(left)])


def test_a_resumed_installation_needs_less_room() -> None:
    assert megabytes_needed(NPM_STEPS) > megabytes_needed(NPM_STEPS[2:]) > 0


def test_both_recipes_check_before_they_publish() -> None:
    for steps in (NPM_STEPS, ARCHIVE_STEPS):
        assert [step.name for step in steps[-3:]] == ["complete", "verify", "seal"]


def test_fingerprints_tell_sources_apart() -> None:
    digest = next(iter(NODE_WHEELS.values()))
    assert npm_fingerprint() != archive_fingerprint(digest)
    assert archive_fingerprint(digest) != archive_fingerprint("0" * 64)
