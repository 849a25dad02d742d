"""How people write values on a command line: sizes, durations, pairs, ports, secrets."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from swarmd.messages.units import Duration, Size

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType  # generic in newer versions of click only


class UnitParam(ParamType):
    """A size or a duration, passed on as the text that says its unit."""

    def __init__(self, unit: type[Size | Duration]) -> None:
        self.unit = unit
        self.name = "size" if issubclass(unit, Size) else "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check it; a number alone keeps its meaning (seconds, bytes, GiB of storage)."""
        try:
            return str(self.unit.parse(_number_or_text(value)))
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


def _number_or_text(value: Any) -> Any:
    """``90`` is a number here as it is in JSON: seconds, bytes, GiB of storage."""
    try:
        return float(value)
    except ValueError:
        return value


class PairParam(ParamType):
    """``KEY=VALUE``; with ``plain`` false the value may be JSON."""

    name = "key=value"

    def __init__(self, *, plain: bool = True) -> None:
        self.plain = plain

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, Any]:
        """Split at the first ``=``."""
        if isinstance(value, tuple):
            return value
        key, equals, text = str(value).partition("=")
        if not key or not equals:
            self.fail(f"expected KEY=VALUE, not {value!r}.", param, ctx)
        return key, text if self.plain else json_or_text(text)


class PortParam(ParamType):
    """``[HOST:]PORT[/udp]``: a port of the instance and where it is published."""

    name = "[host:]port[/udp]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, Any]:
        """A ``PortSpec`` as plain data."""
        if isinstance(value, dict):
            return value
        ports, _, protocol = str(value).partition("/")
        host, colon, inside = ports.rpartition(":")
        if (
            not inside.isdecimal()
            or (colon and not host.isdecimal())
            or protocol not in ("", "tcp", "udp")
        ):
            self.fail(
                f'expected a port such as "8080", "9000:8080" or "53/udp", not {value!r}.',
                param,
                ctx,
            )
        spec: dict[str, Any] = {"container_port": int(inside)}
        if colon:
            spec["host_port"] = int(host)
        return spec | ({"protocol": protocol} if protocol else {})


class SecretFileParam(ParamType):
    """The name of a file whose first line is a secret; ``-`` is standard input.

    A secret itself never stands in argv, where every user of the host could read it.
    """

    name = "file|-"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read it."""
        try:
            text = _read(value)
        except (OSError, UnicodeDecodeError) as error:
            self.fail(f"cannot read {value}: {getattr(error, 'strerror', None) or error}.")
        secret = text.split("\n", 1)[0].rstrip("\r")
        if not secret:
            self.fail(f"the first line of {value} is empty.", param, ctx)
        return secret


def _read(name: str) -> str:
    """The text of a file; ``-`` is standard input."""
    if name == "-":
        return sys.stdin.read()
    with open(name, encoding="utf-8") as file:  # noqa: PTH123 (pathlib costs every command 3 ms)
        return file.read()


class EnvFileParam(ParamType):
    """The name of a file with a line ``KEY=VALUE`` for each variable; ``-`` is standard input.

    Empty lines and those that begin with ``#`` are passed over; a value is what stands behind
    the first ``=``, as it stands there.
    """

    name = "file|-"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, str]:
        """Read it. No message shows a line: it may hold a secret."""
        if isinstance(value, dict):
            return value
        try:
            text = _read(value)
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8"
            self.fail(f"cannot read {value}: {why}.", param, ctx)
        found = {}
        for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            key, equals, content = line.partition("=")
            if not key.strip() or not equals:
                self.fail(f"line {number} of {value} is not KEY=VALUE.", param, ctx)
            found[key.strip()] = content
        return found


ENV_FILE = click.Option(
    ["env_files", "--env-file"],
    type=EnvFileParam(),
    multiple=True,
    help="Lines KEY=VALUE. For secrets: who is on the host sees what --env is given.",
)
"""``--env-file``: argv is for every user of the host to read, a file is not."""


def with_env(params: dict[str, Any], files: Sequence[dict[str, str]]) -> dict[str, Any]:
    """Params that have ``env``, with the variables of these files; those of ``--env`` win."""
    if not files:
        return params
    env: dict[str, str] = {}
    for each in files:
        env |= each
    return {**params, "env": {**env, **params.get("env", {})}}


def json_or_text(text: str) -> Any:
    """JSON if it is JSON (``3``, ``true``, ``["a"]``), else the text itself."""
    import json

    try:
        return json.loads(text)
    except ValueError:
        return text
