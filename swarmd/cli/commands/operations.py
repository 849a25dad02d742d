"""``swarmctl ops``: list, get, wait, cancel."""

from __future__ import annotations

from typing import Any

from swarmd.cli.app import App
from swarmd.cli.command import command
from swarmd.cli.commands.layouts import OPERATIONS, details, operation_line
from swarmd.cli.groups import LazyGroup
from swarmd.cli.render import Form
from swarmd.errors import from_wire
from swarmd.messages import requests

_HERE = "swarmd.cli.commands.operations"
ID = {"id": "ID"}

ops = LazyGroup(
    "ops",
    help="Operations: `swarmctl ops` lists them, `swarmctl ops ID` shows one.",
    table={
        "Commands": {
            "list": f"{_HERE}:list_operations",
            "get": f"{_HERE}:get_operation",
            "wait": f"{_HERE}:wait_operation",
            "cancel": f"{_HERE}:cancel_operation",
        }
    },
    bare="list",
    fallback="get",
)


@command(Form(requests.ListOperations))
def list_operations(app: App, params: dict[str, Any]) -> None:
    """-o wide shows more."""
    found = app.call("operation.list", params)
    empty = "No operation fits." if params else "No operations yet."
    app.output.table(found, found["items"], OPERATIONS, empty=empty)


@command(Form(requests.GetOperation, arguments=ID))
def get_operation(app: App, params: dict[str, Any]) -> None:
    """Everything that is known of it, as path: value."""
    _show(app, app.call("operation.get", params))


@command(Form(requests.WaitOperation, arguments=ID, skip=["timeout"]))
def wait_operation(app: App, params: dict[str, Any]) -> int:
    """Exits 0 if it succeeded. --timeout ends the wait."""
    operation = app.wait_for(params["id"])
    app.output.noun(operation, lambda data: app.output.line(operation_line(data)))
    failure = operation.get("error")
    if failure:
        app.output.error(from_wire(failure["type"], failure["message"], failure.get("details")))
    return 0 if operation["state"] == "succeeded" else 1


@command(Form(requests.CancelOperation, arguments=ID))
def cancel_operation(app: App, params: dict[str, Any]) -> None:
    """What it had begun is undone."""
    operation = app.call("operation.cancel", params)
    app.output.noun(operation, lambda data: app.output.line(operation_line(data)))


def _show(app: App, operation: dict[str, Any]) -> None:
    app.output.noun(operation, lambda data: app.output.lines(details(data)))
