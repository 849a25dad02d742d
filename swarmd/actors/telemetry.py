"""The actor that takes a sample at every interval and tells of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swarmd.actors.base import ALERTING, REGISTRY, Context, SwarmActor, Tick
from swarmd.actors.collected import Collected
from swarmd.actors.registry import Transact
from swarmd.core.tables import Change, EventDraft, Tables
from swarmd.core.telemetry.collecting import facts_of
from swarmd.messages.enums import EventType
from swarmd.messages.telemetry import SwarmMetrics


class Telemetry(SwarmActor):
    """See the module's docstring. What it counts outlives it.

    Args:
        is_due: Whether it is time for a sample.
        take: Takes one and keeps it.
    """

    def __init__(
        self,
        context: Context,
        name: str,
        generation: int,
        *,
        is_due: Callable[[], bool],
        take: Callable[[], SwarmMetrics],
    ) -> None:
        super().__init__(context, name, generation)
        self._is_due = is_due
        self._take = take

    def handle(self, message: Any) -> None:
        """Deal with one message."""
        if isinstance(message, Tick) and self._is_due():
            self._tell(self._take())

    def on_stop(self) -> None:
        """The last of it: a daemon that ends in peace leaves nothing uncounted."""
        self._take()

    def _tell(self, metrics: SwarmMetrics) -> None:
        directory = self.context.directory
        if directory.get(ALERTING) is not None:
            directory.tell(ALERTING, Collected(metrics))
        event = EventDraft(EventType.METRICS_COLLECTED, data=facts_of(metrics))

        def decide(_tables: Tables) -> tuple[Change, None]:
            return Change(events=(event,)), None

        directory.tell(REGISTRY, Transact(decide))
