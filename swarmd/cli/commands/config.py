"""``swarmctl config``: check, show and write the configuration file. Needs no daemon."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from swarmd.cli.app import App
from swarmd.cli.command import command
from swarmd.cli.groups import LazyGroup
from swarmd.errors import ConfigError

if TYPE_CHECKING:
    from swarmd.configuration import LoadedConfig

_HERE = "swarmd.cli.commands.config"

config = LazyGroup(
    "config",
    help="The configuration file: `swarmctl config` shows what holds.",
    table={
        "Commands": {
            "show": f"{_HERE}:show",
            "check": f"{_HERE}:check",
            "init": f"{_HERE}:init",
        }
    },
    bare="show",
)


def _which_file() -> list[click.Parameter]:
    return [
        click.Argument(["named"], required=False, metavar="[FILE]"),
        click.Option(["file", "-c", "--config"], metavar="FILE", help="This file instead."),
    ]


def _load(named: str | None, file: str | None) -> LoadedConfig:
    if named is not None and file is not None:
        raise click.UsageError("FILE and --config both name a file; give one of them.")
    file = file if named is None else named
    if file == "":
        raise click.UsageError("FILE is empty; leave it out for the usual one.")
    from swarmd.configuration import check_provider_options, load

    return load(
        None if file is None else Path(file),
        os.environ,
        uid=os.geteuid(),
        check_options=check_provider_options,
    )


@command(extra=_which_file())
def check(app: App, *, named: str | None, file: str | None) -> int:
    """Check the configuration file: every key, type, unit and provider option."""
    try:
        loaded = _load(named, file)
    except ConfigError as error:
        if app.output.json:
            raise
        app.output.error(error)
        return 1
    if app.output.json:
        app.output.envelope({"file": str(loaded.file) if loaded.file else None})
    else:
        app.output.line(
            f"{loaded.file} is right." if loaded.file else "No file: the defaults hold."
        )
        app.output.note_all(_doubts(loaded))
    return 0


def _doubts(loaded: LoadedConfig) -> Iterator[str]:
    """What is no mistake, since a provider may be registered later, and likely one."""
    wanted = loaded.config.daemon.default_provider
    names = [entry.name for entry in loaded.config.providers]
    if wanted not in ("", "local", *names):
        yield (
            f"note: daemon.default_provider: no provider {wanted!r} stands in it "
            f"({', '.join(names)}). Unless one is registered, the strategy alone decides."
        )


@command(extra=_which_file())
def show(app: App, *, named: str | None, file: str | None) -> None:
    """Show the configuration that holds: the file, the defaults, the places."""
    import tomli_w

    from swarmd.messages import codec

    loaded = _load(named, file)
    plain = codec.to_plain(loaded.config)
    places = {k: v for k, v in codec.to_plain(loaded.places).items() if v is not None}
    if app.output.json:
        app.output.envelope({"config": plain, "places": places})
        return
    app.output.note(f"# from {loaded.file or 'the built-in defaults'}")
    for name, place in places.items():
        app.output.note(f"# {name}: {place}")
    app.output.line(tomli_w.dumps(_set(plain)).rstrip())


def _set(value: Any) -> Any:
    """Without what is not set: TOML has no word for it."""
    if isinstance(value, dict):
        return {key: _set(each) for key, each in value.items() if each is not None}
    return [_set(each) for each in value] if isinstance(value, list | tuple) else value


@command(
    extra=[
        click.Argument(["file"], required=False, metavar="[FILE|-]"),
        click.Option(["--force"], is_flag=True, help="Replace the file if it exists."),
    ]
)
def init(app: App, *, file: str | None, force: bool) -> None:
    """Write a configuration file with every key, its default and its comment."""
    from swarmd.configuration import load_factory, provider_types, render_example, usual_file

    text = render_example({kind: load_factory(kind).options_type() for kind in provider_types()})
    if file == "-":
        app.output.line(text.rstrip())
        return
    path = Path(file) if file else usual_file(os.environ, uid=os.geteuid())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if force else "x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError as error:
        raise ConfigError(
            f"{path} exists", next_step="Give --force to replace it, or another FILE."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"cannot write {path}: {error.strerror}", next_step="Give another FILE."
        ) from error
    if app.output.json:
        app.output.envelope({"file": str(path)})
    else:
        app.output.line(str(path))
