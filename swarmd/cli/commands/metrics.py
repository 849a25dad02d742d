"""``swarmctl metrics``: what was measured over time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from swarmd.cli.app import App
from swarmd.cli.command import command
from swarmd.cli.grid import Column, Row, column, render
from swarmd.cli.render import Form
from swarmd.cli.text import clock, dash, size, took
from swarmd.core.telemetry.histogram import merged, quantile
from swarmd.messages import codec, requests
from swarmd.messages.telemetry import Histogram

_EXAMPLES = """
swarmctl metrics
swarmctl metrics --since 7d --step 6h
swarmctl metrics --since 2026-01-31T08:00:00+01:00 --until 2026-01-31T12:00:00+01:00
swarmctl metrics --format prometheus
"""


def _moment(at: str) -> str:
    """Without the year, so that a line has 80 characters."""
    return clock(at)[5:]


def _figure(row: Row, name: str, which: str = "last") -> float | None:
    value: float | None = (row["figures"].get(name) or {}).get(which)
    return value


def _number(row: Row, name: str, which: str = "last") -> str:
    value = _figure(row, name, which)
    return dash(None if value is None else f"{value:g}")


def _ended(row: Row, *outcomes: str) -> str:
    """How many ended so; a dash where nothing was measured."""
    if not row["samples"]:
        return "-"
    kinds = row["operations"].values()
    return str(sum(kind[outcome] for kind in kinds for outcome in outcomes))


def _took(row: Row, share: float) -> str:
    kinds = row["operations"].values()
    return _seconds(merged([_histogram(kind) for kind in kinds]), share)


def _histogram(kind: Row) -> Histogram:
    return codec.convert(kind["latency"], Histogram)


def _seconds(histogram: Histogram, share: float) -> str:
    return took(quantile(histogram, share))


_ALL = ("succeeded", "failed", "cancelled")
POINTS = (
    Column("FROM", lambda row: _moment(row["at"]), fixed=True),
    Column("TOTAL", lambda row: _number(row, "instances.total")),
    Column("RUNNING", lambda row: _number(row, "instances.status.running")),
    Column("UNHEALTHY", lambda row: _number(row, "health.unhealthy", "max")),
    Column("ENDED", lambda row: _ended(row, *_ALL)),
    Column("FAILED", lambda row: _ended(row, "failed")),
    Column("P50", lambda row: _took(row, 0.5)),
    Column("P95", lambda row: _took(row, 0.95)),
    Column("DAEMON", lambda row: size(_figure(row, "process.rss_bytes", "max"))),
    Column("DEGRADED", lambda row: _number(row, "health.degraded", "max"), wide=True),
    Column("ERROR", lambda row: _number(row, "instances.status.error", "max"), wide=True),
    Column("THREADS", lambda row: _number(row, "process.threads", "max"), wide=True),
    Column("FILES", lambda row: _number(row, "process.descriptors", "max"), wide=True),
    Column("MAILBOXES", lambda row: _number(row, "process.mailboxes", "max"), wide=True),
    Column("SAMPLES", lambda row: str(row["samples"]), wide=True),
)
OPERATIONS = (
    column("KIND", fixed=True),
    Column("ENDED", lambda row: str(sum(row[outcome] for outcome in _ALL))),
    column("FAILED"),
    column("CANCELLED"),
    Column("P50", lambda row: _seconds(_histogram(row), 0.5)),
    Column("P95", lambda row: _seconds(_histogram(row), 0.95)),
    Column("P99", lambda row: _seconds(_histogram(row), 0.99)),
    Column("LONGEST", lambda row: _seconds(_histogram(row), 1.0)),
)


@command(Form(requests.DaemonMetrics), examples=_EXAMPLES)
def metrics(app: App, params: dict[str, Any]) -> None:
    """Each line is a step, and a dash one in which nothing was measured.

    TOTAL and RUNNING are its instances at its end, UNHEALTHY and DAEMON (the memory of swarmd
    itself) at their most. ENDED are the operations that ended in it: half of them took at most
    P50, nearly all P95.
    """
    report = app.call("daemon.metrics", params)
    if app.output.json:
        app.output.envelope(report)
    elif report["text"] is not None:
        app.output.raw(report["text"].encode())
    else:
        app.output.lines(_lines(app, report))


def _lines(app: App, report: dict[str, Any]) -> Iterator[str]:
    points = report["points"]
    first = next((number for number, each in enumerate(points) if each["samples"]), len(points))
    if first == len(points):
        app.output.note("Nothing was measured in this time.")
    elif first:
        app.output.note(f"Nothing was measured before {clock(points[first - 1]['at'])}.")
    width, wide = app.output.width, app.output.format == "wide"
    yield from render(POINTS, points[first:], width=width, wide=wide)
    operations = (report["total"] or {}).get("operations") or {}
    if operations:
        yield ""
        rows = [{"kind": kind, **of} for kind, of in sorted(operations.items())]
        yield from render(OPERATIONS, rows, width=width, wide=wide)
