"""What the tests of actors share: a world of real actors with a store in memory."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pykka

from swarmd.actors.base import Context, Directory, Start, SwarmActor
from swarmd.actors.published import News, Published
from swarmd.actors.registry import Registry, Transact
from swarmd.core.tables import Change, EventDraft, Tables
from swarmd.errors import SwarmError
from swarmd.messages.alert import AlertBook
from swarmd.messages.enums import (
    DesiredState,
    EventType,
    InstanceStatus,
    OperationKind,
    OperationState,
    Origin,
)
from swarmd.messages.events import Event, TableRow
from swarmd.messages.instance import Instance, InstanceConfig, Reason
from swarmd.messages.operation import Caller, Operation
from swarmd.messages.provider import ProviderRecord
from swarmd.messages.state import LoadedState, Node
from swarmd.messages.telemetry import SwarmMetrics
from swarmd.ports import Batch, Opening

AT = datetime(2026, 1, 1, tzinfo=UTC)
ANA = Caller(name="ana", uid=1000, gid=1000, pid=1)
LOCAL = ProviderRecord(name="local", type="local")


class Clock:
    """The machine's."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def instance(number: int, **changes: Any) -> Instance:
    fields: dict[str, Any] = {
        "id": f"i{number}",
        "name": f"web{number}",
        "owner": "ana",
        "config": InstanceConfig(name=f"web{number}"),
        "provider": "local",
        "provider_type": "local",
        "desired": DesiredState.STOPPED,
        "status": InstanceStatus.STOPPED,
        "created_at": AT,
        "updated_at": AT,
        "node": "n1",
    }
    return Instance(**(fields | changes))


def operation(operation_id: str, target: Instance, **changes: Any) -> Operation:
    fields: dict[str, Any] = {
        "id": operation_id,
        "kind": OperationKind.START,
        "target": target.id,
        "target_ref": target.ref,
        "owner": target.owner,
        "state": OperationState.RUNNING,
        "origin": Origin.USER,
        "caller": ANA,
        "created_at": AT,
    }
    return Operation(**(fields | changes))


class MemoryStore:
    """A store whose disk is a dict, with a thread that writes; the test may hold or fill it."""

    def __init__(self) -> None:
        self.instances: dict[str, Instance] = {}
        self.operations: dict[str, Operation] = {}
        self.providers: tuple[ProviderRecord, ...] = ()
        self.alerts = AlertBook()
        self.events: list[Event] = []
        self.batches: list[Batch] = []
        self.samples: list[SwarmMetrics] = []
        self.flowing = threading.Event()
        self.flowing.set()
        self.error: SwarmError | None = None
        self._failed: SwarmError | None = None
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="swarmd-test-store", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            self.flowing.wait()
            work()

    def close(self, deadline: float = 0.0) -> None:
        self.flowing.set()
        self._queue.put(None)
        self._thread.join()

    def submit(self, batch: Batch, done: Callable[[Exception | None], None]) -> None:
        def write() -> None:
            self._failed = self._failed or self.error
            if self._failed is None:
                self.write(batch)
            done(self._failed)

        self._queue.put(write)

    def write(self, batch: Batch) -> None:
        """All of a batch; a test may put part of one there."""
        self.batches.append(batch)
        self.operations |= {each.id: each for each in batch.operations}
        self.instances |= {each.id: each for each in batch.instances}
        for each in batch.drop_instances:
            self.instances.pop(each, None)
        for each in batch.drop_operations:
            self.operations.pop(each, None)
        if batch.providers is not None:
            self.providers = batch.providers
        if batch.alerts is not None:
            self.alerts = batch.alerts
        self.events += batch.events

    def resume(self) -> None:
        self._queue.put(self._resumed)

    def _resumed(self) -> None:
        self._failed = None

    def reload(self) -> LoadedState:
        read = threading.Event()
        self._queue.put(read.set)
        assert read.wait(5)
        return self.state()

    def state(self) -> LoadedState:
        return LoadedState(
            node=Node(id="n1", created_at=AT),
            journal="j",
            last_seq=len(self.events),
            instances=tuple(self.instances.values()),
            operations=tuple(self.operations.values()),
            providers=self.providers,
            alerts=self.alerts,
        )

    def open(self, *, set_aside: bool = False) -> LoadedState:
        return self.state()

    def save_status(self, data: bytes) -> None:
        return None

    def keep_metrics(self, sample: SwarmMetrics) -> None:
        self.samples.append(sample)

    def metrics(self, since: datetime, until: datetime) -> Iterator[SwarmMetrics]:
        yield from (each for each in self.samples if since <= each.timestamp <= until)

    def last_metrics(self) -> SwarmMetrics | None:
        return self.samples[-1] if self.samples else None

    def story(self, instance_id: str) -> Sequence[Reason]:
        return [Reason(at=AT, what="made", why="asked", by="ana")]

    def history(self, after_seq: int, limit: int) -> tuple[bool, Sequence[Event]]:
        return False, [each for each in self.events if each.seq > after_seq][:limit]

    def opening(self, seq: int | None, at: datetime | None) -> Opening:
        return Opening(
            journal="journal", seq=0, at=AT, rows=(), events=tuple(self.events), gap=False
        )

    def snapshot_rows(self, rows: Callable[[], tuple[int, Iterable[TableRow]]]) -> None:
        return None

    def problems(self) -> Sequence[str]:
        return ()

    def quarantined(self) -> int:
        return 0


