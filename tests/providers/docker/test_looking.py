"""What the engine's list says, as everyone else knows it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.messages.enums import InstanceStatus
from swarmd.providers.docker.looking import code_words, ended_words, read_seen, status_of
from swarmd.providers.docker.marks import State, marks_of
from tests.providers.docker.test_container import PORTS
from tests.providers.local import kit


def summary(name: str, **fields: Any) -> dict[str, Any]:
    made = kit.make_instance("web")
    labels = marks_of(made, "node", "box1", PORTS).labels()
    return {
        "Id": "c" * 64,
        "Names": [f"/swarmd-{made.id}-{name}"],
        "Labels": labels,
        "State": "running",
        "Status": "Up 2 seconds",
    } | fields


@pytest.mark.parametrize(
    ("name", "state", "status"),
    [
        ("e1", "running", InstanceStatus.RUNNING),
        ("e1", "restarting", InstanceStatus.RUNNING),
        ("e1", "paused", InstanceStatus.ERROR),
        ("e1", "created", InstanceStatus.CREATED),
        ("e1", "exited", InstanceStatus.STOPPED),
        ("e1", "dead", InstanceStatus.STOPPED),
        ("e1", "removing", InstanceStatus.STOPPED),
        ("e1-trash", "exited", InstanceStatus.DELETED),
        ("e1-trash", "running", InstanceStatus.DELETED),
    ],
)
def test_states(name: str, state: str, status: InstanceStatus) -> None:
    seen = read_seen(summary(name, State=state))
    assert seen is not None
    assert status_of(seen) is status


def test_the_name_carries_epoch_and_state() -> None:
    seen = read_seen(summary("e7-new"))
    assert seen is not None
    assert (seen.epoch, seen.status) == (7, State.NEW)


def test_a_name_given_by_hand_leaves_the_epoch_of_birth() -> None:
    seen = read_seen(summary("e7", Names=["/mine"]))
    assert seen is not None
    assert (seen.epoch, seen.status, seen.name) == (1, State.COMPLETE, None)


def test_another_instances_name_is_not_believed() -> None:
    seen = read_seen(summary("e7", Names=[f"/swarmd-{'9' * 26}-e9"]))
    assert seen is not None
    assert seen.epoch == 1


@given(st.dictionaries(st.sampled_from(["Names", "State", "Status", "Ports"]), st.none()))
def test_what_an_engine_leaves_out_does_no_harm(lacking: dict[str, None]) -> None:
    assert read_seen(summary("e1", **lacking)) is not None


def test_where_it_is_published() -> None:
    ports = [
        {"PrivatePort": 3000, "PublicPort": 1, "IP": "0.0.0.0", "Type": "tcp"},
        {"PrivatePort": 8080, "PublicPort": 22000, "IP": "127.0.0.1", "Type": "tcp"},
    ]
    seen = read_seen(summary("e1", Ports=ports))
    assert seen is not None
    assert seen.published == "127.0.0.1"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "exit status 0"),
        (3, "exit status 3"),
        (137, "ended by SIGKILL"),
        (143, "ended by SIGTERM"),
        (255, "exit status 255"),
    ],
)
def test_how_it_ended(code: int, words: str) -> None:
    assert code_words(code) == words
    assert ended_words({"ExitCode": code}) == words


def test_the_memory_limit_is_named() -> None:
    told = ended_words({"ExitCode": 137, "OOMKilled": True})
    assert told == "ended by SIGKILL (the memory limit was reached)"
