"""A creation that one provider cannot carry out goes on at the next one, or says why not."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.core.course import PLACEMENT, Step
from swarmd.errors import (
    DeadlineExceeded,
    OperationCancelled,
    ProviderError,
    ProviderUnreachable,
    ResourceLimitError,
    SwarmError,
    Unavailable,
    ValidationError,
)
from swarmd.messages.enums import DesiredState, InstanceStatus, OperationState
from tests.core.attempts import Attempt


@pytest.mark.parametrize("archive", [None, "u1"])
def test_it_goes_on_in_the_order_of_the_ranking(archive: str | None) -> None:
    desk = Attempt()
    operation = desk.make(archive=archive)
    assert desk.at() == ("local", "local", 1, "creating")
    desk.break_at(operation)
    assert desk.at() == ("box1", "docker", 2, "creating")
    going_on = desk.of(operation)
    assert (going_on.step, going_on.state) == (Step.VALIDATE, OperationState.RUNNING)
    assert going_on.error is None
    assert going_on.progress.message == "local could not make it, trying box1"
    assert desk.plan(operation) == {
        "strategy": "balanced",
        "insecure": False,
        "tried": [{"provider": "local", "type": "provider_error", "message": "it did not work"}],
        "next": ["box2"],
        "at": {"provider": "box1", "type": "docker"},
    }
    desk.break_at(operation)
    assert desk.at() == ("box2", "docker", 3, "creating")
    ended = desk.run(operation)
    assert ended.state is OperationState.SUCCEEDED
    assert (desk.record().status, desk.record().provider) == (InstanceStatus.RUNNING, "box2")
    assert ended.arguments.get("upload") == archive
    assert "create at box1: local could not: it did not work" in desk.story
    assert "create at box2: box1 could not: it did not work" in desk.story
    told = [each.data for each in desk.events if each.type == "operation_progress"]
    assert [each["provider"] for each in told] == ["box1", "box2"]
    assert "instance_purged" not in desk.told
    assert desk.told.count("operation_started") == desk.told.count("operation_ended") == 1


def test_all_that_fail_are_told_with_their_causes() -> None:
    desk = Attempt()
    operation = desk.make()
    desk.break_at(operation, ProviderError("the disk is broken"))
    desk.break_at(operation, Unavailable("it was switched off"))
    desk.break_at(operation, ResourceLimitError("no port is free"))
    ended = desk.of(operation)
    assert ended.state is OperationState.FAILED
    assert ended.error is not None
    assert ended.error.type == "provider_error"
    assert ended.error.message == (
        "ana/web could be made at no provider: local: the disk is broken; "
        "box1: it was switched off; box2: no port is free"
    )
    attempts = ended.error.details["attempts"]
    assert [(each["provider"], each["type"]) for each in attempts] == [
        ("local", "provider_error"), ("box1", "unavailable"), ("box2", "resource_limit_error"),
    ]  # fmt: skip
    assert ended.reason == ended.error.message
    assert desk.tables.instances == {}
    assert desk.told[-2:] == ["instance_purged", "operation_ended"]


@pytest.mark.parametrize(
    "error",
    [
        ValidationError("no such folder", field="config.workspace"),
        DeadlineExceeded("the time for this step ran out"),
        OperationCancelled("cancelled while it ran"),
    ],
)
def test_what_another_provider_cannot_mend_ends_it(error: SwarmError) -> None:
    desk = Attempt()
    operation = desk.make()
    desk.break_at(operation, error)
    ended = desk.of(operation)
    assert ended.state.ended
    assert ended.error is not None
    assert ended.error.type == error.type
    assert "attempts" not in ended.error.details
    assert desk.tables.instances == {}


def test_an_error_of_the_second_that_ends_it_keeps_the_first() -> None:
    desk = Attempt()
    operation = desk.make()
    desk.break_at(operation)
    desk.break_at(operation, DeadlineExceeded("the time ran out"))
    error = desk.of(operation).error
    assert error is not None
    assert error.type == "provider_error"
    assert error.message.endswith("local: it did not work; box1: the time ran out")


@pytest.mark.parametrize(
    ("rules", "fields"), [({"fallback": False}, {}), ({}, {"provider": "local"})]
)
def test_who_is_named_or_without_fallback_it_ends(
    rules: dict[str, Any], fields: dict[str, Any]
) -> None:
    desk = Attempt(**rules)
    operation = desk.make(**fields)
    assert PLACEMENT not in operation.arguments
    desk.break_at(operation)
    ended = desk.of(operation)
    assert ended.error is not None
    assert (ended.state, ended.error.message) == (OperationState.FAILED, "it did not work")
    assert desk.tables.instances == {}


def test_a_refusal_before_anything_was_made_is_not_undone() -> None:
    """So that an engine that does not answer holds up nothing."""
    desk = Attempt()
    operation = desk.make()
    desk.fail(operation, ProviderUnreachable("no answer"))
    assert desk.at() == ("box1", "docker", 2, "creating")
    assert desk.of(operation).step == Step.VALIDATE
    assert "validate did not succeed: no answer" in desk.story
    assert "create at box1: local could not: no answer" in desk.story


def test_the_last_one_that_refuses_is_undone_and_told() -> None:
    desk = Attempt()
    operation = desk.make()
    for message in ("one", "two", "three"):
        desk.fail(operation, ProviderUnreachable(message))
    assert desk.of(operation).step == Step.UNDO
    desk.end(operation)
    error = desk.of(operation).error
    assert error is not None
    assert error.message.endswith("local: one; box1: two; box2: three")


def test_what_cannot_be_undone_is_tried_nowhere_else() -> None:
    desk = Attempt()
    operation = desk.make()
    desk.to(operation, Step.CREATE)
    desk.fail(operation)
    desk.fail(operation, ProviderUnreachable("no answer"))
    ended, row = desk.of(operation), desk.record()
    assert ended.state is OperationState.FAILED
    assert ended.error is not None
    assert ended.error.message == (
        "it did not work; undoing it failed: no answer, so that no other provider was tried"
    )
    assert (row.provider, row.desired) == ("local", DesiredState.DELETED)


def test_the_second_that_cannot_be_undone_tells_of_both() -> None:
    desk = Attempt()
    operation = desk.make()
    desk.break_at(operation)
    desk.to(operation, Step.CREATE)
    desk.fail(operation)
    desk.fail(operation, ProviderError("stuck"))
    error = desk.of(operation).error
    assert error is not None
    assert [each["provider"] for each in error.details["attempts"]] == ["local", "box1"]
    assert desk.record().provider == "box1"


def test_a_failed_start_is_no_failed_creation() -> None:
    """It is there, and can be looked at and started again."""
    desk = Attempt()
    operation = desk.make()
    desk.to(operation, Step.START)
    desk.fail(operation)
    assert desk.of(operation).state is OperationState.FAILED
    assert (desk.record().provider, desk.record().status) == ("local", InstanceStatus.ERROR)
