"""Every Struct of the contract goes over the wire and comes back the same."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import swarmd.messages
from swarmd.messages.codec import convert, decoder, encode, encode_private, schema_custom, to_plain
from swarmd.messages.config import Config
from swarmd.messages.instance import Instance, InstanceConfig, Resources
from swarmd.messages.requests import Request
from swarmd.messages.units import Size, Storage
from tests.messages.strategies import structs


def all_structs() -> list[type[msgspec.Struct]]:
    found: set[type[msgspec.Struct]] = set()
    for module in pkgutil.iter_modules(swarmd.messages.__path__):
        names = vars(importlib.import_module(f"swarmd.messages.{module.name}"))
        found |= {
            kind
            for kind in names.values()
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
            if kind is not msgspec.Struct
        }
    return sorted(found, key=lambda kind: kind.__qualname__)


STRUCTS = all_structs()
TOLERANT = [
    kind
    for kind in STRUCTS
    if not kind.__struct_config__.forbid_unknown_fields and not kind.__struct_config__.array_like
]
STRICT = [kind for kind in STRUCTS if kind.__struct_config__.forbid_unknown_fields]


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_struct_comes_back_the_same(kind: type[msgspec.Struct], data: st.DataObject) -> None:
    value = data.draw(structs(kind))
    assert decoder(kind).decode(encode_private(value)) == value
    assert convert(to_plain(value, reveal=True), kind) == value


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_structs_are_frozen_and_named_only(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.frozen
    described = msgspec.inspect.type_info(kind)
    assert isinstance(described, msgspec.inspect.StructType)
    if described.fields:
        with pytest.raises(TypeError):
            kind(None)


@pytest.mark.parametrize("kind", STRICT, ids=lambda kind: kind.__name__)
def test_what_people_send_may_not_hold_unknown_fields(kind: type[msgspec.Struct]) -> None:
    with pytest.raises(msgspec.ValidationError):
        convert({"no_such_field": 1}, kind)


def test_requests_and_configuration_are_strict_and_the_rest_is_tolerant() -> None:
    assert {Config, InstanceConfig, Request, Resources} <= set(STRICT)
    assert {kind for kind in STRUCTS if issubclass(kind, Request)} <= set(STRICT)
    assert Instance in TOLERANT


@settings(suppress_health_check=list(HealthCheck), max_examples=20)
@given(structs(Instance))
def test_a_record_of_a_newer_daemon_can_be_read(record: Instance) -> None:
    plain: dict[str, Any] = to_plain(record, reveal=True)
    assert convert(plain | {"of_a_later_version": {"a": 1}}, Instance) == record


def test_storage_and_memory_differ_in_their_bare_unit() -> None:
    resources = convert({"memory": 1024, "storage": 10}, Resources)
    assert resources == Resources(memory=Size(1024), storage=Storage(10 << 30))
    assert to_plain(resources)["storage"] == "10g"


@pytest.mark.parametrize("text", ["12x", "", "-5m"])
def test_a_wrong_size_names_its_place(text: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"expected a size.*\$\.resources\.memory"):
        convert({"name": "web", "resources": {"memory": text}}, InstanceConfig)


def test_what_is_not_ours_is_refused_by_name() -> None:
    with pytest.raises(NotImplementedError, match="complex"):
        encode(1j)
    with pytest.raises(NotImplementedError, match="complex"):
        convert("1", complex)
    with pytest.raises(NotImplementedError, match="complex"):
        schema_custom(complex)