class Heard(SwarmActor):
    """An actor that keeps what it is told."""

    def __init__(self, context: Context, name: str, messages: list[Any]) -> None:
        super().__init__(context, name, 1)
        self.messages = messages

    def handle(self, message: Any) -> None:
        self.messages.append(message)


class World:
    """A registry, its store, and what it published."""

    def __init__(self, *rows: Instance) -> None:
        self.store = MemoryStore()
        self.directory = Directory()
        self.clock = Clock()
        self.context = Context(self.directory, self.clock, self._fault)
        self._strikes: list[tuple[str, type, BaseException]] = []
        self.store.instances = {each.id: each for each in rows}
        self.published = Published(Tables.build(rows, (), (LOCAL,), 0), "j")
        self.news: list[News] = []
        self.published.listen(self.news.append)

    def registry(self, generation: int = 1) -> pykka.ActorRef[Any]:
        ref = Registry.start(
            self.context,
            "registry",
            generation,
            store=self.store,
            published=self.published,
            providers_of=lambda saved: (LOCAL, *saved),
        )
        self.directory.put("registry", ref, Start())
        return ref

    def listen(self, name: str) -> list[Any]:
        """What an actor of this name is told from now on."""
        messages: list[Any] = []
        self.directory.put(name, Heard.start(self.context, name, messages), Start())
        return messages

    def strike(self, name: str, kind: type, error: BaseException | None = None) -> None:
        """Kill this actor at its next message of this type."""
        self._strikes.append((name, kind, error or RuntimeError("struck")))

    def _fault(self, name: str, message: object) -> None:
        for each in self._strikes:
            if each[0] == name and isinstance(message, each[1]):
                self._strikes.remove(each)
                raise each[2]

    def transact(self, decide: Callable[[Tables], tuple[Change, Any]]) -> Answer:
        answer = Answer()
        self.directory.tell("registry", Transact(decide, answer))
        return answer

    def write(self, *rows: Instance) -> Answer:
        """Write these, with an event."""
        event = EventDraft(EventType.INSTANCE_UPDATED)
        return self.transact(lambda _tables: (Change(instances=rows, events=(event,)), "done"))

    def close(self) -> None:
        """The supervisor first: it would start the others anew."""
        for ref in pykka.ActorRegistry.get_by_class_name("Supervisor"):
            ref.stop(block=True, timeout=5)
        pykka.ActorRegistry.stop_all(block=False)
        self.store.close()


class Answer:
    """What a decision's sender is told, once."""

    def __init__(self) -> None:
        self._told: queue.Queue[tuple[Any, SwarmError | None]] = queue.Queue()

    def __call__(self, value: Any, error: SwarmError | None) -> None:
        self._told.put((value, error))

    @property
    def told(self) -> bool:
        return not self._told.empty()

    def get(self, timeout: float = 5.0) -> Any:
        value, error = self._told.get(timeout=timeout)
        if error is not None:
            raise error
        return value
