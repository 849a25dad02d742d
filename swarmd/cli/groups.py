"""Groups of commands: found when named, listed by section, typos answered."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import click

_SUMMARY = 120
"""Characters of a command's first sentence; the list wraps it."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are invoked.

    Args:
        table: Section → command → ``module:attribute``.
        fallback: What a first word means that is no command: the command that takes it.
        bare: The command that no word at all means.
        elsewhere: Words that other tools have for a command, and the command.
    """

    def __init__(
        self,
        *args: Any,
        table: Mapping[str, Mapping[str, str]],
        fallback: str | None = None,
        bare: str | None = None,
        elsewhere: Mapping[str, str] | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(*args, **rest)
        self.table = table
        self.places = {name: place for part in table.values() for name, place in part.items()}
        self.fallback = fallback
        self.bare = bare
        self.elsewhere = dict(elsewhere or {})

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """In the order of the table."""
        return list(self.places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import it."""
        place = self.places.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        found: click.Command = getattr(importlib.import_module(module), attribute)
        found.name = cmd_name
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put in the command that was meant without being said."""
        first = args[0] if args else ""
        if self.bare and first not in ("--help", *self.places):
            word = self.bare if not first or first.startswith("-") else self._meant(args)
            args = [*([word] if word else []), *args]
        return super().parse_args(ctx, args)

    def _meant(self, args: Sequence[str]) -> str | None:
        """The command that takes the first word, unless that is a command misspelt."""
        misspelt = args[0] in self.elsewhere or any(not word.startswith("-") for word in args[1:2])
        return None if misspelt else self.fallback

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find it; a typo is answered with the nearest command."""
        name = args[0]
        if name not in self.places and not name.startswith("-"):
            meant = self.elsewhere.get(name)
            hint = f"Use {meant}." if meant else _did_you_mean(name, list(self.places))
            ctx.fail(f"There is no command {name!r}. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each section with its commands."""
        width = max(map(len, self.places))
        for section, part in self.table.items():
            rows = [(name.ljust(width), self._summary(ctx, name)) for name in part]
            with formatter.section(section):
                formatter.write_dl(rows)

    def _summary(self, ctx: click.Context, name: str) -> str:
        found = self.get_command(ctx, name)
        return found.get_short_help_str(limit=_SUMMARY) if found else ""


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    import difflib

    near = difflib.get_close_matches(word, known, n=2, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"Known: {', '.join(known)}."
