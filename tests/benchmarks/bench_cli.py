"""``swarmctl ls`` with ten instances, from the start of the process to its end."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figure import Figure, median_seconds
from tests.daemon import DaemonProcess

INSTANCES = 10
ROUNDS = 21


def figures() -> Iterator[Figure]:
    """The median of many runs."""
    with (
        tempfile.TemporaryDirectory(prefix="swarmd-bench-") as folder,
        DaemonProcess(Path(folder)).start() as daemon,
    ):
        for number in range(INSTANCES):
            daemon.call("instance.create", config={"name": f"n{number}"}, start=False)
        assert len(daemon.ctl("ls", "-o", "name").stdout.split()) == INSTANCES
        took = median_seconds(lambda: daemon.ctl("ls"), ROUNDS)
        bare = median_seconds(lambda: _python("pass"), ROUNDS)
        libraries = median_seconds(lambda: _python("import click, msgspec"), ROUNDS)
    yield Figure(
        f"swarmctl ls with {INSTANCES} instances",
        took * 1e3,
        "ms",
        120.0,
        f"of which Python {bare * 1e3:.0f} ms, and with its two libraries {libraries * 1e3:.0f} ms",
    )


def _python(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True, stdin=subprocess.DEVNULL)
