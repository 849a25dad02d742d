"""Fifty instances that end as soon as they answered: what they cost, and who waits for it.

By default each is held after three automatic starts, and costs nothing. Here they are tried a
thousand times, to see what a crash loop costs that goes on by the backoff.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import bench_api
from tests.benchmarks.bench_api import connected
from tests.benchmarks.bench_load import CONNECTIONS, EACH_PER_SECOND, crowd, p99
from tests.benchmarks.figure import Figure
from tests.daemon import DaemonProcess

LOOPS = 50
SECONDS = 15.0
TRIES = 3
"""Automatic starts before one counts as a crash loop: by default it is held then."""
ROUNDS = 5
EVENTS = 6
"""Of one start, or so."""
CORE_SHARE = 30.0
SLOWER_P99 = 2.5
HEALTH = {"max_recovery_attempts": 1000}


def figures() -> Iterator[Figure]:
    """The daemon's share of a core alone, then a crowd that asks meanwhile."""
    with tempfile.TemporaryDirectory(prefix="swarmd-bench-") as place:
        folder, echo_path = Path(place) / "d", Path(place) / "echo.sock"
        folder.mkdir()
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, bench_api.__file__, "echo", str(echo_path)]
        echo = subprocess.Popen(command, env=environment)
        try:
            with DaemonProcess(folder, settings={"health": HEALTH}).start() as daemon:
                connected(echo_path).close()
                daemon.create("web")
                daemon.ctl_json("create", "brief", "--count", str(LOOPS), "--no-start")
                daemon.ctl("start", *(f"brief-{number}" for number in range(1, LOOPS + 1)))
                await_loops(daemon)
                yield cost(daemon)
                yield waiting(daemon, echo_path)
        finally:
            echo.terminate()
            echo.wait()


def await_loops(daemon: DaemonProcess) -> None:
    """Until each was tried so often that its pauses are what a crash loop's are: 4 s and more."""
    deadline = time.monotonic() + 120
    wanted = {"kind": ["start"], "limit": 1000}
    while len(daemon.call("operation.list", **wanted)["items"]) < LOOPS * (1 + TRIES):
        assert time.monotonic() < deadline, daemon.last_words()
        threading.Event().wait(0.2)


def cost(daemon: DaemonProcess) -> Figure:
    """How much of a core the daemon takes while they loop."""
    starts = started(daemon)
    begun, used = time.perf_counter(), cpu_seconds(daemon.pid)
    threading.Event().wait(SECONDS)
    share = (cpu_seconds(daemon.pid) - used) / (time.perf_counter() - begun) * 100
    return Figure(
        f"share of a core for {LOOPS} crash loops", share, "%", CORE_SHARE,
        f"{(started(daemon) - starts) / SECONDS / EVENTS:.1f} starts a second, in {SECONDS:g} s",
    )  # fmt: skip


def waiting(daemon: DaemonProcess, echo: Path) -> Figure:
    """The crowd's p99 at both, in turns."""
    starts, begun = started(daemon), time.perf_counter()
    found: dict[Path, list[float]] = {daemon.socket: [], echo: []}
    for _ in range(ROUNDS):
        for path, latencies in found.items():
            latencies.append(p99(asyncio.run(crowd(path))))
    ours, bare = statistics.median(found[daemon.socket]), statistics.median(found[echo])
    rate = (started(daemon) - starts) / EVENTS / (time.perf_counter() - begun)
    return Figure(
        f"p99 of {CONNECTIONS} connections at {EACH_PER_SECOND}/s each beside {LOOPS} crash loops",
        ours * 1000, "ms", bare * 1000 * SLOWER_P99,
        f"the echo beside them {bare * 1000:.1f} ms; ratio {ours / bare:.2f}; "
        f"{rate:.1f} starts a second",
    )  # fmt: skip


def started(daemon: DaemonProcess) -> int:
    """Events so far; nobody but the loops makes any."""
    return int(daemon.call("events.history", limit=1)["last_seq"])


def cpu_seconds(pid: int) -> float:
    """What a process has used of all cores together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    for figure in figures():
        print(figure)
