"""``swarmctl tui`` and ``swarmctl web``: faces that are found by entry point, as others may be."""

from __future__ import annotations

import sys
from typing import Any

import click

from swarmd.cli.app import App
from swarmd.cli.command import command
from swarmd.errors import Unavailable

_GROUP = "swarmd.faces"
_CONFIG = click.Option(
    ["--config"], metavar="FILE", help="The configuration, for its section [tui]."
)
_READ_ONLY = click.Option(
    ["--read-only"], is_flag=True, help="Refuse everything that changes something."
)


def _face(name: str) -> Any:
    """What starts a face.

    Raises:
        Unavailable: It is not installed.
    """
    from importlib.metadata import entry_points

    for found in entry_points(group=_GROUP, name=name):
        return found.load()
    raise Unavailable(
        f"no face named {name} is installed",
        next_step="Install swarmd again, the whole package: pip install swarmd.",
    )


@command(extra=[_CONFIG, _READ_ONLY], examples="swarmctl tui --read-only")
def tui(app: App, *, config: str | None, read_only: bool) -> int:
    """Watch and control everything from one screen.

    ``?`` lists the keys, ctrl+p finds every action and view, q leaves. What is shown follows
    the daemon's events; if the daemon goes away, it says so and comes back by itself.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("The terminal app needs a terminal. For programs: swarmctl ls.")
    run = _face("tui")
    code: int = run(socket=app.socket, config=config, read_only=read_only)
    return code


@command(
    extra=[
        _CONFIG,
        _READ_ONLY,
        click.Option(
            ["--port"],
            type=click.IntRange(0, 65535),
            default=0,
            help="Where to listen, at 127.0.0.1; 0: any that is free.",
        ),
    ],
    examples="swarmctl web --read-only --port 8700",
)
def web(app: App, *, config: str | None, read_only: bool, port: int) -> int:
    """Serve the terminal app to a browser on this machine, until it is interrupted.

    The URL that is printed has a random token as its path; nothing is served outside of it.
    Who has it can do what you can: keep it to yourself.
    """
    serve = _face("web")
    code: int = serve(
        socket=app.socket, config=config, read_only=read_only, port=port, tell=app.output.line
    )
    return code
