"""Requests that are handed in at intake, and what became of them."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.core.intake import Intake, decide
from swarmd.core.tables import ProviderView, Tables
from swarmd.errors import SwarmError
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Operation
from swarmd.messages.provider import ProviderHealth, ProviderRecord
from swarmd.messages.requests import CreateInstance, Mutation
from tests.core.desk import ANA
from tests.core.samples import NODE, NOW, caps, config, make_id

OFF = ProviderRecord(name="local", type="local", enabled=False)
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
        "default_provider": "local",
        "insecure": False,
    }
    return Intake(**defaults | values)


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
