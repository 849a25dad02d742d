"""The real daemon under a crowd: latency of ``instance.get`` against a line echo, same load.

Both servers run in processes of their own; one client drives them in turns, one by one on one
core (see ``pinned``), as a crowd wherever the scheduler wants. For the crowd, eight
callers create and delete instances (real code-server) at the daemon all the while, whichever
server is measured, so that both are measured on an equally busy machine.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.benchmarks import bench_api
from tests.benchmarks.bench_api import LINE, connected, rate
from tests.benchmarks.figure import Figure
from tests.benchmarks.pinned import on_one_core
from tests.daemon import DaemonProcess
from tests.e2e.stormcheck import real_command

CONNECTIONS = 32
EACH_PER_SECOND = 50
SECONDS = 3.0
ROUNDS = 9
CREATES = 8
SLOWER_P99 = 2.5
ONE_BY_ONE = 0.7
GET = LINE.replace(b"ana/web", b"web")


async def one_client(path: Path, delay: float, until: float) -> list[float]:
    """Latencies of a client that asks at its pace; how late an answer is counts from its turn."""
    reader, writer = await asyncio.open_unix_connection(path, limit=1 << 20)
    latencies: list[float] = []
    turn = time.perf_counter() + delay
    while turn < until:
        await asyncio.sleep(max(0.0, turn - time.perf_counter()))
        writer.write(GET)
        await reader.readline()
        latencies.append(time.perf_counter() - turn)
        turn += 1 / EACH_PER_SECOND
    writer.close()
    return latencies


async def crowd(path: Path) -> list[float]:
    """All clients at once; every latency, in seconds."""
    until = time.perf_counter() + SECONDS
    starts = [number / CONNECTIONS / EACH_PER_SECOND for number in range(CONNECTIONS)]
    found = await asyncio.gather(*(one_client(path, delay, until) for delay in starts))
    return list(itertools.chain.from_iterable(found))


def p99(latencies: list[float]) -> float:
    """The latency that one in a hundred exceeds, in seconds."""
    return statistics.quantiles(latencies, n=100)[98]


def creating(path: Path) -> None:
    """In a process of its own: eight callers that create and delete until it is ended."""
    from tests.daemon import Connection

    def lives(caller: int) -> None:
        with Connection(path) as connection:
            for number in itertools.count():
                name = f"load-{caller}-{number}"
                connection.call("instance.create", config={"name": name})
                connection.call("instance.delete", id=name, force=True)

    with ThreadPoolExecutor(CREATES) as pool:
        list(pool.map(lives, range(CREATES)))


def figures() -> Iterator[Figure]:
    """One by one on a quiet daemon, then the crowd on a busy one."""
    with tempfile.TemporaryDirectory(prefix="swarmd-bench-") as place:
        folder, echo_path = Path(place) / "d", Path(place) / "echo.sock"
        folder.mkdir()
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, bench_api.__file__, "echo", str(echo_path)]
        echo = subprocess.Popen(command, env=environment)
        options = {"port_range": "10000-29999", **real_command()}
        try:
            with DaemonProcess(folder, options=options).start() as daemon:
                daemon.create("web")
                connected(echo_path).close()
                with on_one_core(daemon.pid, echo.pid):
                    found = one_by_one(daemon.socket, echo_path)
                yield found
                yield under_creates(daemon.socket, echo_path, environment)
        finally:
            echo.terminate()
            echo.wait()


def one_by_one(api: Path, echo: Path) -> Figure:
    """The rate of one client, in turns."""
    rates: dict[Path, list[float]] = {api: [], echo: []}
    connections = {path: connected(path) for path in rates}
    for _ in range(ROUNDS):
        for path, connection in connections.items():
            connection.settimeout(30)
            rates[path].append(rate(connection, 1500, GET))
    for connection in connections.values():
        connection.close()
    ours, bare = statistics.median(rates[api]), statistics.median(rates[echo])
    return Figure(
        "instance.get one by one at the real daemon, as a share of a line echo",
        ours / bare, "of it", ONE_BY_ONE,
        f"{ours:,.0f}/s; the echo {bare:,.0f}/s", at_least=True,
    )  # fmt: skip


def under_creates(api: Path, echo: Path, environment: dict[str, str]) -> Figure:
    """The crowd's p99, in turns, while eight creates run."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_load", "creating", str(api)]
    load = subprocess.Popen(
        command, env=environment, cwd=environment["PYTHONPATH"], stderr=subprocess.DEVNULL
    )
    try:
        threading.Event().wait(1.0)  # until the creates are under way
        found: dict[Path, list[float]] = {api: [], echo: []}
        for _ in range(ROUNDS):
            for path, latencies in found.items():
                latencies.append(p99(asyncio.run(crowd(path))))
    finally:
        load.terminate()
        load.wait()
    ours, bare = statistics.median(found[api]), statistics.median(found[echo])
    return Figure(
        f"p99 of {CONNECTIONS} connections at {EACH_PER_SECOND}/s each while {CREATES} creates run",
        ours * 1000, "ms", bare * 1000 * SLOWER_P99,
        f"the echo under the same load {bare * 1000:.1f} ms; ratio {ours / bare:.2f}",
    )  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["creating"]:
        creating(Path(sys.argv[2]))
    else:
        for figure in figures():
            print(figure)
