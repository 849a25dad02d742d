"""``swarmctl create``: from flags, from a file, several at once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from swarmd.cli import bulk
from swarmd.cli.app import App
from swarmd.cli.command import command
from swarmd.cli.commands.layouts import result_line
from swarmd.cli.commands.placing import show_placements
from swarmd.cli.render import Form
from swarmd.cli.values import ENV_FILE, with_env
from swarmd.messages.requests import CreateInstance

_EXAMPLES = """
swarmctl create web
swarmctl create web --workspace https://example.org/code.git --memory 2g --label team=red
swarmctl create homework --count 40
swarmctl create web --env-file secrets.env    # what --env is given stands in ps
swarmctl create web --memory 2g --dry-run     # which provider would it be, and why?
swarmctl create -f swarm.toml          # name = "web", or several [[instances]]
generate | swarmctl create -f -
"""


@command(
    Form(
        CreateInstance,
        arguments={"config.name": "[NAME]"},
        optional=["config.name"],
        skip=["timeout", "at_provider"],
    ),
    extra=[
        click.Option(
            ["--dry-run"],
            is_flag=True,
            help="Make nothing: show at which provider it would be made, and why. Of several each "
            "is looked at as if it were the first.",
        ),
        ENV_FILE,
        click.Option(
            ["file", "-f", "--file"], metavar="FILE|-", help="TOML or JSON; - is standard input."
        ),
        click.Option(
            ["--count"],
            type=click.IntRange(1, 10_000),
            help="So many: NAME-1, NAME-2, …; {n} in the name says where the number goes.",
        ),
    ],
    examples=_EXAMPLES,
)
def create(
    app: App,
    params: dict[str, Any],
    *,
    file: str | None,
    count: int | None,
    dry_run: bool,
    env_files: tuple[dict[str, str], ...],
) -> int:
    """Flags win over the file. Several are created up to eight at a time."""
    if env_files:
        params = {**params, "config": with_env(params.get("config", {}), env_files)}
    wanted = [merge(item, params) for item in (read_file(file) if file else [{}])]
    if "provider" in params.get("config", {}):
        # Beside it the whole request of a file can name another one, which would win.
        wanted = [
            {key: each for key, each in item.items() if key != "at_provider"} for item in wanted
        ]
    if count is not None:
        wanted = [numbered(item, n) for item in wanted for n in range(1, count + 1)]
    for item in wanted:
        check(item)
    if dry_run:
        return show_placements(app, wanted)
    code = bulk.run(
        app,
        [(item["config"]["name"], item) for item in wanted],
        lambda item: app.operate("instance.create", item, label=item["config"]["name"]),
        lambda result: app.output.line(result_line(result)),
        "created" if params.get("wait", True) else "to be created",
    )
    if code == 0 and len(wanted) == 1 and params.get("wait", True) and params.get("start", True):
        app.output.note(f"Log in: swarmctl open {wanted[0]['config']['name']} --password")
    return code


def check(params: dict[str, Any]) -> None:
    """Compare with the request before anything is sent, so that all of a file is right or none.

    Raises:
        click.UsageError: Every key that is wrong.
    """
    from swarmd.configuration.problems import find_problems

    if not params.get("config", {}).get("name"):
        raise click.UsageError("Which name? Give NAME, or a file with `name`.")
    problems = list(find_problems(params, CreateInstance))
    if problems:
        first = problems[0]
        hint = f" {first.hint}" if first.hint else ""
        more = f" And {len(problems) - 1} more." if len(problems) > 1 else ""
        raise click.UsageError(f"{first}.{hint}{more}")


def read_file(name: str) -> list[dict[str, Any]]:
    """The instances of a file: one, a list, or a table ``instances``.

    An item is a configuration, or the whole request with ``config``, ``owner`` and ``start``.
    """
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise click.UsageError(f"Cannot read {name}: {why}.") from error
    return [as_request(item, name) for item in items_of(parse(text, name), name)]


def parse(text: str, name: str) -> Any:
    """JSON if it begins like JSON, else TOML."""
    if text.lstrip()[:1] in ("{", "["):
        import json

        try:
            return json.loads(text)
        except ValueError as error:
            if name.endswith(".json") or not text.lstrip().startswith("["):
                raise click.UsageError(f"{name} is not JSON: {error}.") from error
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise click.UsageError(f"{name} is neither TOML nor JSON: {error}.") from error


def items_of(data: Any, name: str) -> Iterator[Any]:
    """The instances that a document describes."""
    if isinstance(data, dict) and "instances" in data:
        if extra := [key for key in data if key != "instances"]:
            raise click.UsageError(f"{name}: unknown key {extra[0]!r} beside `instances`.")
        data = data["instances"]
    found = data if isinstance(data, list) else [data]
    if not found or found == [{}]:
        raise click.UsageError(f"{name} describes no instance.")
    yield from found


def as_request(item: Any, name: str) -> dict[str, Any]:
    """One item as params of ``instance.create``."""
    if not isinstance(item, dict):
        raise click.UsageError(f"{name}: expected a table for each instance, not {item!r}.")
    return item if "config" in item else {"config": item}


def merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Both; where they meet, what stands above wins."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = merge(old, value) if both and old is not None else value
    return merged


def numbered(params: dict[str, Any], number: int) -> dict[str, Any]:
    """One of many: with its number in the name, and an idempotency key of its own."""
    config = params.get("config", {})
    name = config.get("name") or ""
    named = name.replace("{n}", str(number)) if "{n}" in name else f"{name}-{number}"
    one = {**params, "config": {**config, "name": named if name else ""}}
    if key := params.get("idempotency_key"):
        one["idempotency_key"] = f"{key}-{number}"
    return one
