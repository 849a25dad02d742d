"""``python -m tests.benchmarks.crowd SOCKET COUNT RATE``: many instances, of which things happen.

The real socket over instances in memory: the terminal app is measured, not a daemon. RATE events a
second tell of health that changes; it goes on until it is ended.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from swarmd.core import selection
from swarmd.messages import requests
from swarmd.messages.enums import EventType, HealthStatus
from swarmd.messages.operation import Caller
from swarmd.ports import Page
from tests.api.fakes import FakeDaemon
from tests.api.serving import make_server

_BURST_SECONDS = 0.05


class Crowd(FakeDaemon):
    """Instances that are there from the start and stay."""

    def __init__(self, count: int) -> None:
        super().__init__()
        since = datetime.now(UTC) - timedelta(hours=2)
        for number in range(count):
            self.add(
                f"n{number:05}", f"owner{number % 40}", started_at=since,
                health=HealthStatus.HEALTHY,
            )  # fmt: skip
        self._index = selection.Index.build(self.by_id.values())
        self._ids = list(self.by_id)

    def instances(self, caller: Caller, request: requests.Request) -> Page:
        """A page, as a daemon would find it."""
        assert isinstance(request, requests.ListInstances)
        found = selection.page(self._index, request)
        return Page(items=found.items, next_cursor=found.next_cursor, total=found.total)

    async def live(self, rate: float) -> None:
        """Have things happen, so many a second."""
        done, begun = 0, asyncio.get_running_loop().time()
        healths = (HealthStatus.DEGRADED, HealthStatus.HEALTHY)
        while True:
            await asyncio.sleep(_BURST_SECONDS)
            due = int((asyncio.get_running_loop().time() - begun) * rate)
            for number in range(done, due):
                target = self._ids[number * 7 % len(self._ids)]
                health = healths[number // len(self._ids) % 2]
                self.publish(EventType.INSTANCE_HEALTH_CHANGED, target, health=str(health))
            done = max(done, due)


async def main() -> None:
    """Serve until it is ended."""
    path, count, rate = sys.argv[1:4]
    crowd = Crowd(int(count))
    server = make_server(crowd, Path(path))
    await server.start()
    print("ready", flush=True)
    if float(rate):
        await crowd.live(float(rate))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
