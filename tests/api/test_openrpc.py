"""The document of ``rpc.discover`` against OpenRPC's own schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from swarmd.api.openrpc import document
from swarmd.messages import codec
from swarmd.messages.enums import EventType
from swarmd.messages.methods import METHODS, Kind

HERE = Path(__file__).parent


def load(name: str) -> Any:
    return json.loads((HERE / name).read_text())["schema"]


def test_it_validates_against_the_meta_schema() -> None:
    schema, json_schema = load("openrpc-meta-schema.json"), load("json-schema-meta-schema.json")
    resource = Resource.from_contents(json_schema, default_specification=DRAFT7)
    registry: Registry[Any] = Registry().with_resources(
        [
            ("https://meta.json-schema.tools", resource),
            ("https://meta.json-schema.tools/", resource),
        ]
    )
    validator = jsonschema.Draft7Validator(schema, registry=registry)
    plain = json.loads(codec.encode(document("1.0")))
    assert [error.message for error in validator.iter_errors(plain)] == []
    del plain["methods"][0]["name"]
    assert not validator.is_valid(plain)


def test_every_method_parameter_and_event_is_described() -> None:
    described = document("1.0")
    methods = {method["name"]: method for method in described["methods"]}
    assert list(methods) == [method.name for method in METHODS]
    assert set(described["x-events"]) == {str(kind) for kind in EventType}
    for method in METHODS:
        shown = methods[method.name]
        assert shown["summary"]
        assert shown["x-kind"] == method.kind
        names = [param["name"] for param in shown["params"]]
        assert set(names) == set(method.request.__struct_fields__)
        required = [param["required"] for param in shown["params"]]
        assert required == sorted(required, reverse=True)
        assert ("anyOf" in shown["result"]["schema"]) == (method.kind is Kind.OPERATION)


def test_every_reference_leads_somewhere() -> None:
    described = document("1.0")

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [ref for inner in value.values() for ref in references(inner)]
        if isinstance(value, list):
            return [ref for inner in value for ref in references(inner)]
        return []

    for reference in references(described):
        place: Any = described
        for part in reference.removeprefix("#/").split("/"):
            assert part in place, reference
            place = place[part]


def test_examples_of_replies_fit_their_schema() -> None:
    described = document("1.0")
    schema = {"$ref": "#/components/schemas/Version", "components": described["components"]}
    jsonschema.validate({"version": "1", "protocol": 1}, schema)
