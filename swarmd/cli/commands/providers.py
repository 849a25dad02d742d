"""``swarmctl providers``: what there is, what each can do, coming and going."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from swarmd.cli.app import App
from swarmd.cli.command import Command, command
from swarmd.cli.commands.layouts import PROVIDERS, details, provider_state
from swarmd.cli.groups import LazyGroup
from swarmd.cli.output import FAILED
from swarmd.cli.render import Form
from swarmd.cli.text import safe
from swarmd.messages import requests

_HERE = "swarmd.cli.commands.providers"
NAME = {"name": "NAME"}
_COST = "cost_per_hour"

providers = LazyGroup(
    "providers",
    help="Places that run instances: `swarmctl providers` lists them.",
    table={
        "Commands": {
            "list": f"{_HERE}:list_providers",
            "get": f"{_HERE}:get_provider",
            "capabilities": f"{_HERE}:capabilities",
            "register": f"{_HERE}:register",
            "update": f"{_HERE}:update_provider",
            "remove": f"{_HERE}:remove",
            "enable": f"{_HERE}:enable",
            "disable": f"{_HERE}:disable",
            "cordon": f"{_HERE}:cordon",
            "drain": f"{_HERE}:drain",
        }
    },
    bare="list",
    fallback="get",
    elsewhere={
        "uncordon": "enable",
        "add": "register",
        "create": "register",
        "rm": "remove",
        "delete": "remove",
        "ls": "list",
        "show": "get",
    },
)


@command(Form(requests.ListProviders))
def list_providers(app: App, params: dict[str, Any]) -> None:
    """-o wide shows more."""
    found = app.call("provider.list", params)
    app.output.table(
        found, found["items"], PROVIDERS, empty="No providers. See `swarmctl providers register`."
    )


@command(Form(requests.GetProvider, arguments=NAME))
def get_provider(app: App, params: dict[str, Any]) -> None:
    """Everything that is known of it, as path: value."""
    _details(app, app.call("provider.get", params))


@command(Form(requests.ProviderCapabilities, arguments=NAME))
def capabilities(app: App, params: dict[str, Any]) -> None:
    """The notes tell what cannot be done there, and why."""
    _details(app, app.call("provider.capabilities", params))


@command(
    Form(requests.RegisterProvider, arguments=NAME),
    examples="swarmctl providers register second --type local --option port_range=42000-42999",
)
def register(app: App, params: dict[str, Any]) -> None:
    """A value of --option may be JSON; else it is text."""
    _line(app, app.call("provider.register", params))


@command(
    Form(requests.UpdateProvider, arguments=NAME),
    extra=[
        click.Option(
            ["--unset"],
            multiple=True,
            metavar="OPTION",
            help="Back to default; cost_per_hour: not known any more.",
        )
    ],
)
def update_provider(app: App, params: dict[str, Any], *, unset: tuple[str, ...]) -> None:
    """A value of --option may be JSON; else it is text."""
    if _COST in unset:
        params[_COST] = None
    options = [each for each in unset if each != _COST]
    if options:
        params["options"] = {**params.get("options", {}), **dict.fromkeys(options)}
    if set(params) == {"name"}:
        raise click.UsageError("Nothing to change: give --priority, --option or --unset.")
    _line(app, app.call("provider.update", params))


@command(Form(requests.RemoveProvider, arguments=NAME))
def remove(app: App, params: dict[str, Any]) -> None:
    """One of the configuration file is removed there."""
    done = app.call("provider.remove", params)
    app.output.noun(done, lambda _: app.output.note(f"{params['name']} is removed."))


def _verb(method: str, request: type[requests.Request], name: str) -> Command:
    """A command that does one thing to one provider."""

    def run(app: App, params: dict[str, Any]) -> None:
        _line(app, app.call(method, params))

    run.__name__ = name
    return command(Form(request, arguments=NAME))(run)


enable = _verb("provider.enable", requests.EnableProvider, "enable")
disable = _verb("provider.disable", requests.DisableProvider, "disable")
cordon = _verb("provider.cordon", requests.CordonProvider, "cordon")


@command(Form(requests.DrainProvider, arguments=NAME, skip=("timeout",)))
def drain(app: App, params: dict[str, Any]) -> int:
    """Undone by `swarmctl providers enable NAME` and a start of each instance."""
    drained = app.operate("provider.drain", params, label=params["name"])
    app.output.noun(drained, lambda data: _show_drained(app, data))
    return FAILED if drained["failed"] or drained["refused"] else 0


def _show_drained(app: App, drained: dict[str, Any]) -> None:
    for item in drained["items"]:
        state = item.get("state") or "refused"
        parts = (item["ref"], state, item.get("operation"), item.get("message"))
        app.output.line("  ".join(safe(part) for part in parts if part))
    going_on = drained["begun"] - drained["stopped"] - drained["failed"]
    counts = (
        (drained["stopped"], "stopped"),
        (going_on, "under way"),
        (drained["failed"], "failed"),
        (drained["refused"], "refused"),
    )
    told = ", ".join(f"{count} {word}" for count, word in counts if count)
    app.output.note(f"{drained['provider']} is cordoned: {told or 'nothing ran there'}.")
    if going_on:
        app.output.note("→ The stops go on. See them: swarmctl ops")


def _details(app: App, data: dict[str, Any]) -> None:
    app.output.noun(data, lambda shown: app.output.lines(_told(shown)))


def _told(data: dict[str, Any]) -> Iterator[str]:
    """All of it; that no limit is enforced is a fact, and not one that is not set."""
    yield from details(data)
    capabilities = data.get("capabilities", data)
    if capabilities is not None and not capabilities.get("limits_enforced"):
        prefix = "capabilities." if "capabilities" in data else ""
        yield f"{prefix}limits_enforced: none; {prefix}notes says why"


def _line(app: App, provider: dict[str, Any]) -> None:
    app.output.noun(
        provider,
        lambda data: app.output.line(
            f"{safe(data['name'])}  {safe(data['type'])}  {provider_state(data)}"
        ),
    )
