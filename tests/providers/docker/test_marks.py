"""Labels and names: what is written is read again, and what others wrote is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.messages.enums import Transport
from swarmd.providers.docker.marks import (
    JOB,
    Marks,
    Name,
    State,
    job_name,
    read_marks,
    read_name,
    volume_name,
)

ULIDS = st.text("0123456789abcdefghjkmnpqrstvwxyz", min_size=26, max_size=26)
PORTS = st.dictionaries(
    st.tuples(st.integers(1, 65535), st.sampled_from(Transport)), st.integers(1, 65535), max_size=4
)


@given(ULIDS, st.integers(0, 10**9), st.sampled_from(State))
def test_a_name_is_read_as_it_was_written(instance_id: str, epoch: int, state: State) -> None:
    name = Name(instance_id, epoch, state)
    assert read_name(str(name)) == name
    assert read_name(f"/{name}") == name


@given(st.text(max_size=60))
def test_other_names_are_none_of_ours(text: str) -> None:
    found = read_name(text)
    assert found is None or str(found) == text.removeprefix("/")


def test_an_unknown_state_is_no_name_of_ours() -> None:
    name = str(Name("0" * 26, 1))
    assert read_name(f"{name}-old") is None
    assert read_name(f"{name}-trash") == Name("0" * 26, 1, State.TRASHED)


@given(ULIDS, st.text(max_size=30), st.text(max_size=30), st.integers(1, 10**6), PORTS)
def test_labels_are_read_as_they_were_written(
    instance_id: str, name: str, owner: str, epoch: int, ports: dict[tuple[int, Transport], int]
) -> None:
    marks = Marks(instance_id, "node", "box1", name, owner, epoch, ports, "abc", "an/image:1")
    assert read_marks(marks.labels()) == marks


@pytest.mark.parametrize(
    "labels",
    [None, {}, {"dev.swarmd.id": "not-an-id"}, {"dev.swarmd.id": "0" * 26, JOB: "x"}],
)
def test_what_is_no_instance_has_no_marks(labels: dict[str, str] | None) -> None:
    assert read_marks(labels) is None


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20)), st.text(max_size=40))
def test_labels_made_by_hand_do_no_harm(labels: dict[str, str], text: str) -> None:
    found = read_marks(
        labels | {"dev.swarmd.id": "0" * 26, "dev.swarmd.ports": text, "dev.swarmd.epoch": text}
    )
    assert found is not None
    assert found.epoch >= 0


def test_volume_and_job_are_told_from_the_container() -> None:
    assert read_name(volume_name("0" * 26)) is None
    assert read_name(job_name("0" * 26)) is None
