"""The OpenRPC document that ``rpc.discover`` answers, derived from the table of methods.

https://spec.open-rpc.org, version 1.3. Nothing is written twice: names, help and schemas come
from the Structs; only the errors and what events carry (``events_help``) stand here in words.
"""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import Any

import msgspec

from swarmd.api.errors import (
    APPLICATION_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
)
from swarmd.api.events_help import EVENT_DATA
from swarmd.errors import WIRE_TYPES
from swarmd.messages import codec
from swarmd.messages.events import Event
from swarmd.messages.methods import METHODS, Kind, Method
from swarmd.messages.operation import Operation
from swarmd.messages.wire import Chunk

OPENRPC = "1.3.2"
_REF = "#/components/schemas/{name}"

_PROTOCOL_ERRORS = {
    "ParseError": (PARSE_ERROR, "The line is not JSON."),
    "InvalidRequest": (INVALID_REQUEST, "The line is no request, too long, or an empty batch."),
    "MethodNotFound": (METHOD_NOT_FOUND, "There is no such method; data names the nearest."),
    "InvalidParams": (INVALID_PARAMS, "A parameter is unknown, missing or wrong; data names it."),
}


@lru_cache(maxsize=1)
def document(version: str) -> dict[str, Any]:
    """The whole document.

    Args:
        version: The daemon's.
    """
    schemas, components = _schemas()
    return {
        "openrpc": OPENRPC,
        "info": {
            "title": "swarmd",
            "version": version,
            "description": "One JSON document per line over a Unix socket, UTF-8, batches "
            "allowed, 1 MiB a line. Parameters by name. A request may carry a top-level "
            '"correlation" that goes through everything it causes.',
            "license": {"name": "Apache-2.0"},
        },
        "methods": [_method(method, schemas, components) for method in METHODS],
        "components": {
            "schemas": {
                name: schema
                for name, schema in sorted(components.items())
                if name not in _request_names()
            },
            "errors": _errors(),
        },
        "x-notifications": {
            "stream": {
                "description": "A chunk of a stream that this connection opened.",
                "params": {"$ref": _REF.format(name="Chunk")},
            },
            "operation.started": {
                "description": "Comes before the answer to a request for an operation: its id, "
                "kind and target, and the id of the request.",
            },
        },
        "x-events": {str(kind): text for kind, text in EVENT_DATA.items()},
    }


def _request_names() -> frozenset[str]:
    return frozenset(method.request.__name__ for method in METHODS)


def _schemas() -> tuple[dict[Any, Any], dict[str, Any]]:
    """The schema of each type by the type, and the components they refer to."""
    types: list[Any] = [Chunk, Event, Operation]
    types += [method.request for method in METHODS]
    types += [method.reply for method in METHODS]
    schemas, components = msgspec.json.schema_components(
        types, schema_hook=codec.schema_custom, ref_template=_REF
    )
    return {_key(kind): schema for kind, schema in zip(types, schemas, strict=True)}, components


def _key(kind: Any) -> Any:
    return kind if isinstance(kind, type) else str(kind)


def _method(method: Method, schemas: dict[Any, Any], components: dict[str, Any]) -> dict[str, Any]:
    request = components[method.request.__name__]
    reply = schemas[_key(method.reply)]
    if method.kind is Kind.OPERATION:
        reply = {"anyOf": [reply, schemas[Operation]]}
    required = frozenset(request.get("required", ()))
    names = [*_PROTOCOL_ERRORS, "Application"]
    return {
        "name": method.name,
        "summary": method.summary,
        "description": inspect.cleandoc(method.request.__doc__ or ""),
        "paramStructure": "by-name",
        "params": [
            _param(name, schema, required=name in required)
            for name, schema in sorted(
                request["properties"].items(), key=lambda pair: pair[0] not in required
            )
        ],
        "result": {"name": _result_name(method), "schema": reply},
        "errors": [{"$ref": f"#/components/errors/{name}"} for name in names],
        "x-kind": str(method.kind),
    }


def _param(name: str, schema: dict[str, Any], *, required: bool) -> dict[str, Any]:
    described = {"description": schema["description"]} if "description" in schema else {}
    return {"name": name, "required": required, "schema": schema, **described}


def _result_name(method: Method) -> str:
    return method.reply.__name__ if isinstance(method.reply, type) else "document"


def _errors() -> dict[str, Any]:
    protocol = {
        name: {"code": code, "message": text} for name, (code, text) in _PROTOCOL_ERRORS.items()
    }
    application = {
        "code": APPLICATION_ERROR,
        "message": "The request was understood and refused, or it failed.",
        "data": {
            "type": "object",
            "required": ["type", "message", "details"],
            "properties": {
                "type": {"enum": sorted(WIRE_TYPES)},
                "message": {"type": "string"},
                "details": {
                    "type": "object",
                    "description": "field: the input to blame; next_step: what to do; cause: "
                    "the words of the error underneath.",
                },
            },
        },
    }
    return {**protocol, "Application": application}
