"""``swarmctl doctor``: what is wrong, and what to do; also when no daemon answers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from swarmd.cli.app import App
from swarmd.cli.command import command
from swarmd.cli.commands.layouts import STRAYS, result_line
from swarmd.cli.grid import paint
from swarmd.cli.groups import LazyGroup
from swarmd.cli.output import FAILED, UNREACHABLE
from swarmd.cli.render import Form
from swarmd.cli.text import safe
from swarmd.errors import ConfigError, DaemonUnreachable
from swarmd.messages import requests

_HERE = "swarmd.cli.commands.doctor"

doctor = LazyGroup(
    "doctor",
    help="Look for what is wrong: `swarmctl doctor`. Works without a daemon, too.",
    table={
        "Commands": {
            "check": f"{_HERE}:check",
            "adopt": f"{_HERE}:adopt",
            "discard": f"{_HERE}:discard",
        }
    },
    bare="check",
)


@command(Form(requests.DaemonDoctor))
def check(app: App, params: dict[str, Any]) -> int:
    """Exits 1 if there is a problem, 5 if no daemon answers."""
    try:
        report = app.call("daemon.doctor", params)
    except DaemonUnreachable as error:
        report = {"findings": list(without_daemon(error)), "strays": []}
        app.output.noun(report, lambda data: app.output.lines(finding_lines(app, data)))
        return UNREACHABLE
    app.output.noun(report, lambda data: app.output.lines(finding_lines(app, data)))
    if report["strays"] and not app.output.json:
        app.output.table(report, report["strays"], STRAYS, empty="")
        app.output.note("→ swarmctl doctor adopt ID PROVIDER, or: doctor discard ID PROVIDER")
    return FAILED if any(f["level"] == "problem" for f in report["findings"]) else 0


def finding_lines(app: App, report: dict[str, Any]) -> Iterator[str]:
    """Each finding whole: what is cut off here would be missed."""
    for one in report["findings"]:
        level = safe(one["level"])
        shown = paint(level) if app.output.colour else level
        yield f"{shown}{' ' * (9 - len(level))}{safe(one['subject'])}: {safe(one['message'])}"
        if one.get("next_step"):
            yield f"         → {safe(one['next_step'])}"
    if not report["findings"]:
        yield "Nothing is wrong."


def without_daemon(error: DaemonUnreachable) -> Iterator[dict[str, Any]]:
    """What can be seen from here."""
    yield finding(
        "problem",
        "daemon",
        error.message,
        error.next_step or "Start it: swarmd (in the foreground), or your service manager.",
    )
    from swarmd.configuration import check_provider_options, load

    try:
        loaded = load(None, os.environ, uid=os.geteuid(), check_options=check_provider_options)
    except ConfigError as wrong:
        yield finding("problem", "configuration", wrong.message, wrong.next_step)
        return
    yield finding("ok", "configuration", str(loaded.file or "the built-in defaults"))
    places = loaded.places
    for subject, place in (
        ("state", places.state),
        ("data", places.data),
        ("socket", str(Path(places.socket).parent)),
    ):
        yield place_finding(subject, Path(place))
    if not Path(places.server).is_dir():
        hint = "Install it: swarmctl setup code-server"
        yield finding("note", "server", f"{places.server} does not exist", hint)


def place_finding(subject: str, place: Path) -> dict[str, Any]:
    """Whether a directory can be used, or be made."""
    nearest = next(parent for parent in (place, *place.parents) if parent.exists())
    if nearest == place and not place.is_dir():
        return finding("problem", subject, f"{place} is not a directory", "Move it away.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        return finding(
            "problem",
            subject,
            f"{nearest} is not writable",
            "Change its owner or mode, or choose another place.",
        )
    text = f"{place}" if nearest == place else f"{place} will be made"
    return finding("ok", subject, text)


def finding(level: str, subject: str, message: str, next_step: str | None = None) -> dict[str, Any]:
    """One line, as the daemon's own doctor has them."""
    return {"level": level, "subject": subject, "message": message, "next_step": next_step}


STRAY = {"id": "ID", "provider": "PROVIDER"}


@command(Form(requests.AdoptStray, arguments=STRAY))
def adopt(app: App, params: dict[str, Any]) -> None:
    """Its data stays as it is."""
    instance = app.call("stray.adopt", params)
    app.output.noun(instance, lambda data: app.output.line(result_line(data)))


@command(
    Form(requests.DiscardStray, arguments=STRAY),
    extra=[click.Option(["-y", "--yes"], is_flag=True, help="Do not ask.")],
)
def discard(app: App, params: dict[str, Any], *, yes: bool) -> None:
    """A terminal is asked first."""
    from swarmd.cli.commands.instances import confirm

    if not yes:
        confirm(f"Remove the stray {params['id']} with all data? There is no undo")
    done = app.call("stray.discard", params)
    app.output.noun(done, lambda _: app.output.note(f"{params['id']} is removed."))
