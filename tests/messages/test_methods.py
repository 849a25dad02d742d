"""The table of methods: complete, unique, and told in words."""

from __future__ import annotations

import re

import msgspec
import pytest

from swarmd.messages import methods, requests
from swarmd.messages.codec import schema_custom
from swarmd.messages.enums import OperationState
from swarmd.messages.methods import BY_NAME, BY_REQUEST, METHODS, Kind, Method

ABSTRACT = {requests.Request, requests.Mutation}


def ids(method: Method) -> str:
    return method.name


def test_names_and_requests_are_unique() -> None:
    assert len(BY_NAME) == len(BY_REQUEST) == len(METHODS)


def test_every_request_has_a_method() -> None:
    declared = {
        kind
        for kind in vars(requests).values()
        if isinstance(kind, type) and issubclass(kind, requests.Request)
    }
    assert declared - ABSTRACT == set(BY_REQUEST)


@pytest.mark.parametrize("method", METHODS, ids=ids)
def test_a_method_is_named_group_dot_verb_and_says_what_it_does(method: Method) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z]+", method.name)
    assert method.summary.endswith(".")
    assert method.summary[0].isupper()


@pytest.mark.parametrize("method", METHODS, ids=ids)
def test_operations_and_only_they_are_waited_for(method: Method) -> None:
    assert (method.kind is Kind.OPERATION) == issubclass(method.request, requests.Mutation)


@pytest.mark.parametrize("method", METHODS, ids=ids)
def test_request_and_reply_have_schemas(method: Method) -> None:
    schemas, _ = msgspec.json.schema_components(
        [method.request, method.reply], schema_hook=schema_custom
    )
    assert len(schemas) == 2


def test_the_kinds_of_streams_and_reads_are_disjoint() -> None:
    assert {method.kind for method in METHODS} == set(methods.Kind)


def test_operations_end_in_three_states() -> None:
    ended = {state for state in OperationState if state.ended}
    assert ended == {OperationState.SUCCEEDED, OperationState.FAILED, OperationState.CANCELLED}
