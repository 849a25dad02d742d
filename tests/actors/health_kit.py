"""A health monitor without threads: what it tells others is kept, or handed back to it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from swarmd.actors.asking import Asker
from swarmd.actors.base import CONTROLLER, REGISTRY, Context, Directory, Tick, health_actor
from swarmd.actors.heard import CheckNow
from swarmd.actors.idling import Idling
from swarmd.actors.lanes import Lanes
from swarmd.actors.monitor import HealthMonitor
from swarmd.actors.provider import Looked
from swarmd.actors.published import News, Published
from swarmd.actors.remedies import Remedies
from swarmd.actors.uses import Outlooks, RunningCommands
from swarmd.core.tables import Change, ProviderView, Tables
from swarmd.errors import SwarmError
from swarmd.messages.config import HealthConfig, InstancesConfig
from swarmd.messages.enums import DesiredState, InstanceStatus
from swarmd.messages.health import InstanceHealth
from swarmd.messages.instance import Instance, InstanceStats
from swarmd.messages.operation import Operation
from swarmd.messages.provider import Address, Observed, ProviderHealth
from swarmd.ports import Answer, Question
from tests.actors.kit import AT, LOCAL, instance

ME = health_actor("local")
HERE = Address(host="127.0.0.1", port=8100)
WELL = ProviderView(ProviderHealth(ok=True))
BLIND = ProviderView(ProviderHealth(ok=False, message="no such socket"))
YES = Answer(ok=True, seconds=0.01, message="200")
NO = Answer(ok=False, seconds=1.0, message="timed out")


def running(number: int = 1, **changes: Any) -> Instance:
    """One that is to run and does."""
    fields = {"desired": DesiredState.RUNNING, "status": InstanceStatus.RUNNING, "started_at": AT}
    return instance(number, **(fields | changes))


def shown(row: Instance, **changes: Any) -> Observed:
    """What its provider's list says of it."""
    fields: dict[str, Any] = {
        "id": row.id,
        "epoch": 1,
        "status": InstanceStatus.RUNNING,
        "node": "n1",
        "address": HERE,
    }
    return Observed(**(fields | changes))


class SetClock:
    """A wall clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at: datetime = AT + timedelta(hours=1)
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


class Told(Directory):
    """A directory that only keeps what is told."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[tuple[str, Any]] = []

    def tell(self, name: str, message: object) -> bool:
        self.messages.append((name, message))
        return True

    def take(self, name: str) -> list[Any]:
        """What this one was told since it was asked last."""
        mine = [message for to, message in self.messages if to == name]
        self.messages = [each for each in self.messages if each[0] != name]
        return mine


class ByHand:
    """Lanes whose tasks run when the test says so."""

    def __init__(self) -> None:
        self.tasks: list[tuple[str, Callable[[], None]]] = []
        self.error: SwarmError | None = None
        self.closed = False

    def submit(self, key: str, task: Callable[[], None], _cancelled: Any) -> None:
        if self.error is not None:
            raise self.error
        self.tasks.append((key, task))

    def busy(self, key: str) -> bool:
        return any(key == each for each, _ in self.tasks)

    def close(self, _seconds: float) -> bool:
        self.closed = True
        return True

    def run(self) -> None:
        tasks, self.tasks = self.tasks, []
        for _, task in tasks:
            task()


class FakeProbe:
    """Keeps questions until the test answers them."""

    def __init__(self) -> None:
        self.open: list[tuple[Question, Callable[[Answer], None]]] = []

    def ask(self, question: Question, then: Callable[[Answer], None]) -> None:
        self.open.append((question, then))

    def close(self) -> None:
        self.open.clear()

    def answer(self, answer: Answer) -> int:
        """Answer all that is open; how many that were."""
        waiting, self.open = self.open, []
        for _, then in waiting:
            then(answer)
        return len(waiting)


class FakeProvider:
    """A provider as the asker sees it."""

    name = "local"

    def __init__(self) -> None:
        self.tunnel: str | None = None
        self.said: str | Exception = "alive"
        self.figures: Sequence[InstanceStats] | SwarmError = ()
        self.sessions: list[FakeSession] = []
        self.session: FakeSession | SwarmError | None = None

    def capabilities(self) -> Any:
        return SimpleNamespace(tunnel=self.tunnel)

    def check(self, _row: Instance, call: Any) -> str:
        self.left = call.left() if hasattr(call, "left") else None
        if isinstance(self.said, Exception):
            raise self.said
        return self.said

    def stats(self, rows: Sequence[Instance]) -> Sequence[InstanceStats]:
        self.measured = [row.id for row in rows]
        if isinstance(self.figures, SwarmError):
            raise self.figures
        return self.figures

    def exec(self, _row: Instance, request: Any) -> Any:
        self.request = request
        if isinstance(self.session, SwarmError):
            raise self.session
        assert self.session is not None
        return self.session


class FakeSession:
    """A command's output and end."""

    def __init__(self, code: int, *pieces: bytes, error: SwarmError | None = None) -> None:
        self.code, self.pieces, self.error = code, list(pieces), error
        self.closed = False

    def read(self) -> tuple[str, bytes] | None:
        if self.error is not None:
            raise self.error
        return ("stdout", self.pieces.pop(0)) if self.pieces else None

    def result(self) -> int:
        return self.code

    def close(self) -> None:
        self.closed = True


