"""From create to a server that answers, against the bare SDK doing the same calls.

Both sides ask the same body of the engine, put the same files in, and ask for the same answer.
"""

from __future__ import annotations

import contextlib
import statistics
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import docker

from tests.benchmarks.docker_bed import Bed, Ports, api_client, bed
from tests.benchmarks.figure import Figure, seconds

ROUNDS = 21
SLOWER = 1.10
COUNT = 40
PARALLEL = 8
TURNS = 5
LEAST_SHARE = 0.9


def figures() -> Iterator[Figure]:
    """One after the other, and many at once."""
    with bed() as both, contextlib.closing(api_client()) as api:
        ports = Ports()
        ours, theirs = in_turns(both, api, ports)
        yield Figure(
            "docker: create to a server that answers", ours * 1e3, "ms", SLOWER * theirs * 1e3,
            f"the bare SDK, the same calls and the same question: {theirs * 1e3:.0f} ms; "
            f"ratio {ours / theirs:.2f}; medians of {ROUNDS}",
        )  # fmt: skip
        fast, bare = many(both, ports)
        yield Figure(
            f"docker: {COUNT} creates at {PARALLEL} in parallel, as a share of the bare SDK's "
            "throughput", bare / fast, "", LEAST_SHARE,
            f"{COUNT / fast:.2f}/s against {COUNT / bare:.2f}/s; the best of {TURNS} each",
            at_least=True,
        )  # fmt: skip


def in_turns(both: Bed, api: docker.APIClient, ports: Ports) -> tuple[float, float]:
    """Medians of both, measured alternately."""
    both.run(both.instance())  # reads the image, once
    both.clear()
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(ROUNDS):
        bare = both.bare(both.instance(), ports.next())
        sides: list[tuple[list[float], Callable[[], None]]] = [
            (ours, partial(both.run, both.instance())),
            (theirs, partial(bare.run, api)),
        ]
        for times, run in sides if number % 2 else reversed(sides):
            times.append(seconds(run))
            both.clear()
    return statistics.median(ours), statistics.median(theirs)


def many(both: Bed, ports: Ports) -> tuple[float, float]:
    """Seconds for all of them, of both: ours, theirs, theirs, ours; the least disturbed turns."""
    taken: dict[bool, list[float]] = {True: [], False: []}
    for ours in [True, False, False, True] * (TURNS // 2) + [True, False]:
        taken[ours].append(at_once(both) if ours else bare_at_once(both, ports))
        both.clear()
    return min(taken[True]), min(taken[False])


def at_once(both: Bed) -> float:
    """Seconds for all of them through the provider."""
    instances = [both.instance() for _ in range(COUNT)]
    with ThreadPoolExecutor(PARALLEL) as pool:
        return seconds(lambda: list(pool.map(both.run, instances)))


def bare_at_once(both: Bed, ports: Ports) -> float:
    """Seconds for all of them with the SDK, each thread with a client of its own."""
    bare = [both.bare(both.instance(), ports.next()) for _ in range(COUNT)]
    own = threading.local()
    with contextlib.ExitStack() as clients:

        def begin() -> None:
            own.api = clients.enter_context(contextlib.closing(api_client()))

        with ThreadPoolExecutor(PARALLEL, initializer=begin) as pool:
            return seconds(lambda: list(pool.map(lambda one: one.run(own.api), bare)))
