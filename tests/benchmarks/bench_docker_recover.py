"""From the kill of a container with the real code-server until it is healthy again."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.bench_recover import HEALTH, apart, when_well
from tests.benchmarks.figure import Figure
from tests.daemon import DaemonProcess
from tests.docker_engine import engine_client
from tests.docker_images import real
from tests.e2e.docker_kit import Box

KILLS = 10
BACK = 2.0


def figures() -> Iterator[Figure]:
    """Killed by the engine's own kill."""
    with engine_client() as client:
        box = Box(real(client))
    try:
        with tempfile.TemporaryDirectory(prefix="swarmd-bench-") as place:
            settings: dict[str, dict[str, object]] = {"health": HEALTH}
            with DaemonProcess(
                Path(place), settings=settings, providers=[box.table()]
            ).start() as daemon:
                took = kills(daemon, box)
    finally:
        box.clear()
    yield Figure(
        "docker: a killed container with code-server is back and healthy, p50",
        statistics.median(took), "s", BACK,
        f"from before the kill to healthy; {KILLS} kills, the longest {max(took):.2f} s",
    )  # fmt: skip


def kills(daemon: DaemonProcess, box: Box) -> list[float]:
    """Seconds of each."""
    made = daemon.create("web", provider=box.name)
    took = []
    with daemon.connect() as connection, box.client() as client:
        for _ in range(KILLS):
            before = when_well(connection, None)
            apart(before)
            container = box.container(made["id"])["Id"]
            begun = time.perf_counter()
            client.api.kill(container)
            when_well(connection, before)
            took.append(time.perf_counter() - begun)
    return took


if __name__ == "__main__":
    for figure in figures():
        print(figure)
