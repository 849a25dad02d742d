"""The error tree: every error crosses the wire and comes back as what it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd import errors
from swarmd.errors import (
    DaemonUnreachable,
    InternalError,
    NotFoundError,
    OperationNotFound,
    SwarmError,
    ValidationError,
    from_wire,
)

SEED_TYPES = {
    "initialization_error", "provider_error", "instance_not_found", "provider_not_found",
    "migration_error", "validation_error", "permission_error", "resource_limit_error",
    "internal_error",
}  # fmt: skip
ADDED_TYPES = {
    "conflict",
    "operation_cancelled",
    "timeout",
    "unavailable",
    "operation_not_found",
    "alert_not_found",
}
LATER = {"migration_error"}


def concrete() -> list[type[SwarmError]]:
    found = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, SwarmError)
    ]
    return [kind for kind in found if kind not in (SwarmError, NotFoundError)]


def test_the_wire_types_are_those_of_the_design() -> None:
    assert set(errors.WIRE_TYPES) == (SEED_TYPES | ADDED_TYPES) - LATER


@pytest.mark.parametrize("kind", concrete(), ids=lambda kind: kind.__name__)
def test_an_error_comes_back_as_what_it_was(kind: type[SwarmError]) -> None:
    sent = kind("no", field="config.name", next_step="Take another.", details={"cause": "so"})
    back = from_wire(sent.type, sent.message, sent.details)
    assert isinstance(sent, type(back))
    assert back.type == sent.type
    assert str(back) == "no"
    assert (back.field, back.next_step) == ("config.name", "Take another.")
    assert back.details == sent.details


def test_the_most_general_class_of_a_type_is_taken() -> None:
    assert type(from_wire("unavailable", "off")) is errors.Unavailable
    assert type(from_wire("validation_error", "bad")) is ValidationError
    assert type(from_wire("internal_error", "oops")) is InternalError


def test_an_unknown_type_keeps_its_name() -> None:
    error = from_wire("of_a_later_version", "hm", {"a": 1})
    assert type(error) is InternalError
    assert error.details == {"a": 1, "type": "of_a_later_version"}


def test_details_are_copied() -> None:
    facts = {"cause": "x"}
    error = OperationNotFound("none", details=facts)
    facts["cause"] = "y"
    error.details["cause"] = "z"
    assert error.details == {"cause": "x"}


def test_the_tree_stands_in_the_docstring() -> None:
    assert errors.__doc__ is not None
    missing = [kind.__name__ for kind in concrete() if kind.__name__ not in errors.__doc__]
    assert missing == []
    assert issubclass(DaemonUnreachable, errors.Unavailable)


@given(st.sampled_from(sorted(errors.WIRE_TYPES)), st.text(), st.dictionaries(st.text(), st.text()))
def test_any_reply_becomes_an_error(kind: str, message: str, details: dict[str, str]) -> None:
    error = from_wire(kind, message, details)
    assert error.type == kind
    assert str(error) == message
    assert error.details == details
