"""From kill -9 and from SIGSTOP of a real code-server until it is healthy again."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.bench_create import by_hand
from tests.benchmarks.figure import Figure
from tests.daemon import Connection, DaemonProcess
from tests.e2e.stormcheck import real_command
from tests.support import Process, mentions

KILLS = 15
BACK = 1.0
HANGS = 5
INTERVAL, TIMEOUT, FAILURES = 2.0, 1.0, 3
LATER = 2.0
PATIENCE = 60.0
PAUSE = 0.005
HEALTH: dict[str, object] = {
    "check_interval": f"{INTERVAL}s",
    "timeout": f"{TIMEOUT}s",
    "failures": FAILURES,
    "grace": "1s",
    "max_recovery_attempts": 1000,
    "stable_time": "1ms",  # each is the first attempt: patience is not what is measured
}


def figures() -> Iterator[Figure]:
    """Killed ones, then hung ones."""
    options = real_command()
    with tempfile.TemporaryDirectory(prefix="swarmd-bench-") as place:
        folder = Path(place) / "d"
        folder.mkdir()
        hand = [by_hand(options["command"], Path(place) / f"hand{n}") for n in range(HANGS)]
        with DaemonProcess(folder, options=options, settings={"health": HEALTH}).start() as daemon:
            made = daemon.create("web")
            with daemon.connect() as connection:
                killed = [back(daemon, connection, made, hang=False) for _ in range(KILLS)]
                hung = [back(daemon, connection, made, hang=True) for _ in range(HANGS)]
    yield Figure(
        "a killed code-server is back and healthy, p50", statistics.median(killed), "s", BACK,
        f"from kill -9 to healthy; {KILLS} kills, the longest {max(killed):.2f} s; the same "
        f"code-server started by hand {statistics.median(hand):.2f} s",
    )  # fmt: skip
    promised = FAILURES * INTERVAL
    yield Figure(
        f"a hung code-server is healthy again ({FAILURES} failures, every {INTERVAL:g} s), longest",
        max(hung), "s", promised + LATER,
        f"from SIGSTOP; {HANGS} hangs, the median {statistics.median(hung):.2f} s",
    )  # fmt: skip


def back(
    daemon: DaemonProcess, connection: Connection, made: dict[str, Any], *, hang: bool
) -> float:
    """Seconds from what is done to it until it is healthy in another life."""
    before = when_well(connection, None)
    apart(before)
    processes = server(daemon, made)
    begun = time.perf_counter()
    for process in processes:
        if hang:
            os.kill(process.pid, signal.SIGSTOP)
        else:
            process.kill()
    when_well(connection, before)
    took = time.perf_counter() - begun
    if hang:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)
    return took


def server(daemon: DaemonProcess, made: dict[str, Any]) -> list[Process]:
    """The processes of the instance."""
    folder = daemon.data / made["id"]
    return [each for each in daemon.instance_processes() if mentions(each.pid, folder)]


def when_well(connection: Connection, before: str | None) -> str:
    """Wait until it is healthy, in another life than this; when that began."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = connection.call("instance.get", id="web")
        well = (found["status"], found["health"]) == ("running", "healthy")
        if well and found["started_at"] != before:
            return str(found["started_at"])
        assert time.monotonic() < deadline, found
        time.sleep(PAUSE)


def apart(started_at: str) -> None:
    """Providers tell starts to the second: the next one is in another."""
    from datetime import UTC, datetime

    age = (datetime.now(UTC) - datetime.fromisoformat(started_at)).total_seconds()
    time.sleep(max(0.0, 1.2 - age))


if __name__ == "__main__":
    for figure in figures():
        print(figure)
