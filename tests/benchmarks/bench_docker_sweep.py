"""One look at everything on an engine, against the list call that it consists of."""

from __future__ import annotations

import contextlib
import statistics
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

from swarmd.providers.docker.sdk import EngineConnection
from tests.benchmarks.docker_bed import PROVIDER, Bed, Ports, api_client, bed
from tests.benchmarks.figure import Figure, seconds

COUNT = 200
RUNNING = 5
ROUNDS = 31
SLOWER = 1.5


def figures() -> Iterator[Figure]:
    """The sweep."""
    with bed() as both:
        fill(both)
        with counted() as asked:
            found = both.provider.list()
        assert len(found) == COUNT, len(found)
        yield Figure(
            f"docker: calls of one sweep over {COUNT} containers", len(asked), "", 1, "".join(asked)
        )
        ours, theirs = in_turns(both)
    yield Figure(
        f"docker: one sweep over {COUNT} containers", ours * 1e3, "ms", SLOWER * theirs * 1e3,
        f"the bare SDK's list call alone: {theirs * 1e3:.1f} ms; ratio {ours / theirs:.2f}",
    )  # fmt: skip


def fill(both: Bed) -> None:
    """Have so many containers: a few run, the others were made."""
    ports, own = Ports(), threading.local()
    for _ in range(RUNNING):
        both.run(both.instance())
    bare = [both.bare(both.instance(), ports.next()) for _ in range(COUNT - RUNNING)]
    with contextlib.ExitStack() as clients:

        def begin() -> None:
            own.api = clients.enter_context(contextlib.closing(api_client()))

        with ThreadPoolExecutor(4, initializer=begin) as pool:
            list(pool.map(lambda one: one.make(own.api), bare))


def in_turns(both: Bed) -> tuple[float, float]:
    """Medians of both, measured alternately."""
    filters = {"label": [f"{PROVIDER}={both.name}"]}
    with contextlib.closing(api_client()) as api:
        pairs = [
            (
                seconds(both.provider.list),
                seconds(lambda: api.containers(all=True, filters=filters)),
            )
            for _ in range(ROUNDS)
        ]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


@contextlib.contextmanager
def counted() -> Iterator[list[str]]:
    """What is asked of the engine meanwhile."""
    asked: list[str] = []
    really = EngineConnection.request

    def request(
        connection: EngineConnection, method: str, url: str, *args: Any, **more: Any
    ) -> None:
        asked.append(f"{method} {url.partition('?')[0]}")
        really(connection, method, url, *args, **more)

    with mock.patch.object(EngineConnection, "request", request):
        yield asked
