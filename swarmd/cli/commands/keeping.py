"""``swarmctl keep``: a lease, so that nothing stops an instance by itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import click

from swarmd.cli.app import App
from swarmd.cli.command import command
from swarmd.cli.commands.instances import NAME
from swarmd.cli.commands.layouts import instance_line
from swarmd.cli.render import Form
from swarmd.cli.text import clock, left, safe
from swarmd.cli.values import ParamType
from swarmd.messages.requests import KeepInstance

_EXAMPLES = """
swarmctl keep web 2h
swarmctl keep web --until 18:00
swarmctl keep web --until "2026-12-24 09:00"
swarmctl keep web --off
"""


class MomentParam(ParamType):
    """A moment to come, in the reader's zone unless it names another."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """As RFC 3339; a time of day alone is its next one."""
        try:
            return moment_of(str(value), datetime.now().astimezone()).isoformat()
        except (ValueError, OverflowError):
            self.fail(f'expected "18:00" or "2026-12-24 18:00", not {value!r}.', param, ctx)


def moment_of(text: str, now: datetime) -> datetime:
    """The moment that somebody writes.

    Args:
        text: A time of day, a day with a time, or RFC 3339.
        now: The time, with a zone.

    Raises:
        ValueError: It is none of these.
    """
    text = text.strip()
    if "-" not in text:
        hour = datetime.strptime(text, "%H:%M").time()
        today = datetime.combine(now.date(), hour, now.tzinfo)
        return today if today > now else today + timedelta(days=1)
    found = datetime.fromisoformat(text)
    return found if found.tzinfo is not None else found.astimezone()


@command(
    Form(
        KeepInstance,
        arguments={**NAME, "duration": "[DURATION]"},
        optional=("duration",),
        skip=("until",),
    ),
    extra=[
        click.Option(["--until"], type=MomentParam(), help="Until then, instead of a duration."),
        click.Option(["--off"], is_flag=True, help="End the lease."),
    ],
    examples=_EXAMPLES,
)
def keep(app: App, params: dict[str, Any], *, until: str | None, off: bool) -> None:
    """A lease lasts over a stop and a start, and starts nothing; a new one replaces it."""
    if sum((until is not None, off, "duration" in params)) != 1:
        raise click.UsageError("How long? Give a duration such as 2h, or --until, or --off.")
    if until is not None:
        params["until"] = until
    if off:
        params["duration"] = 0
    kept = app.call("instance.keep", params)
    app.output.noun(kept, lambda found: app.output.line(_line(found)))


def _line(found: dict[str, Any]) -> str:
    until = found.get("keep_until")
    words = f"kept until {clock(until)} (for {left(until)})" if until else "kept no longer"
    return safe(f"{instance_line(found)}  {words}")
