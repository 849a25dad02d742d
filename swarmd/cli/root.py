"""``swarmctl``: parses, runs one command, turns what went wrong into words and an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from swarmd.cli import interrupts
from swarmd.cli.app import App
from swarmd.cli.command import shared_options
from swarmd.cli.groups import LazyGroup
from swarmd.cli.output import FAILED, INTERRUPTED, USAGE, Output, exit_code
from swarmd.errors import SwarmError, ValidationError

_HERE = "swarmd.cli.commands"
TABLE = {
    "Instances": {
        "create": f"{_HERE}.create:create",
        "ls": f"{_HERE}.listing:ls",
        "get": f"{_HERE}.instances:get",
        "open": f"{_HERE}.access:open_instance",
        "start": f"{_HERE}.instances:start",
        "stop": f"{_HERE}.instances:stop",
        "restart": f"{_HERE}.instances:restart",
        "recover": f"{_HERE}.health:recover",
        "keep": f"{_HERE}.keeping:keep",
        "update": f"{_HERE}.update:update",
        "rm": f"{_HERE}.instances:rm",
        "undelete": f"{_HERE}.instances:undelete",
    },
    "Inside an instance": {
        "logs": f"{_HERE}.streams:logs",
        "exec": f"{_HERE}.streams:exec_in",
        "stats": f"{_HERE}.daemon:stats",
        "health": f"{_HERE}.health:health",
        "why": f"{_HERE}.instances:why",
        "export": f"{_HERE}.archives:export",
        "import": f"{_HERE}.archives:import_archive",
    },
    "Screens": {
        "tui": f"{_HERE}.faces:tui",
        "web": f"{_HERE}.faces:web",
    },
    "The daemon": {
        "status": f"{_HERE}.daemon:status",
        "top": f"{_HERE}.top:top",
        "metrics": f"{_HERE}.metrics:metrics",
        "ops": f"{_HERE}.operations:ops",
        "providers": f"{_HERE}.providers:providers",
        "events": f"{_HERE}.streams:events",
        "alerts": f"{_HERE}.alerts:alerts",
        "doctor": f"{_HERE}.doctor:doctor",
        "actors": f"{_HERE}.daemon:actors",
        "reload": f"{_HERE}.daemon:reload",
        "shutdown": f"{_HERE}.daemon:shutdown",
    },
    "Setting up": {
        "setup": f"{_HERE}.setup:setup",
        "config": f"{_HERE}.config:config",
        "version": f"{_HERE}.daemon:version",
        "completion": f"{_HERE}.completion:completion",
        "call": f"{_HERE}.call:call",
    },
}
ELSEWHERE = {
    "list": "ls",
    "ps": "ls",
    "new": "create",
    "run": "create",
    "delete": "rm",
    "remove": "rm",
    "destroy": "rm",
    "restore": "undelete",
    "kill": "stop, or rm --force",
    "show": "get",
    "inspect": "get",
    "describe": "get",
    "edit": "update",
    "set": "update",
    "url": "open",
    "ssh": "exec",
    "attach": "exec",
    "shell": "exec",
    "log": "logs",
    "info": "status",
}
"""What Docker, Kubernetes and others call it."""
_HELP = """Run VS Code instances through the daemon swarmd.

An instance is named by its name, owner/name, its id or a unique beginning of the id.
"""
_EPILOG = """\b
Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 not found, 4 not permitted,
5 no daemon answers, 130 interrupted. Data goes to stdout, everything else to stderr.
"""


class Root(LazyGroup):
    """The group that turns every error into words and an exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,  # noqa: ARG002 - click's signature
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Parse, run, exit."""
        name = prog_name or "swarmctl"
        if "_SWARMCTL_COMPLETE" in os.environ:
            super().main(args, name, "_SWARMCTL_COMPLETE", standalone_mode, **extra)
        app = App()
        try:
            code = self._run(list(sys.argv[1:] if args is None else args), name, app, extra)
            sys.stdout.flush()
        except BrokenPipeError:
            code = _reader_went_away()
        finally:
            app.close()
        sys.exit(code)

    def _run(self, args: list[str], name: str, app: App, extra: dict[str, Any]) -> int:
        try:
            with self.make_context(name, args, obj=app, **extra) as ctx:
                result = self.invoke(ctx)
                return result if isinstance(result, int) else 0
        except click.exceptions.Exit as done:
            return done.exit_code
        except click.ClickException as error:
            return _wrong_usage(error, app.output)
        except SwarmError as error:
            app.progress.clear()
            return report(error, app.output)
        except (KeyboardInterrupt, click.Abort):
            return _interrupted(app)


def report(error: SwarmError, output: Output) -> int:
    """Tell an error, to the person and to the program; its exit code."""
    if output.json:
        output.envelope(error=error)
    output.error(error)
    return exit_code(error)


def _wrong_usage(error: click.ClickException, output: Output) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):  # a group alone: no mistake
        click.echo(error.format_message())
        return 0
    if output.json:
        output.envelope(error=ValidationError(error.format_message()))
    click.echo(f"error: {error.format_message()}", err=True)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(f"→ {error.ctx.command_path} --help", err=True)
    return USAGE if isinstance(error, click.UsageError) else FAILED


def _interrupted(app: App) -> int:
    interrupts.heard()
    app.progress.clear()
    click.echo("interrupted", err=True)
    for operation in sorted(app.running):
        click.echo(f"→ It goes on. Follow it: swarmctl ops wait {operation}", err=True)
    return INTERRUPTED


def _version() -> click.Option:
    """``--version``: this program's own, without asking the daemon."""

    def tell(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value:
            from swarmd import __version__

            click.echo(f"swarmctl {__version__}")
            ctx.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=tell,
        help="This program's version; `swarmctl version` has the daemon's too.",
    )


def _reader_went_away() -> int:
    """``swarmctl ls | head -1``: nobody reads any more, which is no error worth a word."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + 13


root = Root(
    "swarmctl",
    table=TABLE,
    elsewhere=ELSEWHERE,
    help=_HELP,
    epilog=_EPILOG,
    params=[*shared_options(hidden=False), _version()],
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
