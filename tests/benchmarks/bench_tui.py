"""The terminal app in a real terminal: first paint, many rows, many events, and doing nothing."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import terminal
from tests.benchmarks.figure import Figure
from tests.benchmarks.terminal import Terminal

ROUNDS = 7
KEYS = 100
BUSY_SECONDS = 10.0
IDLE_SECONDS = 20.0
SWARMCTL = Path(sys.executable).with_name("swarmctl")


def figures() -> Iterator[Figure]:
    """Each with a crowd of its own."""
    with tempfile.TemporaryDirectory(prefix="swarmd-bench-") as place:
        yield from opening(Path(place))
        yield from busy(Path(place))
        yield from idle(Path(place))
        yield from ten_thousand(Path(place))


@contextlib.contextmanager
def crowd(place: Path, count: int, rate: float) -> Iterator[Path]:
    """A socket behind which so many instances are, and so many events a second happen."""
    path = place / f"{count}-{rate:g}.sock"
    command = [sys.executable, "-m", "tests.benchmarks.crowd", str(path), str(count), str(rate)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        try:
            yield path
        finally:
            server.kill()


@contextlib.contextmanager
def app(socket: Path) -> Iterator[tuple[Terminal, float]]:
    """The app in a terminal, as a person starts it; and when that was."""
    env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    env.pop("NO_COLOR", None)
    begun = time.monotonic()
    with terminal.running([str(SWARMCTL), "--socket", str(socket), "tui"], env) as screen:
        yield screen, begun


def opening(place: Path) -> Iterator[Figure]:
    """From the command to a home view that knows its daemon."""
    times = []
    with crowd(place, 100, 0) as socket:
        for _ in range(ROUNDS):
            with app(socket) as (screen, begun):
                times.append(screen.until(b"online", b"100") - begun)
    found = statistics.median(times)
    yield Figure("first paint with 100 instances", found * 1e3, "ms", 600)


def busy(place: Path) -> Iterator[Figure]:
    """1,000 instances and 200 events a second, the table on the screen."""
    with crowd(place, 1000, 200) as socket, app(socket) as (screen, _):
        screen.until(b"online")
        screen.send(b"2")
        screen.until(b"n00000")
        screen.drain(2)
        before, begun = screen.cpu_seconds(), time.monotonic()
        screen.drain(BUSY_SECONDS)
        share = (screen.cpu_seconds() - before) / (time.monotonic() - begun)
        yield Figure("1,000 instances, 200 events a second", share * 100, "% of a core", 25)
        paints = sorted(screen.paint_after(b"jk"[n % 2 :][:1]) for n in range(KEYS))
        yield Figure("key to paint meanwhile, p95", paints[int(KEYS * 0.95)] * 1e3, "ms", 50)
        yield Figure("memory at 1,000 instances", screen.rss_mib(), "MiB", 120)


def idle(place: Path) -> Iterator[Figure]:
    """Nothing happens."""
    with crowd(place, 100, 0) as socket, app(socket) as (screen, _):
        screen.until(b"online")
        screen.send(b"2")
        screen.until(b"n00000")
        screen.drain(2)
        before, begun = screen.cpu_seconds(), time.monotonic()
        screen.drain(IDLE_SECONDS)
        share = (screen.cpu_seconds() - before) / (time.monotonic() - begun)
    yield Figure("doing nothing", share * 100, "% of a core", 1)


def ten_thousand(place: Path) -> Iterator[Figure]:
    """From the command to the table of all, then page after page of it."""
    with crowd(place, 10_000, 0) as socket, app(socket) as (screen, begun):
        screen.send(b"2")
        opened = screen.until(b"n00000") - begun
        screen.settle(1.0)
        pages = sorted(screen.paint_after(b"\x1b[6~") for _ in range(KEYS))
    yield Figure(
        "the table of 10,000 instances, from the command", opened * 1e3, "ms", 1000,
        "Textual's own table: 1,700 ms",
    )  # fmt: skip
    yield Figure("scrolling it, the longest of 100 pages", pages[-1] * 1e3, "ms", 100)
