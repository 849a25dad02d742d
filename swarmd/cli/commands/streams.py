"""What flows: logs, commands, events."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from swarmd.cli.app import App
from swarmd.cli.command import Runner, command
from swarmd.cli.commands.instances import NAME
from swarmd.cli.commands.layouts import event_line
from swarmd.cli.output import dumps
from swarmd.cli.render import Form
from swarmd.cli.values import ENV_FILE, with_env
from swarmd.errors import SwarmError
from swarmd.messages import requests

if TYPE_CHECKING:
    from swarmd.client.sync import Stream

_MOST = 1_000_000
"""Events that are held at a time."""


@command(
    Form(requests.LogsInstance, arguments=NAME, letters={"follow": "-f"}),
    examples="swarmctl logs web -f --tail 20",
)
def logs(app: App, params: dict[str, Any]) -> None:
    """It is printed as it is."""
    with app.stream("instance.logs", params) as stream:
        for chunk in stream:
            app.output.raw(chunk.bytes)


@command(
    Form(
        requests.ExecInstance,
        arguments={"id": "NAME", "command": "COMMAND..."},
        skip=["stdin"],
    ),
    extra=[
        ENV_FILE,
        click.Option(
            ["interactive", "-i", "--stdin"], is_flag=True, help="Pass standard input on."
        ),
        click.Option(["terminal", "-t", "--tty"], is_flag=True, hidden=True),
    ],
    examples="swarmctl exec web git status\ntar c . | swarmctl exec -i web tar x",
    kind=Runner,
)
def exec_in(
    app: App,
    params: dict[str, Any],
    *,
    interactive: bool,
    terminal: bool,
    env_files: tuple[dict[str, str], ...],
) -> int:
    """Options stand before COMMAND; what follows is its own. Its exit code is passed on.

    It gets no terminal: for a shell to work in, open the instance and use VS Code's.
    """
    if terminal:
        raise click.UsageError(
            "There is no -t: a command gets no terminal. VS Code has one: "
            f"swarmctl open {params['id']}."
        )
    params = with_env(params, env_files)
    with app.stream("instance.exec", {**params, "stdin": interactive}) as stream:
        if interactive:
            threading.Thread(target=_pump, args=(stream,), daemon=True).start()
        for chunk in stream:
            app.output.raw(chunk.bytes, err=chunk.channel == "stderr")
        return stream.exit_code or 0


def _pump(stream: Stream) -> None:
    """Standard input into the stream, until either ends."""
    reader = getattr(sys.stdin.buffer, "read1", sys.stdin.buffer.read)
    try:
        while data := reader(65536):
            stream.write(data)
        stream.write(b"", end=True)
    except (SwarmError, OSError, ValueError):
        return  # the command has ended, and with it the wish to feed it


@command(
    Form(requests.SubscribeEvents, skip=["since", "journal"]),
    extra=[
        click.Option(["follow", "-f", "--follow"], is_flag=True, help="Go on as they come."),
        click.Option(
            ["--last"],
            type=click.IntRange(1, _MOST),
            default=100,
            show_default=True,
            help="So many of those asked for, if --since does not say where to begin.",
        ),
        click.Option(
            ["--since"],
            type=click.IntRange(min=0),
            help="After this sequence number. Default: the last ones; with -f: from now.",
        ),
    ],
    examples="swarmctl events -f --type instance_created\nswarmctl events --since 120 -o json",
    own_help=True,
)
def events(app: App, params: dict[str, Any], *, follow: bool, since: int | None, last: int) -> None:
    """Show what happened, and with -f what happens. With -o json: one document per line."""
    if follow:
        _follow(app, params if since is None else {**params, "since": since})
        return
    found = False
    for event in _past(app, params, since, last):
        found = True
        _print(app, event)
    if not found:
        app.output.note(_none(params, since))


def _none(params: dict[str, Any], since: int | None) -> str:
    """What is said where nothing was found."""
    if since is not None or params.get("type"):
        return "None of these among the events that are kept. See all: swarmctl events --since 0"
    if params.get("target"):
        whole = "One that is gone is found by its whole id"
        return f"No events of {params['target']} are kept. {whole}; see all: swarmctl events"
    return "No events. See them come: swarmctl events -f"


def _past(
    app: App, params: dict[str, Any], since: int | None, last: int
) -> Iterable[dict[str, Any]]:
    """Those after a position, else so many of the last that are asked for."""
    if since is not None:
        return _history(app, {**params, "since": since}, gap=lambda: _tell_gap(app))
    if params.get("target") or params.get("type"):
        # Where the last of these begin is not known before all were looked at.
        gaps: list[bool] = []
        every = _history(app, {**params, "since": 0}, gap=lambda: gaps.append(True))
        found = deque(every, maxlen=last)
        if gaps and len(found) < last:
            _tell_gap(app)
        return found
    newest = app.call("events.history", {"limit": 1})["last_seq"]
    return _history(app, {**params, "since": max(0, int(newest) - last)}, gap=lambda: None)


def _tell_gap(app: App) -> None:
    app.output.note("Events before these are no longer kept.")


def _history(
    app: App, params: dict[str, Any], *, gap: Callable[[], object]
) -> Iterator[dict[str, Any]]:
    """Every event of the journal after a position, page by page; a gap before them is told."""
    told = False
    while True:
        page = app.call("events.history", params)
        if page.get("gap") and not told:
            gap()
            told = True
        yield from page["items"]
        if not page["items"] or page["items"][-1]["seq"] >= page["last_seq"]:
            return
        params = {**params, "since": page["items"][-1]["seq"]}


def _follow(app: App, params: dict[str, Any]) -> None:
    with app.stream("events.subscribe", params) as stream:
        for chunk in stream:
            event = chunk.data or {}
            if "type" in event:
                _print(app, event)


def _print(app: App, event: dict[str, Any]) -> None:
    app.output.line(dumps(event) if app.output.json else event_line(event))
