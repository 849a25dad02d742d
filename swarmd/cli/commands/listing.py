"""``swarmctl ls``: the one command that people wait for, so it imports little."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from swarmd.cli.app import App
from swarmd.cli.command import command
from swarmd.cli.commands.layouts import INSTANCES
from swarmd.cli.grid import render
from swarmd.cli.render import Form
from swarmd.errors import DeadlineExceeded
from swarmd.messages.requests import ListInstances

if TYPE_CHECKING:
    from swarmd.client import Chunk
    from swarmd.client.sync import Stream

_BURST_SECONDS = 0.2
_EXAMPLES = """
swarmctl ls --status running --label team=red
swarmctl ls 'web-*' -o wide
swarmctl ls -o name | xargs swarmctl stop
swarmctl ls --watch
"""


@command(
    Form(ListInstances, arguments={"name": "[GLOB]"}, skip=("cursor", "fields")),
    extra=[click.Option(["-w", "--watch"], is_flag=True, help="Go on and show what changes.")],
    examples=_EXAMPLES,
)
def ls(app: App, params: dict[str, Any], *, watch: bool) -> None:
    """Without --limit every page is read."""
    if watch:
        _watch(app, params)
        return
    page = read_all(app, params)
    app.output.table(page, page["items"], INSTANCES, empty=_hint(params))


def read_all(app: App, params: dict[str, Any]) -> dict[str, Any]:
    """Every page as one, or the one page that a limit asks for."""
    page: dict[str, Any] = app.call("instance.list", params)
    if "limit" in params:
        return page
    items = list(page["items"])
    while cursor := page.get("next_cursor"):
        page = app.call("instance.list", {**params, "cursor": cursor})
        items.extend(page["items"])
    return {**page, "items": items}


def _hint(params: dict[str, Any]) -> str:
    if params.get("trash"):
        return "The trash is empty."
    if params:
        return "No instance fits. `swarmctl ls` shows all."
    return "No instances yet. Make one: swarmctl create NAME"


def _watch(app: App, params: dict[str, Any]) -> None:
    """Show the table, and show it again whenever something happened."""
    before: dict[str, Any] = {}
    for _ in _happenings(app):
        page = read_all(app, params)
        if app.output.json:
            app.output.envelope(page)
        elif app.output.on_terminal:
            app.output.screen(_table(app, page["items"]))
        else:
            changed = [item for item in page["items"] if before.get(item["id"]) != _lasting(item)]
            if changed:
                app.output.lines(_table(app, changed, header=not before))
            before = {item["id"]: _lasting(item) for item in page["items"]}


def _lasting(item: dict[str, Any]) -> dict[str, Any]:
    """All but its use, which passes: a line for every heartbeat is no news."""
    return {key: value for key, value in item.items() if key != "idle"}


def _table(app: App, items: list[dict[str, Any]], *, header: bool = True) -> Iterator[str]:
    return render(
        INSTANCES,
        items,
        width=app.output.width,
        wide=app.output.format == "wide",
        colour=app.output.colour,
        header=header,
    )


def _happenings(app: App) -> Iterator[None]:
    """Once at the start, then once per event about an instance."""
    with app.stream("events.subscribe", {}) as stream:
        yield
        for chunk in stream:
            if _changes_a_row(chunk):
                _let_pass(stream)
                yield


def _let_pass(stream: Stream) -> None:
    """Take what comes in the next moment as well: a burst of events is one change to show."""
    end = time.monotonic() + _BURST_SECONDS
    with contextlib.suppress(DeadlineExceeded):
        while (left := end - time.monotonic()) > 0 and stream.read(left) is not None:
            pass


def _changes_a_row(chunk: Chunk) -> bool:
    return str((chunk.data or {}).get("type", "")).startswith("instance_")
