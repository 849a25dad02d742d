"""The verbs on instances that exist: one or many."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from swarmd.cli import bulk
from swarmd.cli.app import App
from swarmd.cli.command import command
from swarmd.cli.commands.layouts import REASONS, details, outlook, result_line
from swarmd.cli.commands.listing import read_all
from swarmd.cli.render import Form
from swarmd.errors import OperationCancelled
from swarmd.messages import requests

NAME = {"id": "NAME"}
WAITING = ("id", "timeout")


def selection(*, letter: bool = True) -> list[click.Parameter]:
    """How a bulk verb is told its instances: names, labels, all of them."""
    label = (
        ["by_label", "-l", "--label", "--selector"] if letter else ["by_label", "-l", "--selector"]
    )
    return [
        click.Argument(["by_name"], nargs=-1, metavar="[NAME]..."),
        click.Option(
            label,
            multiple=True,
            metavar="KEY[=GLOB]",
            help="Those with this label; all must fit.",
        ),
        click.Option(["by_all", "--all"], is_flag=True, help="All that you see."),
    ]


def select(app: App, names: Sequence[str], labels: Sequence[str], everything: bool) -> list[str]:
    """The instances that are meant, by what names them best.

    Raises:
        click.UsageError: Nothing, or both names and a selection.
    """
    if names and (labels or everything):
        raise click.UsageError("Give names, or --label, or --all; not both.")
    if names:
        return list(dict.fromkeys(names))
    if not labels and not everything:
        raise click.UsageError("Which instances? Give names, --label KEY=VALUE or --all.")
    params = {"label": list(labels)} if labels else {}
    found = read_all(app, params)["items"]
    return [f"{item['owner']}/{item['name']}" for item in found]


def act(
    app: App,
    method: str,
    refs: Sequence[str],
    params: dict[str, Any],
    verb: str,
) -> int:
    """Call an operation for each and report each; the exit code."""
    if not refs:
        app.output.note("No instance fits. `swarmctl ls` shows all.")
        return 0
    return bulk.run(
        app,
        [(ref, ref) for ref in refs],
        lambda ref: app.operate(method, {"id": ref, **own_key(params, ref, refs)}, label=ref),
        lambda result: _show(app, result),
        verb if params.get("wait", True) else f"to be {verb}",
    )


def _show(app: App, result: dict[str, Any]) -> None:
    app.output.line(result_line(result))
    waiting = result.get("restart_required")
    if waiting and result.get("status") == "running":  # what is gone, or down, waits for nothing
        app.output.note(
            f"→ {', '.join(waiting)}: at the next start. Now: swarmctl restart {result['name']}"
        )


def own_key(params: dict[str, Any], ref: str, refs: Sequence[str]) -> dict[str, Any]:
    """One idempotency key for many is many keys: it stands for one operation each."""
    key = params.get("idempotency_key")
    if key is None or len(refs) == 1:
        return params
    return {**params, "idempotency_key": f"{key}-{ref}"}


@command(Form(requests.GetInstance, arguments=NAME))
def get(app: App, params: dict[str, Any]) -> None:
    """Everything that is known of it, as path: value."""
    instance = app.call("instance.get", params)
    app.output.noun(instance, lambda data: app.output.lines(details(data)))


@command(Form(requests.StartInstance, skip=WAITING), extra=selection())
def start(app: App, params: dict[str, Any], **chosen: Any) -> int:
    """Several names are started up to eight at a time."""
    return act(app, "instance.start", _chosen(app, chosen), params, "started")


@command(Form(requests.StopInstance, skip=WAITING), extra=selection())
def stop(app: App, params: dict[str, Any], **chosen: Any) -> int:
    """Several names are stopped up to eight at a time."""
    return act(app, "instance.stop", _chosen(app, chosen), params, "stopped")


@command(Form(requests.RestartInstance, skip=WAITING), extra=selection())
def restart(app: App, params: dict[str, Any], **chosen: Any) -> int:
    """Several names are restarted up to eight at a time."""
    return act(app, "instance.restart", _chosen(app, chosen), params, "restarted")


@command(
    Form(requests.DeleteInstance, skip=WAITING),
    extra=[
        *selection(),
        click.Option(["-y", "--yes"], is_flag=True, help="Do not ask."),
    ],
)
def rm(app: App, params: dict[str, Any], *, yes: bool, **chosen: Any) -> int:
    """Undo it with `swarmctl undelete NAME`; see the trash with `swarmctl ls --trash`."""
    refs = _chosen(app, chosen)
    force = bool(params.get("force"))
    if refs and (force or chosen["by_all"]) and not yes:
        count = refs[0] if len(refs) == 1 else f"{len(refs)} instances"
        confirm(
            f"Delete {count} with all data? There is no undo"
            if force
            else f"Delete {count}? The data stays in the trash for a while"
        )
    code = act(app, "instance.delete", refs, params, "deleted")
    if refs and code == 0 and not force and params.get("wait", True):
        name = refs[0] if len(refs) == 1 else "NAME"
        app.output.note(f"In the trash. Undo: swarmctl undelete {name}")
    return code


def confirm(question: str) -> None:
    """A person at a terminal is asked; a script meant what it wrote.

    Raises:
        OperationCancelled: The answer was no.
    """
    if sys.stdin.isatty() and not click.confirm(question, err=True):
        raise OperationCancelled("not confirmed: nothing was done")


@command(Form(requests.UndeleteInstance, arguments=NAME, skip=("timeout",)))
def undelete(app: App, params: dict[str, Any]) -> None:
    """Start it afterwards with `swarmctl start NAME`."""
    instance = app.operate("instance.undelete", params, label=params["id"])
    app.output.noun(instance, lambda data: app.output.line(result_line(data)))


@command(Form(requests.WhyInstance, arguments=NAME))
def why(app: App, params: dict[str, Any]) -> None:
    """Each line tells when, what, why and on whose wish; the last ones what comes next."""
    story = app.call("instance.why", params)
    app.output.table(story, story["items"], REASONS, empty="Nothing is told of it.")
    if app.output.format in ("table", "wide"):
        for line in outlook(story):
            app.output.line(line)


def _chosen(app: App, chosen: dict[str, Any]) -> list[str]:
    return select(app, chosen["by_name"], chosen["by_label"], chosen["by_all"])
