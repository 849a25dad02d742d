"""Where output goes: data to stdout, everything else to stderr, one envelope for programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from swarmd.cli.grid import Column, Row, render
from swarmd.cli.text import safe_lines
from swarmd.errors import (
    ConfigError,
    DaemonUnreachable,
    NotFoundError,
    PermissionDenied,
    SwarmError,
    ValidationError,
)

FAILED, USAGE, NOT_FOUND, PERMISSION, UNREACHABLE, INTERRUPTED = 1, 2, 3, 4, 5, 130

_EXITS: tuple[tuple[type[SwarmError], int], ...] = (
    (DaemonUnreachable, UNREACHABLE),
    (NotFoundError, NOT_FOUND),
    (PermissionDenied, PERMISSION),
    (ConfigError, FAILED),
    (ValidationError, USAGE),
)


def exit_code(error: SwarmError) -> int:
    """The exit code of an error (DESIGN 6): what was asked for wrongly is usage."""
    return next((code for kind, code in _EXITS if isinstance(error, kind)), FAILED)


class Output:
    """How this invocation prints.

    ``format`` is table, wide, json or name; ``quiet`` leaves out what is neither data nor error.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.format = "table"
        self.no_color = False
        self.quiet = quiet

    @property
    def json(self) -> bool:
        """Whether a program reads."""
        return self.format == "json"

    @property
    def colour(self) -> bool:
        """Colours go to terminals, and to nobody who said NO_COLOR."""
        return sys.stdout.isatty() and not self.no_color and not os.environ.get("NO_COLOR")

    @property
    def on_terminal(self) -> bool:
        """Whether stdout is a terminal."""
        return sys.stdout.isatty()

    @property
    def width(self) -> int | None:
        """Cells per line: what COLUMNS says, else the terminal; None into a file or pipe."""
        columns = os.environ.get("COLUMNS", "")
        if columns.isdecimal() and int(columns) > 0:
            return int(columns)
        if not sys.stdout.isatty():
            return None
        return os.get_terminal_size(sys.stdout.fileno()).columns or None

    def line(self, text: str = "") -> None:
        """A line of data."""
        click.echo(text, color=self.colour)

    def raw(self, data: bytes, *, err: bool = False) -> None:
        """Bytes as they are, at once."""
        stream = sys.stderr.buffer if err else sys.stdout.buffer
        stream.write(data)
        stream.flush()

    def note(self, text: str) -> None:
        """A line for the person: what happened, what to do. Not with ``-q``."""
        if not self.quiet:
            click.echo(text, err=True)

    def note_all(self, texts: Iterable[str]) -> None:
        """Several notes."""
        for text in texts:
            self.note(text)

    def screen(self, lines: Iterable[str]) -> None:
        """Replace the whole screen of a terminal, line by line: nothing flickers.

        What does not fit is counted on the last line.
        """
        shown, most = list(lines), os.get_terminal_size(sys.stdout.fileno()).lines - 1
        if 0 < most < len(shown):
            shown[most - 1 :] = [f"… {len(shown) - most + 1} more"]
        # Each line is cleared behind its end, and the screen below the last.
        click.echo("\x1b[H" + "\x1b[K\n".join(shown) + "\x1b[K\x1b[J", color=True)

    def envelope(self, data: Any = None, error: SwarmError | None = None) -> None:
        """The envelope of seed 000."""
        described = None if error is None else describe_error(error)
        self.line(dumps({"success": error is None, "data": data, "error": described}))

    def envelope_of(self, data: Any, *, success: bool) -> None:
        """The envelope of many outcomes, each with its own error."""
        self.line(dumps({"success": success, "data": data, "error": None}))

    def noun(self, data: dict[str, Any], show: Callable[[dict[str, Any]], None]) -> None:
        """One thing: the envelope, its name, or as the command shows it."""
        if self.json:
            self.envelope(data)
        elif self.format == "name":
            self.line(name_of(data))
        else:
            show(data)

    def table(
        self,
        data: Any,
        rows: Sequence[Row],
        columns: Sequence[Column],
        *,
        empty: str,
    ) -> None:
        """A list: the envelope of ``data``, names, or a table; a hint if there is nothing."""
        if self.json:
            self.envelope(data)
            return
        if not rows:
            self.note(empty)
        elif self.format == "name":
            for row in rows:
                self.line(name_of(row))
        else:
            self.lines(
                render(
                    columns,
                    rows,
                    width=self.width,
                    wide=self.format == "wide",
                    colour=self.colour,
                )
            )

    def lines(self, lines: Iterable[str]) -> None:
        """Several lines of data in one piece."""
        click.echo("\n".join(lines), color=self.colour)

    def error(self, error: SwarmError, prefix: str = "") -> None:
        """An error as people read it: what happened, which input, what to do."""
        said = f"{prefix}{safe_lines(error.message)}"
        click.echo(f"error: {said}", err=True)
        if error.field and error.field not in said:
            click.echo(f"  field: {error.field}", err=True)
        cause = error.details.get("cause")
        if cause and str(cause) not in said:
            click.echo(f"  cause: {safe_lines(str(cause).strip())}", err=True)
        if error.next_step:
            click.echo(f"→ {safe_lines(error.next_step)}", err=True)
        for problem in error.details.get("problems", [])[1:]:  # of a configuration file
            also = f"also: {problem['field']}: {problem['message']}"
            click.echo(safe_lines(also), err=True)


def name_of(row: Row) -> str:
    """What ``-o name`` prints: something that other commands take."""
    if "owner" in row and "name" in row:
        return f"{row['owner']}/{row['name']}"
    return str(row.get("name") or row.get("id") or row.get("chosen") or "")


def describe_error(error: SwarmError) -> dict[str, Any]:
    """The error as it came over the wire."""
    return {"type": error.type, "message": error.message, "details": error.details}


def dumps(value: Any) -> str:
    """JSON on one line, as any other program writes it."""
    from swarmd.messages import codec

    return codec.encode(value).decode()
