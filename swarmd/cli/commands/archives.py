"""``export`` and ``import``: an instance's data as a tar archive."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click

from swarmd.cli.app import App
from swarmd.cli.command import command
from swarmd.cli.commands.instances import NAME
from swarmd.cli.commands.layouts import result_line
from swarmd.cli.render import Form
from swarmd.cli.text import size
from swarmd.cli.values import ENV_FILE, with_env
from swarmd.errors import SwarmError
from swarmd.messages import requests
from swarmd.messages.wire import PIECE


@command(
    Form(requests.ExportInstance, arguments=NAME),
    extra=[
        click.Option(
            ["target", "-o", "--output"],
            metavar="FILE|-",
            help="Where to; - is standard output. Default: standard output if that is a file or "
            "a pipe, else NAME.tar.",
        ),
        click.Option(["--force"], is_flag=True, help="Replace the file if it exists."),
    ],
    examples="swarmctl export web -o web.tar\nswarmctl export web | ssh box2 swarmctl import - web",
)
def export(app: App, params: dict[str, Any], *, target: str | None, force: bool) -> None:
    """The file appears under its name when it is complete."""
    name = target or ("-" if _redirected() else f"{params['id'].rpartition('/')[2]}.tar")
    with destination(name, force=force) as out, app.stream("instance.export", params) as stream:
        total = 0
        for chunk in stream:
            out.write(chunk.bytes)
            total += len(chunk.bytes)
            app.progress.show(f"exporting {params['id']}: {size(total)}")
    app.progress.clear()
    if name != "-":
        app.output.note(f"{name}: {size(total)}")


def _redirected() -> bool:
    """Whether somebody wrote ``> FILE`` or ``| PROGRAM``, and so said where to."""
    try:
        mode = os.fstat(sys.stdout.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(mode) or stat.S_ISFIFO(mode)


@contextmanager
def destination(name: str, *, force: bool) -> Iterator[BinaryIO]:
    """A file that gets its name when it is whole, or standard output.

    Raises:
        click.UsageError: A terminal, or a file that exists.
        SwarmError: It cannot be written.
    """
    if name == "-":
        if sys.stdout.isatty():
            raise click.UsageError(
                "A tar archive does not go to a terminal: use -o FILE or a pipe."
            )
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(name)
    if path.exists() and not force:
        raise click.UsageError(f"{name} exists. Give --force to replace it.")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        # An instance's home may hold keys: nobody else reads its archive.
        with open(os.open(part, flags, 0o600), "wb") as out:  # noqa: PTH123 - a descriptor
            yield out
        part.replace(path)
    except OSError as error:
        raise SwarmError(
            f"cannot write {name}: {error.strerror}", next_step="Choose another file with -o."
        ) from error
    finally:
        part.unlink(missing_ok=True)


@command(
    Form(
        requests.ImportInstance,
        arguments={"config.name": "NAME"},
        skip=["upload", "timeout", "at_provider"],
    ),
    extra=[click.Argument(["source"], metavar="FILE|-"), ENV_FILE],
    examples="swarmctl import web.tar web2 --memory 2g",
    own_help=True,
)
def import_archive(
    app: App, params: dict[str, Any], *, source: str, env_files: tuple[dict[str, str], ...]
) -> None:
    """Create an instance from an archive that export wrote; - is standard input."""
    params = {**params, "config": with_env(params["config"], env_files)}
    with opened(source) as data:
        upload = send(app, data, source)
    instance = app.operate(
        "instance.import", {"upload": upload, **params}, label=params["config"]["name"]
    )
    app.output.noun(instance, lambda data: app.output.line(result_line(data)))


def send(app: App, data: BinaryIO, source: str) -> str:
    """Upload it piece by piece; the upload's id."""
    with app.stream("upload.open", {}) as stream:
        total = 0
        while piece := data.read(PIECE):
            stream.write(piece)
            total += len(piece)
            app.progress.show(f"sending {source}: {size(total)}")
        finished = stream.write(b"", end=True)
    app.progress.clear()
    return str(finished["upload"])


@contextmanager
def opened(source: str) -> Iterator[BinaryIO]:
    """The archive to read."""
    if source == "-":
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            data = stack.enter_context(Path(source).open("rb"))
        except OSError as error:
            raise click.UsageError(f"Cannot read {source}: {error.strerror}.") from error
        yield data
