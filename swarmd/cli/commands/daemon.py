"""The daemon itself: status, stats, actors, reload, shutdown, version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from swarmd.cli.app import App
from swarmd.cli.command import command
from swarmd.cli.commands.layouts import ACTORS, STATS, provider_state
from swarmd.cli.commands.listing import read_all
from swarmd.cli.grid import paint
from swarmd.cli.render import Form
from swarmd.cli.text import age, safe
from swarmd.errors import DaemonUnreachable
from swarmd.messages import requests


@command(Form(requests.DaemonStatus))
def status(app: App, params: dict[str, Any]) -> None:
    """Exits 5 if no daemon answers."""
    report = app.call("daemon.status", params)
    app.output.noun(report, lambda data: app.output.lines(_status_lines(app, data)))


def _status_lines(app: App, report: dict[str, Any]) -> Iterator[str]:
    state = safe(report["state"])
    yield f"swarmd {safe(report['version'])} is {paint(state) if app.output.colour else state}"
    for reason in report["reasons"]:
        yield f"  because {safe(reason)}"
    yield f"node: {report['node']}, pid {report['pid']}, up {age(report['started_at'])}"
    yield f"socket: {safe(app.client.path)}"
    counts = report["instances"]
    yield f"instances: {counts['total']}{_counts(counts['by_status'])}"
    for provider in report["providers"]:
        words = f"{safe(provider['name'])} ({safe(provider['type'])})"
        count = provider["instance_count"]
        plural = "" if count == 1 else "s"
        yield f"provider {words}: {provider_state(provider)}, {count} instance{plural}"
    yield f"operations running: {report['operations_running']}"
    if report.get("alerts"):
        yield f"alerts: {report['alerts']}"
        yield "  see swarmctl alerts"
    if report["strays"] or report["quarantined"]:
        yield f"strays: {report['strays']}, in quarantine: {report['quarantined']}"
        yield "  see swarmctl doctor"


def _counts(by_word: dict[str, int]) -> str:
    listed = ", ".join(f"{count} {word}" for word, count in by_word.items() if count)
    return f" ({listed})" if listed else ""


@command(Form(requests.StatsInstance, arguments={"id": "[NAME]..."}))
def stats(app: App, params: dict[str, Any]) -> None:
    """A dash: the provider cannot tell."""
    found = app.call("instance.stats", params)
    rows = found["items"]
    if rows and not app.output.json:
        fields = ["id", "owner", "name"]
        known = read_all(app, {"fields": fields})["items"]
        names = {one["id"]: f"{one['owner']}/{one['name']}" for one in known}
        rows = [{**row, "name": names.get(row["id"], row["id"])} for row in rows]
    app.output.table(found, rows, STATS, empty=_nothing_runs(params.get("id") or []))


def _nothing_runs(named: Sequence[str]) -> str:
    if not named:
        return "No instance runs."
    does = "does not run" if len(named) == 1 else "do not run"
    return f"{', '.join(named)} {does}: there is nothing to measure. Start: swarmctl start NAME"


@command(Form(requests.DaemonActors))
def actors(app: App, params: dict[str, Any]) -> None:
    """Dead letters are messages that nobody was there to take."""
    found = app.call("daemon.actors", params)
    app.output.table(found, found["items"], ACTORS, empty="No actors.")
    if found["dead_letters"]:
        app.output.note(f"dead letters: {found['dead_letters']}")


@command(Form(requests.DaemonReload))
def reload(app: App, params: dict[str, Any]) -> None:
    """The same as SIGHUP."""
    report = app.call("daemon.reload", params)
    app.output.noun(report, lambda data: _show_reload(app, data))


def _show_reload(app: App, report: dict[str, Any]) -> None:
    for key in report["applied"]:
        app.output.line(f"applied: {key}")
    for key in report["restart_required"]:
        app.output.line(f"needs a restart of the daemon: {key}")
    if not report["applied"] and not report["restart_required"]:
        app.output.note("Nothing has changed.")


@command(Form(requests.DaemonShutdown))
def shutdown(app: App, params: dict[str, Any]) -> None:
    """They are adopted when it starts again."""
    done = app.call("daemon.shutdown", params)
    app.output.noun(done, lambda _: app.output.note("The daemon stops; instances keep running."))


@command(Form(requests.DaemonVersion))
def version(app: App, params: dict[str, Any]) -> None:
    """And this command's own."""
    import swarmd

    try:
        answer: dict[str, Any] | None = app.call("daemon.version", params)
    except DaemonUnreachable:
        answer = None
    both = {"swarmctl": swarmd.__version__, "swarmd": answer}
    if app.output.json:
        app.output.envelope(both)
        return
    app.output.line(f"swarmctl {swarmd.__version__}")
    if answer:
        app.output.line(f"swarmd {safe(answer['version'])} (protocol {answer['protocol']})")
    else:
        app.output.note("No daemon answers.")
