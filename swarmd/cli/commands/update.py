"""``swarmctl update``: the flags of create, as a merge patch."""

from __future__ import annotations

from typing import Any

import click

from swarmd.cli.app import App
from swarmd.cli.command import command
from swarmd.cli.commands.instances import act, select, selection
from swarmd.cli.render import Form
from swarmd.cli.values import ENV_FILE, with_env
from swarmd.messages.instance import InstanceConfig
from swarmd.messages.requests import UpdateInstance

_EXAMPLES = """
swarmctl update web --memory 2g --restart
swarmctl update web --label team=red --unset labels.old --no-protect
swarmctl update --selector team=red --idle-timeout 1h
"""


@command(
    Form(UpdateInstance, skip=("id", "changes", "timeout")),
    Form(InstanceConfig, partial=True),
    extra=[
        *selection(letter=False),
        ENV_FILE,
        click.Option(
            ["--unset"],
            multiple=True,
            metavar="FIELD",
            help="Back to the default: resources.memory, labels.team.",
        ),
    ],
    examples=_EXAMPLES,
)
def update(
    app: App,
    params: dict[str, Any],
    changes: dict[str, Any],
    *,
    unset: tuple[str, ...],
    env_files: tuple[dict[str, str], ...],
    **rest: Any,
) -> int:
    """Lists are replaced whole; labels, metadata and env are merged key by key."""
    changes = with_env(changes, env_files)
    for field in unset:
        _put_null(changes, field)
    if not changes:
        raise click.UsageError("Nothing to change: give a flag or --unset FIELD.")
    refs = select(app, rest["by_name"], rest["by_label"], rest["by_all"])
    return act(app, "instance.update", refs, {**params, "changes": changes}, "updated")


def _put_null(changes: dict[str, Any], field: str) -> None:
    *path, last = field.split(".")
    here: Any = changes
    for part in path:
        here = here.setdefault(part, {})
        if not isinstance(here, dict):
            raise click.UsageError(f"--unset {field}: {part} is set by another flag.")
    here[last] = None
