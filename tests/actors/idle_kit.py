"""A monitor whose instances stop once nobody uses them, and what a code-server answers it."""

from __future__ import annotations

import time
from typing import Any, cast

from swarmd.actors.base import Tick
from swarmd.actors.provider import Looked
from swarmd.core.tables import ProviderView
from swarmd.messages.activity import LastActivity
from swarmd.messages.config import InstancesConfig
from swarmd.messages.enums import OperationKind, Origin
from swarmd.messages.health import InstanceHealth
from swarmd.messages.instance import Instance
from swarmd.messages.provider import ProviderHealth
from swarmd.messages.units import Duration
from swarmd.ports import Answer
from tests.actors.health_kit import WELL, Bench, FakeSession, running, shown

BLIND = ProviderView(ProviderHealth(ok=False, message="no such socket"))


def told(status: str = "expired", last: int = 0) -> Answer:
    """What a code-server answers."""
    words = f'status 200: {{"status":"{status}","lastHeartbeat":{last}}}'
    return Answer(ok=True, seconds=0.01, message=words)


QUIET = told()


class Idle(Bench):
    """A bench whose instances stop after 100 s without use, unless told otherwise."""

    def __init__(
        self,
        *rows: Instance,
        kept: LastActivity | None = None,
        first: Answer | None = QUIET,
        **instances: Any,
    ) -> None:
        super().__init__(*(rows or (running(),)))
        limits = {"idle_timeout": Duration(100)} | instances
        self.instances = InstancesConfig(**limits)
        self.at = time.monotonic()
        if kept is not None:
            row = self.row()
            self.store.kept[row.id] = InstanceHealth(
                id=row.id, ref=row.ref, status=row.health, activity=kept
            )
        self.look()
        if first is not None:
            self.hear(first)

    def look(self, *, ok: bool = True) -> None:
        rows = self.published.tables.instances.values()
        observed = tuple(map(shown, rows)) if ok else None
        self.settle(Looked("local", time.monotonic(), observed, WELL if ok else BLIND))

    def hear(self, answer: Answer) -> int:
        """Whoever is being asked answers this; how many that were."""
        count = self.probe.answer(answer)
        self.settle()
        return count

    def tick(self, seconds: float = 0.0) -> None:
        """So many seconds pass; the schedule of probes thinks that its time has come."""
        self.clock.forward(seconds)
        self.at += 1000.0
        self.settle(Tick(self.at))

    def ask(self, answer: Answer = QUIET, seconds: float = 0.0) -> None:
        """Time passes, it is asked, and answers."""
        self.tick(seconds)
        self.hear(answer)

    def stops(self) -> list[Any]:
        """The stops that were wished for, each with the operation that it would become."""
        found = []
        for submit in self.wishes():
            [made] = submit.decide(self.published.tables).change.operations
            assert (made.kind, made.origin) == (OperationKind.STOP, Origin.POLICY)
            found.append(made)
        return found

    @property
    def next(self) -> tuple[str | None, float | None]:
        """The next step as it is shown, and in how many seconds."""
        idle = self.outlooks.get("i1")
        assert idle is not None
        left = None if idle.next_at is None else (idle.next_at - self.clock.now()).total_seconds()
        return idle.next_step, left


def command(bench: Idle) -> Any:
    """A command is begun in it; its session."""
    return bench.commands.run(bench.row(), lambda: cast(Any, FakeSession(0)))
