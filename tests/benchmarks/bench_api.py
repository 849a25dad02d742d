"""``instance.get`` one by one, against a bare asyncio-streams line echo.

Both servers run in a process of their own and are driven by the same blocking client from this
one, in turns and all on one core (see ``pinned``), so that what else the machine does meets both.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figure import Figure
from tests.benchmarks.pinned import on_one_core

LIMIT = 0.7
ROUNDS = 9
REQUESTS = 2000
LINE = b'{"jsonrpc":"2.0","id":1,"method":"instance.get","params":{"id":"ana/web"}}\n'


async def serve_echo(path: Path) -> None:
    """The yardstick: a line comes, the line goes back."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(answer, path)
    async with server:
        await server.serve_forever()


async def serve_api(path: Path) -> None:
    """The real server over the tests' fake behind it."""
    from swarmd.api import ApiServer
    from tests.api.fakes import FakeDaemon, TickClock

    daemon = FakeDaemon()
    instance = daemon.add("web")
    daemon.instance = lambda caller, ref: instance  # type: ignore[method-assign]
    numbers = itertools.count()
    server = ApiServer(
        daemon,
        daemon,
        socket_path=path,
        socket_group="",
        version="bench",
        clock=TickClock(),
        new_id=lambda: f"c{next(numbers)}",
    )
    await server.start()
    await asyncio.Event().wait()


def rate(connection: socket.socket, requests: int, line: bytes = LINE) -> float:
    """Requests a second, one by one."""
    started = time.perf_counter()
    for _ in range(requests):
        connection.sendall(line)
        while not connection.recv(65536).endswith(b"\n"):
            pass
    return requests / (time.perf_counter() - started)


def connected(path: Path) -> socket.socket:
    """A connection to a server that is about to listen."""
    deadline = time.monotonic() + 20
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
        except OSError:
            connection.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return connection


def figures() -> Iterator[Figure]:
    """The medians of rounds taken in turns."""
    with tempfile.TemporaryDirectory(prefix="swarmd-bench-") as folder:
        paths = {name: Path(folder) / f"{name}.sock" for name in ("echo", "api")}
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        servers = [
            subprocess.Popen([sys.executable, __file__, name, str(path)], env=environment)
            for name, path in paths.items()
        ]
        try:
            connections = {name: connected(path) for name, path in paths.items()}
            rates: dict[str, list[float]] = {name: [] for name in paths}
            for connection in connections.values():
                rate(connection, REQUESTS)
            with on_one_core(*(server.pid for server in servers)):
                for _ in range(ROUNDS):
                    for name, connection in connections.items():
                        rates[name].append(rate(connection, REQUESTS))
            for connection in connections.values():
                connection.close()
        finally:
            for server in servers:
                server.terminate()
                server.wait()
    echo, api = (statistics.median(rates[name]) for name in ("echo", "api"))
    yield Figure(
        "the socket alone: instance.get one by one, as a share of a line echo",
        api / echo,
        "of it",
        LIMIT,
        baseline=f"{api:,.0f}/s; the echo {echo:,.0f}/s",
        at_least=True,
    )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        serve = {"echo": serve_echo, "api": serve_api}[sys.argv[1]]
        asyncio.run(serve(Path(sys.argv[2])))
    else:
        for figure in figures():
            print(figure)
