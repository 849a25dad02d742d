"""``swarmctl alerts``: what somebody should look at, and taking it over."""

from __future__ import annotations

from typing import Any

import click

from swarmd.cli import bulk
from swarmd.cli.app import App
from swarmd.cli.command import command
from swarmd.cli.grid import Column, Row, column
from swarmd.cli.groups import LazyGroup
from swarmd.cli.render import Form
from swarmd.cli.text import age, clock, dash, safe
from swarmd.messages import requests

_HERE = "swarmd.cli.commands.alerts"
_MOST = 1000

ALERTS = (
    column("ID", fixed=True),
    column("SEVERITY", coloured=True, fixed=True),
    Column("SINCE", lambda row: age(row.get("raised_at")), fixed=True),
    column("STATE", coloured=True),
    column("MESSAGE"),
    column("TYPE", wide=True),
    column("SUBJECT", wide=True),
    column("BY", "acknowledged_by", wide=True),
    column("NOTE", wide=True),
    Column("RESOLVED", lambda row: clock(row.get("resolved_at")), wide=True),
    Column("NEXT", lambda row: dash((row.get("details") or {}).get("next_step")), wide=True),
)

alerts = LazyGroup(
    "alerts",
    help="What somebody should look at: `swarmctl alerts` lists it, `swarmctl alerts ack ID` takes "
    "it over.",
    table={"Commands": {"list": f"{_HERE}:list_alerts", "ack": f"{_HERE}:acknowledge"}},
    bare="list",
)


@command(Form(requests.ListAlerts), examples="swarmctl alerts --state resolved --limit 20")
def list_alerts(app: App, params: dict[str, Any]) -> None:
    """-o wide shows more, and what to do."""
    found = app.call("alert.list", params)
    empty = "No alert fits." if params else "No alerts: nothing needs to be looked at."
    app.output.table(found, found["items"], ALERTS, empty=empty)
    if (more := found["total"] - len(found["items"])) > 0 and not app.output.json:
        app.output.note(f"{more} more: --limit {found['total']}")


@command(
    Form(requests.AcknowledgeAlert, skip=["id"]),
    extra=[
        click.Argument(["by_id"], nargs=-1, metavar="[ID]..."),
        click.Option(["by_all", "--all"], is_flag=True, help="All that nobody has taken over."),
    ],
)
def acknowledge(app: App, params: dict[str, Any], **chosen: Any) -> int:
    """That it is resolved is still told."""
    refs = _chosen(app, chosen["by_id"], everything=chosen["by_all"])
    if not refs:
        app.output.note("No alert waits for that.")
        return 0
    return bulk.run(
        app,
        [(ref, ref) for ref in refs],
        lambda ref: app.call("alert.acknowledge", {"id": ref, **params}),
        lambda alert: app.output.line(_line(alert)),
        "acknowledged",
    )


def _chosen(app: App, refs: tuple[str, ...], *, everything: bool) -> list[str]:
    if bool(refs) == everything:
        raise click.UsageError("Give ids, or --all; not both.")
    if refs:
        return list(dict.fromkeys(refs))
    found = app.call("alert.list", {"state": ["active"], "limit": _MOST})
    return [alert["id"] for alert in found["items"]]


def _line(alert: Row) -> str:
    parts = (alert["id"], alert["state"], alert["type"], alert["subject"])
    return "  ".join(safe(part) for part in parts)
