"""``swarmctl call``: any method, with raw params."""

from __future__ import annotations

import sys
from typing import Any

import click

from swarmd.cli.app import App
from swarmd.cli.command import command
from swarmd.cli.output import dumps
from swarmd.cli.values import json_or_text

_EXAMPLES = """
swarmctl call instance.list '{"limit": 1}'
swarmctl call instance.get id=web
swarmctl call instance.create config.name=web start=false
echo '{"id": "web"}' | swarmctl call instance.get -
"""


@command(
    extra=[
        click.Argument(["method"]),
        click.Argument(["params"], nargs=-1, metavar="[JSON | - | KEY=VALUE...]"),
    ],
    examples=_EXAMPLES,
)
def call(app: App, *, method: str, params: tuple[str, ...]) -> None:
    """Call a method of the socket and print its result as JSON.

    The methods are described by `swarmctl call rpc.discover`. A stream is printed chunk by
    chunk, one JSON document per line.
    """
    from swarmd.messages.methods import BY_NAME, Kind

    given = read_params(params)
    known = BY_NAME.get(method)
    if known is not None and known.kind is Kind.STREAM:
        with app.stream(method, given) as stream:
            for chunk in stream:
                app.output.line(dumps(chunk))
        return
    result = app.call(method, given)
    if app.output.json:
        app.output.envelope(result)
    else:
        app.output.line(indented(result))


def read_params(words: tuple[str, ...]) -> dict[str, Any]:
    """Params from JSON, standard input, or pairs with dotted keys."""
    if words == ("-",):
        return _object(sys.stdin.read(), "standard input")
    if len(words) == 1 and words[0].lstrip().startswith("{"):
        return _object(words[0], "the params")
    params: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise click.UsageError(f"Expected JSON, - or KEY=VALUE, not {word!r}.")
        *path, last = key.split(".")
        here: Any = params
        for part in path:
            here = here.setdefault(part, {})
            if not isinstance(here, dict):
                raise click.UsageError(f"{key}: {part} is no table.")
        here[last] = json_or_text(text)
    return params


def _object(text: str, where: str) -> dict[str, Any]:
    found = json_or_text(text)
    if not isinstance(found, dict):
        raise click.UsageError(f"Expected a JSON object in {where}.")
    return found


def indented(value: Any) -> str:
    """JSON for people."""
    import json

    return json.dumps(value, indent=2, ensure_ascii=False)
