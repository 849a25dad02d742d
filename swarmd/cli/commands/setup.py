"""``swarmctl setup``: what has to be installed before instances can run. Needs no daemon."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmd.cli.app import App
from swarmd.cli.command import command
from swarmd.cli.groups import LazyGroup

if TYPE_CHECKING:
    from swarmd.setup import SetupProgress

_HERE = "swarmd.cli.commands.setup"

setup = LazyGroup(
    "setup",
    help="Install what instances need.",
    table={"Commands": {"code-server": f"{_HERE}:code_server"}},
    no_args_is_help=True,
)


@command(
    extra=[
        click.Option(["--directory"], metavar="DIR", help="Where to. Default: the SERVER place."),
        click.Option(["--archive"], metavar="FILE|URL", help="A release archive to install from."),
        click.Option(["--sha256"], metavar="DIGEST", help="The archive's digest."),
        click.Option(["--force"], is_flag=True, help="Install anew even if it is installed."),
        click.Option(["--check"], is_flag=True, help="Only say whether it is installed."),
    ]
)
def code_server(
    app: App,
    *,
    directory: str | None,
    archive: str | None,
    sha256: str | None,
    force: bool,
    check: bool,
) -> None:
    """Install the managed code-server, from PyPI and npm or from a release archive.

    Interrupted, it goes on where it stopped when it is called again.
    """
    from swarmd.messages import codec
    from swarmd.setup import install_code_server, require_installed

    place = Path(directory).absolute() if directory else _server_place()
    if check:
        installed = require_installed(place)
    else:
        installed = install_code_server(
            place,
            on_progress=lambda progress: _tell(app, progress),
            archive=archive,
            sha256=sha256,
            force=force,
        )
        app.progress.clear()
    data = codec.to_plain(installed)
    app.output.noun(
        {"name": data["version"], **data},
        lambda shown: app.output.line(f"code-server {shown['version']} in {place}"),
    )


def _server_place() -> Path:
    from swarmd.configuration import load

    return Path(load(None, os.environ, uid=os.geteuid()).places.server)


def _tell(app: App, progress: SetupProgress) -> None:
    """The line on a terminal; one note per step elsewhere, so that a log shows it too."""
    text = f"[{progress.index}/{progress.total}] {progress.message}"
    if app.progress.visible:
        app.progress.show(text, progress.index / progress.total if progress.total else None)
    else:
        app.output.note(text)
