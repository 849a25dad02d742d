"""Asking whether instances answer: probes per second, and what a large fleet costs.

A server in a process of its own answers what a real code-server answers to ``/healthz``, with
as little as possible around it: what is measured is who asks. The yardstick is a bare asyncio
client without deadlines, queue or errors, asking the same of the same server in turns with
ours. Each side has a core for itself, where there are two.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from swarmd.core.health.rules import rules_of
from swarmd.messages.config import HealthConfig
from swarmd.messages.instance import HealthCheck
from swarmd.messages.provider import Address
from swarmd.ports.probe import Answer, Question
from swarmd.probing import Prober
from tests.benchmarks.figure import Figure, seconds

ROUNDS = 9
PROBES = 2000
AT_ONCE = 250
SHARE_OF_BARE = 0.5

FLEET = 5000
INTERVAL = 30.0
PACE = 0.9 * rules_of(HealthConfig(), HealthCheck()).pace
"""Seconds from one probe of an instance to the next, in the mean: chance shortens each pause."""
SECONDS = 6.0
CORE_SHARE = 25.0
LATE = 2.0

HOST = "127.0.0.1"
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 38\r\n"
    b'ETag: W/"26-9X5Ucd/TEiq69mNrxnZ6mGeSG/U"\r\nVary: Accept-Encoding\r\n'
    b"Date: Sat, 21 Nov 2026 07:57:57 GMT\r\nConnection: close\r\n\r\n"
    b'{"status":"expired","lastHeartbeat":0}'
)
"""Of code-server 4.139.1, byte by byte."""


def serve() -> None:
    """In a process of its own: one connection after the other, until it is ended."""
    listener = socket.create_server((HOST, 0), backlog=4096)
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(4096)
            connection.sendall(ANSWER)


async def bare(port: int) -> None:
    """The yardstick: the leanest client of asyncio that still reads the status."""
    loop = asyncio.get_running_loop()

    async def some() -> None:
        for _ in range(PROBES // AT_ONCE):
            with socket.socket(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as link:
                await loop.sock_connect(link, (HOST, port))
                await loop.sock_sendall(link, REQUEST)
                assert (await loop.sock_recv(link, 65536))[9:12] == b"200"

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


def ours(prober: Prober, question: Question) -> None:
    """As many by the prober, asked all at once."""
    answers, done = itertools.count(1), threading.Event()

    def then(answer: Answer) -> None:
        assert answer.ok, answer
        if next(answers) == PROBES:
            done.set()

    for _ in range(PROBES):
        prober.ask(question, then)
    assert done.wait(60)


def against_bare(prober: Prober, question: Question) -> Figure:
    """Probes per second of both, in turns."""
    rates: dict[str, list[float]] = {"ours": [], "bare": []}
    port = question.address.port
    for _ in range(ROUNDS):
        rates["ours"].append(PROBES / seconds(lambda: ours(prober, question)))
        rates["bare"].append(PROBES / seconds(lambda: asyncio.run(bare(port))))
    mine, theirs = statistics.median(rates["ours"]), statistics.median(rates["bare"])
    return Figure(
        "probes per second, as a share of a bare asyncio client's",
        mine / theirs, "of it", SHARE_OF_BARE,
        f"{mine:,.0f}/s; the bare client {theirs:,.0f}/s", at_least=True,
    )  # fmt: skip


def fleet(prober: Prober, question: Question) -> Iterator[Figure]:
    """A large fleet's questions at their pace: what they cost, and how late the latest is."""
    count = int(FLEET / PACE * SECONDS)
    late: list[float] = []
    pause = threading.Event()
    begun, used = time.perf_counter(), time.process_time()
    for number in range(count):
        turn = begun + number * PACE / FLEET
        pause.wait(max(0.0, turn - time.perf_counter()))
        prober.ask(question, functools.partial(_answered, late, turn))
    while len(late) < count:
        pause.wait(0.01)
    share = (time.process_time() - used) / (time.perf_counter() - begun) * 100
    said = f"{FLEET:,} instances, each asked every {INTERVAL:g} s ({PACE:.1f} s in the mean)"
    yield Figure(f"share of a core for {said}", share, "%", CORE_SHARE)
    yield Figure(
        f"latest answer of {said}", max(late), "s", LATE,
        f"after its turn; the median {statistics.median(late) * 1000:.2f} ms",
    )  # fmt: skip


def _answered(late: list[float], turn: float, answer: Answer) -> None:
    assert answer.ok, answer
    late.append(time.perf_counter() - turn)


@contextlib.contextmanager
def apart(pid: int) -> Iterator[None]:
    """A core for this process, another one for that, where there are two."""
    before = os.sched_getaffinity(0)
    one, *others = sorted(before)
    if others:
        os.sched_setaffinity(0, {one})
        os.sched_setaffinity(pid, {others[0]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def figures() -> Iterator[Figure]:
    """All of them."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, __file__, "serve"]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    assert server.stdout is not None
    prober = Prober(AT_ONCE)
    try:
        address = Address(host=HOST, port=int(server.stdout.readline()))
        question = Question(address=address, path="/healthz", any_below=201, timeout=30.0)
        with apart(server.pid):
            yield against_bare(prober, question)
            yield from fleet(prober, question)
    finally:
        prober.close()
        server.kill()
        server.communicate()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve()
    for figure in figures():
        print(figure)
