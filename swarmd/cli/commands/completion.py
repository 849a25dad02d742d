"""``swarmctl completion``: the script that completes commands and options."""

from __future__ import annotations

import click

from swarmd.cli.app import App
from swarmd.cli.command import command


@command(
    extra=[click.Argument(["shell"], type=click.Choice(["bash", "zsh", "fish"]))],
    examples='eval "$(swarmctl completion bash)"',
)
def completion(app: App, *, shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    from swarmd.cli.root import root

    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"No completion for {shell}.")
    app.output.line(made(root, {}, "swarmctl", "_SWARMCTL_COMPLETE").source())