class HealthStore:
    """What of the store a monitor uses."""

    def __init__(self) -> None:
        self.kept: dict[str, InstanceHealth] = {}
        self.read: list[str] = []

    def health(self, instance_id: str) -> InstanceHealth | None:
        self.read.append(instance_id)
        return self.kept.get(instance_id)

    def keep_health(self, healths: Sequence[InstanceHealth]) -> None:
        self.kept |= {each.id: each for each in healths}


class Bench:
    """A monitor and everything around it; nothing runs but what the test runs."""

    def __init__(
        self, *rows: Instance, operations: Sequence[Operation] = (), **health: Any
    ) -> None:
        self.settings = HealthConfig(**health)
        self.instances = InstancesConfig()
        self.commands, self.outlooks = RunningCommands(), Outlooks()
        self.directory, self.clock = Told(), SetClock()
        self.published = Published(Tables.build(rows, tuple(operations), (LOCAL,), 0), "j")
        self.provider, self.probe, self.lanes = FakeProvider(), FakeProbe(), ByHand()
        self.store = HealthStore()
        self.context = Context(self.directory, self.clock)
        self.asker = Asker(cast(Any, self.provider), self.probe, cast(Lanes, self.lanes))
        self.remedies, self.idling = self.new_remedies(), self.new_idling()
        self.monitor = self.new_monitor()
        self.changes: list[Change] = []

    def new_remedies(self) -> Remedies:
        numbers = iter(range(1, 1000))
        return Remedies(
            provider="local",
            directory=self.directory,
            published=self.published,
            clock=self.clock,
            settings=lambda: self.settings,
            lasts=lambda: 60.0,
            new_id=lambda: f"o{next(numbers)}",
        )

    def new_idling(self) -> Idling:
        numbers = iter(range(1, 1000))
        return Idling(
            directory=self.directory,
            published=self.published,
            clock=self.clock,
            settings=lambda: self.instances,
            lasts=lambda: 60.0,
            new_id=lambda: f"p{next(numbers)}",
            boot="b1",
            commands=self.commands,
            outlooks=self.outlooks,
        )

    def new_monitor(self) -> HealthMonitor:
        """Built and not started: the test calls its handler."""
        return HealthMonitor(
            self.context,
            ME,
            1,
            provider="local",
            published=self.published,
            asker=self.asker,
            remedies=self.remedies,
            idling=self.idling,
            store=cast(Any, self.store),
            settings=lambda: self.settings,
        )

    # --- the world around it -----------------------------------------------------------------

    def change(self, *rows: Instance, **parts: Any) -> None:
        """Publish these records."""
        tables = self.published.tables.apply(Change(instances=rows, **parts))
        self.published.publish(News(tables, (), ()))

    def row(self, number: int = 1) -> Instance:
        return self.published.tables.instances[f"i{number}"]

    def settle(self, *messages: object) -> None:
        """Hand these over; then run lanes and hand on what it told itself, until it is quiet."""
        waiting: list[Any] = [*messages, *self.directory.take(ME)]
        while waiting or self.lanes.tasks:
            for message in waiting:
                self.monitor.handle(message)
            self.lanes.run()
            waiting = self.directory.take(ME)
            self.write()

    def write(self) -> None:
        """Carry out what the registry was told, as it does."""
        for message in self.directory.take(REGISTRY):
            change, _ = message.decide(self.published.tables)
            self.changes.append(change)
            self.published.publish(News(self.published.tables.apply(change), (), ()))

    def wishes(self) -> list[Any]:
        """What the controller was asked for since this was asked last."""
        return self.directory.take(CONTROLLER)

    @property
    def story(self) -> list[str]:
        return [reason.what for change in self.changes for _, reason in change.reasons]


# --- what happens to it --------------------------------------------------------------------------


def look(bench: Bench, *rows: Instance, ok: bool = True, **changes: Any) -> None:
    """A sweep of the provider shows these."""
    observed = tuple(shown(row, **changes) for row in rows) if ok else None
    bench.settle(Looked("local", time.monotonic(), observed, WELL if ok else BLIND))


def later(bench: Bench, seconds: float = 1000.0) -> None:
    """The next tick is so far away."""
    bench.at = getattr(bench, "at", time.monotonic()) + seconds  # type: ignore[attr-defined]
    bench.settle(Tick(bench.at))  # type: ignore[attr-defined]


def ask(bench: Bench, answer: Answer) -> int:
    """Its time comes, and this is the answer; how many were asked."""
    later(bench)
    asked = bench.probe.answer(answer)
    bench.settle()
    return asked


def watched(*rows: Instance, **health: Any) -> Bench:
    """One whose instances were seen, and answered once."""
    bench = Bench(*(rows or (running(),)), **health)
    look(bench, *bench.published.tables.instances.values())
    if not bench.probe.open:
        later(bench)
    bench.probe.answer(YES)
    bench.settle()
    return bench


def found(bench: Bench, number: int = 1) -> InstanceHealth:
    """What is answered to who asks now."""
    told: list[InstanceHealth] = []
    bench.settle(CheckNow(f"i{number}", told.append))
    bench.probe.answer(YES)
    bench.settle()
    [health] = told
    return health


def closing(lanes: Lanes) -> Any:
    """Close these at the end of a block."""
    return contextlib.closing(SimpleNamespace(close=lambda: lanes.close(5.0)))
