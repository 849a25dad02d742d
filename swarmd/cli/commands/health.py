"""How an instance is, and having it recovered by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from swarmd.cli.app import App
from swarmd.cli.command import command
from swarmd.cli.commands.instances import NAME, WAITING, act, select, selection
from swarmd.cli.grid import Column, Row, column, render
from swarmd.cli.render import Form
from swarmd.cli.text import clock, dash, safe, took
from swarmd.messages import requests

_LATEST = 10
"""Points of the history that people are shown; ``-o json`` has them all."""


def _figure(row: Row, key: str) -> str:
    """A check's figure: answers take seconds, of memory and disk there are shares."""
    value = row.get(key)
    if not isinstance(value, float):
        return dash(value)
    return f"{value:.1%}" if row.get("kind") == "resources" else took(value)


CHECKS = (
    column("CHECK", "kind"),
    column("VERDICT", coloured=True),
    Column("VALUE", lambda row: _figure(row, "value")),
    Column("LIMIT", lambda row: _figure(row, "limit")),
    Column("TOOK", lambda row: took(row.get("seconds"))),
    column("SAYS", "message"),
)
POINTS = (
    Column("AT", lambda row: clock(row.get("at")), fixed=True),
    column("HEALTH", "status", coloured=True),
    Column("TOOK", lambda row: took(row.get("seconds"))),
    column("WHY", "message"),
)


@command(Form(requests.HealthInstance, arguments=NAME))
def health(app: App, params: dict[str, Any]) -> None:
    """Four checks with what was found and its limit, and the latest of the history."""
    found = app.call("instance.health", params)
    app.output.noun(found, lambda data: app.output.lines(_lines(data)))


def _lines(found: dict[str, Any]) -> Iterator[str]:
    since = f" since {clock(found['since'])}" if found.get("since") else ""
    yield safe(f"{found['ref']} is {found['status']}{since}: {found['details']}")
    yield ""
    yield from render(CHECKS, found["checks"], width=None)
    points = [_point(each) for each in found["history"][-_LATEST:]]
    if points:
        yield ""
        yield from render(POINTS, points, width=None)


def _point(point: list[Any]) -> Row:
    """A point of the history is an array on the wire."""
    return dict(zip(("at", "status", "seconds", "message"), point, strict=False))


@command(Form(requests.RecoverInstance, skip=WAITING), extra=selection())
def recover(app: App, params: dict[str, Any], **chosen: Any) -> int:
    """What runs in it is ended at once; its files stay. Several names: up to eight at a time."""
    refs = select(app, chosen["by_name"], chosen["by_label"], chosen["by_all"])
    return act(app, "instance.recover", refs, params, "recovered")
