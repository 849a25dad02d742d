"""How soon a container that somebody kills by hand is seen, and what a docker provider costs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.bench_start import settled_rss
from tests.benchmarks.figure import Figure
from tests.daemon import Connection, DaemonProcess
from tests.docker_engine import engine_client
from tests.docker_images import tiny
from tests.e2e.docker_kit import Box

INSTANCES = 12
KILLS = 24
SEEN_SECONDS = 1.0
PATIENCE = 60.0
PAUSE = 0.005


def figures() -> Iterator[Figure]:
    """Killed ones, then memory."""
    with engine_client() as client:
        box = Box(tiny(client))
    try:
        with tempfile.TemporaryDirectory(prefix="swarmd-bench-") as place:
            delays, without, with_one = measure(Path(place), box)
    finally:
        box.clear()
    slowest = sorted(delays)[round(0.95 * len(delays)) - 1]
    yield Figure(
        "docker: a container killed by hand is seen in the list, p95", slowest, "s", SEEN_SECONDS,
        f"{len(delays)} kills, from before the kill to the first list that shows it; median "
        f"{sorted(delays)[len(delays) // 2]:.3f} s, longest {max(delays):.3f} s",
    )  # fmt: skip
    yield Figure(
        "memory of a daemon with one docker provider", with_one / 1e6, "MB", 1e3,
        f"without it {without / 1e6:.1f} MB; only shown",
    )  # fmt: skip


def measure(place: Path, box: Box) -> tuple[list[float], float, float]:
    """Seconds of each kill; bytes resident of a daemon without and with the provider."""
    (place / "without").mkdir()
    (place / "with").mkdir()
    with DaemonProcess(place / "without").start() as daemon:
        without = settled_rss(daemon)
    settings = {"daemon": {}, "logging": {"format": "text"}}
    with DaemonProcess(
        place / "with", providers=[box.table()], settings=settings
    ).start() as daemon:
        with_one = settled_rss(daemon)
        names = [f"k{number}" for number in range(INSTANCES)]
        refs = {name: daemon.create(name, provider=box.name)["id"] for name in names}
        with daemon.connect() as connection:
            delays = [
                killed(connection, box, name, refs[name])
                for _ in range(KILLS // INSTANCES)
                for name in names
            ]
    return delays, without, with_one


def killed(connection: Connection, box: Box, name: str, instance_id: str) -> float:
    """Seconds from a kill to the first list that shows that it does not run as it did."""
    before = when_running(connection, name)
    container = box.container(instance_id)["Id"]
    with box.client() as client:
        begun = time.perf_counter()
        client.api.kill(container)
        while unseen(before, look(connection, name)):
            assert time.perf_counter() - begun < PATIENCE, look(connection, name)
            time.sleep(PAUSE)
    return time.perf_counter() - begun


def unseen(before: tuple[str, str | None], now: tuple[str, str | None]) -> bool:
    """Whether the list still says what it said: one that runs again was started since."""
    return now[0] == "running" and now[1] in (None, before[1])


def when_running(connection: Connection, name: str) -> tuple[str, str | None]:
    """What the list says of it once it runs (again)."""
    deadline = time.monotonic() + PATIENCE
    while (seen := look(connection, name))[0] != "running":
        assert time.monotonic() < deadline, seen
        time.sleep(0.05)
    return seen


def look(connection: Connection, name: str) -> tuple[str, str | None]:
    """Its status and when it was started: one that runs again was started again."""
    (item,) = connection.call("instance.list", name=name)["items"]
    return item["status"], item["started_at"]
