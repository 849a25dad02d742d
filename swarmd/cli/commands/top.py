"""``swarmctl top``: what uses how much, right now and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import click

from swarmd.cli.app import App
from swarmd.cli.command import command
from swarmd.cli.commands.listing import read_all
from swarmd.cli.grid import Column, Row, column, paint, render
from swarmd.cli.interrupts import HEARD_SECONDS
from swarmd.cli.output import name_of
from swarmd.cli.render import Form
from swarmd.cli.text import age, parse_time, safe, size
from swarmd.cli.values import UnitParam
from swarmd.errors import DaemonUnreachable, SwarmError
from swarmd.messages import requests
from swarmd.messages.enums import InstanceStatus
from swarmd.messages.units import Duration

_FIRST_SECONDS = 1.0
"""Between the two looks that the first share of CPU takes."""

_SHORTEST = 0.1
_FIELDS = ["id", "owner", "name", "status", "health", "provider"]


def _share(part: float | None, whole: float | None) -> str:
    return "-" if part is None or not whole else f"{part / whole * 100:.0f}%"


def _percent(row: Row) -> str:
    value = row.get("cpu_percent")
    return "-" if value is None else f"{value:.1f}%"


COLUMNS = (
    Column("NAME", lambda row: safe(name_of(row))),
    column("STATUS", coloured=True, fixed=True),
    column("HEALTH", coloured=True),
    Column("CPU", _percent, fixed=True),
    Column("MEMORY", lambda row: size(row.get("memory_bytes")), fixed=True),
    Column("OF", lambda row: _share(row.get("memory_bytes"), row.get("memory_limit_bytes"))),
    Column("DISK", lambda row: size(row.get("disk_bytes"))),
    column("PIDS"),
    column("PROVIDER"),
    Column("CPU-TIME", lambda row: _cpu_time(row.get("cpu_seconds")), wide=True),
    Column("LIMIT", lambda row: size(row.get("memory_limit_bytes")), wide=True),
    column("ID", wide=True),
)


def _cpu_time(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f}s"


_FIGURES = {
    "cpu": "cpu_percent",
    "memory": "memory_bytes",
    "disk": "disk_bytes",
    "pids": "pids",
    "cpu-time": "cpu_seconds",
}
_WORDS = ("name", "status", "health", "provider")


@command(
    Form(requests.StatsInstance, arguments={"id": "[NAME]..."}),
    extra=[
        click.Option(
            ["-s", "--sort"],
            type=click.Choice([*_FIGURES, *_WORDS]),
            default="cpu",
            show_default=True,
            help="What comes first: the most of a figure, or a word by the alphabet.",
        ),
        click.Option(
            ["-i", "--interval"],
            type=UnitParam(Duration),
            default="2s",
            show_default=True,
            help="Between two looks.",
        ),
        click.Option(
            ["count", "-n", "--count"], type=click.IntRange(min=1), help="End after so many."
        ),
        click.Option(["--once"], is_flag=True, help="The same as -n 1."),
    ],
    examples="swarmctl top\nswarmctl top --sort memory\nswarmctl top --once -o json",
    own_help=True,
)
def top(
    app: App,
    params: dict[str, Any],
    *,
    sort: str,
    interval: str,
    count: int | None,
    once: bool,
) -> None:
    """Show live what each instance uses; Ctrl-C ends it.

    CPU is of one core, between two looks. On a terminal the screen is drawn anew each time; else
    the tables follow each other, with -o json one document on each line.
    """
    seconds = float(Duration.parse(interval))
    if seconds < _SHORTEST:
        raise click.BadParameter(f"expected at least {_SHORTEST:g} s.", param_hint="--interval")
    left = 1 if once else count
    view = View(app, params.get("id", []), sort)
    if left == 1 or not app.output.on_terminal:
        # Who reads a table once wants shares of CPU in it.
        view.look()
        _pause(min(seconds, _FIRST_SECONDS))
    while True:
        view.show()
        left = left if left is None else left - 1
        if left == 0:
            return
        _pause(seconds)


def _pause(seconds: float) -> None:
    """In pieces: Ctrl-C in the moment before a sleep is heard after it."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, HEARD_SECONDS))


