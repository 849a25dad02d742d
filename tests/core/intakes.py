"""Requests that are handed in at intake, and what became of them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from swarmd.core.intake import Intake, decide
from swarmd.core.placement import Rules
from swarmd.core.tables import Change, ProviderView, Tables
from swarmd.errors import SwarmError
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Operation
from swarmd.messages.provider import ProviderHealth, ProviderRecord
from swarmd.messages.requests import CreateInstance, Mutation
from tests.core.desk import ANA, LOCAL, READY, tables_of
from tests.core.samples import NODE, NOW, caps, config, make_id

OFF = ProviderRecord(name="local", type="local", enabled=False)
BOX = ProviderRecord(name="box1", type="docker")
BOTH = tables_of().apply(Change(providers=(LOCAL, BOX), views={"box1": READY}))
"""Two providers that are ready."""

SMALL = ProviderView(ProviderHealth(ok=True), caps(max_instances=1))


def intake(**values: Any) -> Intake:
    """What comes with a request of ana's, unless something else is said."""
    defaults: dict[str, Any] = {
        "operation_id": make_id(100),
        "instance_id": make_id(9),
        "caller": ANA,
        "now": NOW,
        "node": NODE,
        "password": "fresh password",
        "digest": "d",
        "lasts": 60.0,
    }
    rules = {"default_provider": "local"} | {
        each.name: values.pop(each.name) for each in fields(Rules) if each.name in values
    }
    return Intake(**defaults | {"rules": Rules(**rules)} | values)


def decided(request: Mutation, tables: Tables, **values: Any) -> tuple[Operation, Instance]:
    """The operation and the record of an accepted request."""
    verdict = decide(tables, request, intake(**values))
    after = tables.apply(verdict.change)
    operation = after.operations[verdict.operation_id]
    return operation, after.instances[operation.target]


def refused(request: Mutation, tables: Tables, **values: Any) -> SwarmError:
    """Why a request was refused."""
    with pytest.raises(SwarmError) as caught:
        decide(tables, request, intake(**values))
    return caught.value


def create(**values: Any) -> CreateInstance:
    """A creation; ``values`` are those of the configuration."""
    return CreateInstance(config=config(values.pop("name", "web"), **values))
