"""What is read of one instance: asked for again when it may be different, and not more often."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from swarmd.errors import SwarmError
from swarmd.messages.health import InstanceHealth
from swarmd.messages.instance import Instance, InstanceStats, Reason
from swarmd.messages.operation import Operation
from swarmd.messages.requests import (
    GetInstance,
    HealthInstance,
    ListOperations,
    StatsInstance,
    WhyInstance,
)
from tui.link import DaemonLink

_PAUSE_SECONDS: Final = 0.4
_SECOND_LOOK: Final = 1.0
_SAMPLES: Final = 60
_OPERATIONS: Final = 100


class Followed:
    """See the module's docstring.

    Args:
        target: The instance's id.
        link: The connection.
        told: Called when something was read, or could not be.
    """

    def __init__(self, target: str, link: DaemonLink, told: Callable[[], None]) -> None:
        self.target = target
        self.record: Instance | None = None
        self.health: InstanceHealth | None = None
        self.story: tuple[Reason, ...] = ()
        self.samples: list[InstanceStats] = []
        self.operations: dict[str, Operation] = {}
        self.failures: dict[str, SwarmError] = {}
        self._link = link
        self._told = told
        self._asks: dict[str, Callable[[], Awaitable[None]]] = {
            "record": self._ask_record,
            "health": self._ask_health,
            "story": self._ask_story,
            "operations": self._ask_operations,
            "use": self._ask_use,
        }
        self._news = {name: asyncio.Event() for name in self._asks}

    @property
    def names(self) -> Iterable[str]:
        """What can be read."""
        return tuple(self._asks)

    def need(self, names: Iterable[str]) -> None:
        """These may be different."""
        for name in names:
            self._news[name].set()

    async def keep(self, name: str) -> None:
        """For as long as it is looked at: ask again whenever it is needed, then pause."""
        while True:
            await self._news[name].wait()
            self._news[name].clear()
            try:
                await self._asks[name]()
            except SwarmError as error:
                self.failures[name] = error
            else:
                self.failures.pop(name, None)
            self._told()
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _ask_record(self) -> None:
        self.record = await self._link.ask(GetInstance(id=self.target))

    async def _ask_health(self) -> None:
        self.health = await self._link.ask(HealthInstance(id=self.target))

    async def _ask_story(self) -> None:
        self.story = (await self._link.ask(WhyInstance(id=self.target))).items

    async def _ask_operations(self) -> None:
        found = await self._link.ask(ListOperations(target=self.target, limit=_OPERATIONS))
        self.operations = {each.id: each for each in found.items}

    async def _ask_use(self) -> None:
        """Measure; the first time twice, for how busy it is takes two measurements."""
        found = await self._link.ask(StatsInstance(id=(self.target,)))
        self.samples = [*self.samples, *found.items][-_SAMPLES:] if found.items else []
        if len(self.samples) == 1:
            self._told()
            await asyncio.sleep(_SECOND_LOOK)
            await self._ask_use()