class View:
    """What was seen last, and how it is shown.

    Args:
        app: This invocation.
        names: Whom; all if none is named.
        sort: By what.
    """

    def __init__(self, app: App, names: list[str], sort: str) -> None:
        self._app = app
        self._names = names
        self._sort = sort
        self._before: dict[str, Row] = {}
        self._tables = 0
        self._problem: str | None = None

    def look(self) -> list[dict[str, Any]]:
        """The rows now, in order."""
        rows, used = self._instances(), self._used()
        for row in rows:
            if (now := used.get(row["id"])) is not None:
                row |= {key: value for key, value in now.items() if key != "taken_at"}
                row["cpu_percent"] = cpu_percent(self._before.get(row["id"]), now)
        self._before = used
        return sorted(rows, key=order(self._sort))

    def _instances(self) -> list[dict[str, Any]]:
        if not self._names:
            return list(read_all(self._app, {"fields": _FIELDS})["items"])
        found = [self._app.call("instance.get", {"id": name}) for name in self._names]
        return [{field: row[field] for field in _FIELDS} for row in found]

    def _used(self) -> dict[str, Row]:
        params = {"id": self._names} if self._names else {}
        try:
            items = self._app.call("instance.stats", params)["items"]
        except DaemonUnreachable:
            raise
        except SwarmError as error:
            # A provider that does not answer: the rest of the table is still worth a look.
            self._problem = f"What instances use is not known: {safe(error.message)}"
            return {}
        self._problem = None
        return {each["id"]: each for each in items}

    def show(self) -> None:
        """Look and print."""
        output, rows = self._app.output, self.look()
        if output.json:
            output.envelope({"items": rows})
        elif output.on_terminal and output.format != "name":
            report = self._app.call("daemon.status", {})
            head = [*_head(report, colour=output.colour), self._problem or ""]
            output.screen([*head, *self._table(rows)])
        else:
            output.note_all([self._problem] if self._problem else [])
            if self._tables and output.format != "name":
                output.line()
            output.table(rows, rows, COLUMNS, empty="No instances yet.")
        self._tables += 1

    def _table(self, rows: list[dict[str, Any]]) -> Iterator[str]:
        output = self._app.output
        wide = output.format == "wide"
        return render(COLUMNS, rows, width=output.width, wide=wide, colour=output.colour)


def cpu_percent(before: Row | None, now: Row) -> float | None:
    """Of one core between two looks; None where it is not known, or began anew between them."""
    if before is None or before.get("cpu_seconds") is None or now.get("cpu_seconds") is None:
        return None
    used = now["cpu_seconds"] - before["cpu_seconds"]
    seconds = (parse_time(now["taken_at"]) - parse_time(before["taken_at"])).total_seconds()
    return round(used / seconds * 100, 1) if seconds > 0 and used >= 0 else None


def order(sort: str) -> Callable[[Row], Any]:
    """The most of a figure first and the unknown last, those that run first of all; or a word."""
    figure = _FIGURES.get(sort)
    if figure is None:
        return lambda row: (name_of(row) if sort == "name" else str(row.get(sort)), name_of(row))

    def key(row: Row) -> tuple[Any, ...]:
        value = row.get(figure)
        idle = row.get("status") != InstanceStatus.RUNNING
        return (value is None, -(value or 0.0), idle, name_of(row))

    return key


def _head(report: dict[str, Any], *, colour: bool) -> Iterator[str]:
    state = safe(report["state"])
    words = [f"up {age(report['started_at'])}", f"instances: {report['instances']['total']}"]
    for counts in (report["instances"]["by_status"], report["health"]["by_status"]):
        words += [f"{counts[word]} {word}" for word in _TOLD if counts.get(word)]
    words.append(f"operations: {report['operations_running']}")
    yield f"swarmd is {paint(state) if colour else state}, {', '.join(words)}"
    yield from (f"  because {safe(reason)}" for reason in report["reasons"])


_TOLD = ("running", "error", "unhealthy", "degraded", "recovering")
