"""What every command of ``swarmctl`` is: forms from request Structs, and the shared options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from swarmd.cli.app import App

if TYPE_CHECKING:
    from swarmd.cli.render import Form

Run = Callable[..., Any]


class Command(click.Command):
    """A command that also takes the shared options after its name (``swarmctl ls -o json``)."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its own and the shared ones, which help shows once, at ``swarmctl --help``.

        Where a command means something of its own by one of their names, its own counts.
        """
        own = super().get_params(ctx)
        taken = {name for one in own for name in one.opts}
        shared = [one for one in shared_options(hidden=True) if not taken & set(one.opts)]
        return [*own, *shared]


class Runner(Command):
    """A command that takes another one (``exec NAME COMMAND...``), whose options are its own.

    As ``docker exec`` and ``ssh`` have it, ``--`` may be left out: what follows the second word
    belongs to the command that it begins.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Say ``--`` where it was left out."""
        begin = self._begin(ctx, args)
        return super().parse_args(ctx, [*args[:begin], *(["--"] if begin else []), *args[begin:]])

    def _begin(self, ctx: click.Context, args: list[str]) -> int:
        """Where the second word stands; 0 if nothing needs to be said."""
        options = [one for one in self.get_params(ctx) if isinstance(one, click.Option)]
        with_value = {name for one in options if not one.is_flag for name in one.opts}
        words = at = 0
        while at < len(args) and args[at] != "--":
            if args[at].startswith("-"):
                at += 2 if args[at] in with_value else 1
                continue
            if words:
                return at
            words, at = 1, at + 1
        return 0


def command(
    *forms: Form,
    extra: Sequence[click.Parameter] = (),
    examples: str = "",
    own_help: bool = False,
    kind: type[Command] = Command,
) -> Callable[[Run], Command]:
    """Make a command of a function.

    The function gets the ``App``, the params that each form collected, and the values of
    ``extra`` by name. The help is the request's docstring, followed by the function's own.

    Args:
        forms: Rendered into options; see ``render``.
        extra: Further parameters that no request has.
        examples: Lines for the end of the help.
        own_help: The function's docstring is the whole help.
        kind: What it is made of.
    """

    def decorate(function: Run) -> Command:
        def invoke(**values: Any) -> Any:
            params = [form.collect(values) for form in forms]
            return function(click.get_current_context().find_object(App), *params, **values)

        parameters = [*extra, *(one for form in forms for one in form.parameters())]
        return kind(
            function.__name__.strip("_").replace("_", "-"),
            callback=invoke,
            params=sorted(parameters, key=lambda one: isinstance(one, click.Option)),
            help=_help(function, () if own_help else forms),
            epilog=f"\b\n{examples.strip()}" if examples else None,
        )

    return decorate


def _help(function: Run, forms: Sequence[Form]) -> str:
    described = [form.request.__doc__ for form in forms[:1]] + [function.__doc__]
    parts = [_unindent(text).replace("``", "") for text in described if text]
    return "\n\n".join(parts)


def _unindent(text: str) -> str:
    import inspect

    return inspect.cleandoc(text)


def shared_options(*, hidden: bool) -> list[click.Parameter]:
    """The options that every command takes, before or after its name."""
    from swarmd.cli.values import UnitParam
    from swarmd.messages.units import Duration

    def option(*names: str, set_in_app: Callable[[App, Any], None], **rest: Any) -> click.Option:
        def remember(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
            if value not in (None, False):
                set_in_app(ctx.ensure_object(App), value)

        shape: dict[str, Any] = {"hidden": hidden, "expose_value": False, "callback": remember}
        return click.Option(names, **shape, **rest)

    formats = click.Choice(["table", "wide", "json", "name"])
    return [
        option("--socket", metavar="PATH", help="The daemon's socket.", set_in_app=_set_socket),
        option("-o", "--output", type=formats, help="How to print.", set_in_app=_set_format),
        option(
            "--timeout",
            type=UnitParam(Duration),
            help="End the wait for an answer (not the operation) after this time.",
            set_in_app=_set_timeout,
        ),
        option("--no-color", is_flag=True, help="No colours.", set_in_app=_set_no_color),
        option("-q", "--quiet", is_flag=True, help="Data and errors only.", set_in_app=_set_quiet),
    ]


def _set_socket(app: App, value: str) -> None:
    app.socket = value


def _set_timeout(app: App, value: str) -> None:
    app.timeout = value


def _set_no_color(app: App, _value: bool) -> None:
    app.output.no_color = True


def _set_quiet(app: App, _value: bool) -> None:
    app.output.quiet = True


def _set_format(app: App, value: str) -> None:
    app.output.format = value
