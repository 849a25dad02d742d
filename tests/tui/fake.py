"""A daemon that answers from a table: what stands behind a snapshot of the app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from typing import Any

import msgspec

from swarmd.core.past import Moment, later, page_of
from swarmd.errors import DaemonUnreachable, InternalError, SwarmError
from swarmd.messages import codec
from swarmd.messages.alert import Alert
from swarmd.messages.enums import DaemonState
from swarmd.messages.events import Event
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Operation
from swarmd.messages.provider import ProviderInfo
from swarmd.messages.replies import (
    AlertList,
    EventPage,
    InstancePage,
    OperationList,
    PastTable,
    Pong,
    ProviderList,
    StatsList,
    StatusReport,
    StreamOpened,
    Version,
)
from swarmd.messages.requests import (
    DaemonPing,
    DaemonStatus,
    DaemonVersion,
    EventsAt,
    HistoryEvents,
    ListAlerts,
    ListInstances,
    ListOperations,
    ListProviders,
    Request,
    StatsInstance,
    SubscribeEvents,
)
from swarmd.messages.wire import PROTOCOL, Chunk
from tests.tui import scene

Answer = Callable[[Any], Any]


class FakeDaemon:
    """What the app's clients talk to; tests change it while the app runs.

    Args:
        instances: Those there are.
        providers: Likewise.
        operations: Likewise.
        status: What ``daemon.status`` answers; None: one that is ready, with what is counted.
    """

    def __init__(
        self,
        instances: Iterable[Instance] = (),
        providers: Iterable[ProviderInfo] = (),
        operations: Iterable[Operation] = (),
        status: StatusReport | None = None,
    ) -> None:
        self.instances = {each.id: each for each in instances}
        self.providers = {each.name: each for each in providers}
        self.operations = {each.id: each for each in operations}
        self.status = status
        self.events: list[Event] = []
        self.seq = 100
        self.journal = "journal-1"
        self.version = Version(version="1.0.0", protocol=PROTOCOL)
        self.asked: list[Request] = []
        self.clients: list[FakeClient] = []
        self.down: SwarmError | None = None
        self._goes = asyncio.Event()
        self._goes.set()
        self.answers: dict[type[Request], Answer] = {
            DaemonVersion: lambda _: self.version,
            DaemonPing: lambda _: Pong(ok=True, state=DaemonState.READY),
            DaemonStatus: lambda _: self.status or scene.status(self.instances.values()),
            ListProviders: lambda _: ProviderList(items=tuple(self.providers.values())),
            ListOperations: self._operations,
            ListInstances: self._instances,
            StatsInstance: self._stats,
            HistoryEvents: self._history,
            EventsAt: self._at,
            ListAlerts: self._alerts,
        }
        self.alerts: dict[str, Alert] = {}
        self.past = Moment(0, scene.ago(86400), {})
        self.streams: dict[
            type[Request], Callable[[Any], Iterable[Chunk] | AsyncIterator[Chunk]]
        ] = {}
        self.opened: list[FakeStream] = []

    def client(self) -> FakeClient:
        """A new connection, not yet open."""
        made = FakeClient(self)
        self.clients.append(made)
        return made

    def requests(self, kind: type[Request]) -> list[Any]:
        """What was asked of this kind, oldest first."""
        return [each for each in self.asked if type(each) is kind]

    def answer(self, request: Request) -> Any:
        """What is answered; a ``SwarmError`` in the table is raised."""
        self.asked.append(request)
        found = self.answers.get(type(request))
        if found is None:
            raise InternalError(f"the fake daemon knows no {type(request).__name__}")
        answer = found(request)
        if isinstance(answer, SwarmError):
            raise answer
        return answer

    def emit(self, **facts: Any) -> Event:
        """Something happens; every subscriber hears of it."""
        self.seq += 1
        event = Event(seq=self.seq, journal=self.journal, at=scene.NOW, **facts)
        self.events.append(event)
        for client in self.clients:
            client.hear(event)
        return event

    def put(self, instance: Instance, **facts: Any) -> None:
        """An instance is different now, and an event tells it."""
        self.instances[instance.id] = instance
        data = {"name": instance.name, "status": instance.status, "provider": instance.provider}
        self.emit(target=instance.id, ref=instance.ref, owner=instance.owner, data=data, **facts)

    def die(self, error: SwarmError | None = None) -> None:
        """Every connection breaks, and no new one is taken."""
        self.down = error or DaemonUnreachable(
            "no daemon answers on /run/swarmd/swarmd.sock: Connection refused",
            next_step="Start the daemon: swarmd (or make run). Another socket: --socket.",
        )
        for client in self.clients:
            client.hear(self.down)

    def live(self) -> None:
        """It takes connections again."""
        self.down = None

    def hang(self) -> None:
        """It takes connections, and answers nothing."""
        self._goes.clear()

    def go_on(self) -> None:
        """It answers again."""
        self._goes.set()

    async def answered(self, request: Request) -> Any:
        """What is answered, once it does."""
        await self._goes.wait()
        return self.answer(request)

    def begin_journal(self, name: str, seq: int) -> None:
        """Another journal, in which this was the last event."""
        self.journal, self.seq, self.events = name, seq, []

    def _instances(self, request: ListInstances) -> InstancePage:
        rows = sorted(self.instances.values(), key=lambda each: (each.owner, each.name))
        if request.id:
            rows = [row for row in rows if row.id in request.id]
        start = int(request.cursor or 0)
        some, rest = rows[start : start + request.limit], len(rows) > start + request.limit
        items: tuple[Any, ...] = tuple(some)
        if request.fields:
            plain = [codec.to_plain(row) for row in some]
            items = tuple({field: _get(row, field) for field in request.fields} for row in plain)
        cursor = str(start + request.limit) if rest else None
        return InstancePage(items=items, total=len(rows), next_cursor=cursor)

    def _history(self, request: HistoryEvents) -> EventPage:
        behind = [event for event in self.events if event.seq > request.since]
        return EventPage(
            items=tuple(behind[: request.limit]), journal=self.journal, last_seq=self.seq
        )

    def _at(self, request: EventsAt) -> PastTable:
        """As the daemon does it: from a table of the past on, ``past``."""
        seq, time = request.seq, request.time
        gone = [
            event
            for event in self.events
            if (seq is None or event.seq <= seq) and (time is None or event.at <= time)
        ]
        before = seq is not None and seq < self.past.seq
        moment = replace(later(self.past, gone), gap=self.past.gap or before)
        return page_of(moment, self.journal, request)

    def _alerts(self, request: ListAlerts) -> AlertList:
        some = tuple(each for each in self.alerts.values() if each.state in request.state)
        return AlertList(items=some[: request.limit], total=len(some))

    def _stats(self, request: StatsInstance) -> StatsList:
        assert request.measured, "a view asks no provider"
        rows = [self.instances[each] for each in request.id] or self.instances.values()
        return StatsList(items=tuple(filter(None, map(scene.stats, rows))))

    def _operations(self, request: ListOperations) -> OperationList:
        rows = sorted(self.operations.values(), key=lambda each: each.id, reverse=True)
        if request.id:
            rows = [row for row in rows if row.id in request.id]
        if request.target:
            rows = [row for row in rows if request.target in (row.target, row.target_ref)]
        return OperationList(items=tuple(rows[: request.limit]))


class FakeClient:
    """One connection to it: what of ``client.aio.AsyncClient`` the app uses."""

    path = "/run/swarmd/swarmd.sock"

    def __init__(self, daemon: FakeDaemon) -> None:
        self._daemon = daemon
        self._heard: asyncio.Queue[Event | SwarmError] = asyncio.Queue()

    async def connect(self) -> None:
        """Open it."""
        if self._daemon.down is not None:
            raise self._daemon.down

    async def close(self) -> None:
        """End it."""
        if self in self._daemon.clients:
            self._daemon.clients.remove(self)

    async def call_typed(self, request: Request, *, timeout: float | None = None) -> Any:
        """Ask."""
        if self._daemon.down is not None:
            raise self._daemon.down
        return await self._daemon.answered(request)

    async def stream(self, request: Request | str, params: object = None) -> FakeStream:
        """Open a stream."""
        assert isinstance(request, Request)
        self._daemon.asked.append(request)
        if isinstance(request, SubscribeEvents):
            return FakeStream(self._events(request))
        if self._daemon.down is not None:
            raise self._daemon.down
        chunks = self._daemon.streams[type(request)](request)
        opened = FakeStream(chunks if isinstance(chunks, AsyncIterator) else _all_of(chunks))
        self._daemon.opened.append(opened)
        return opened

    def hear(self, news: Event | SwarmError) -> None:
        """Something happened."""
        self._heard.put_nowait(news)

    async def _events(self, request: SubscribeEvents) -> AsyncIterator[Chunk]:
        if request.journal not in (None, self._daemon.journal):
            gap = {"journal": self._daemon.journal, "since": request.since, "first": None}
            yield _chunk({"gap": gap})
        for event in self._daemon.events:
            if request.since is not None and event.seq > request.since:
                yield _chunk(codec.to_plain(event))
        marker = {"journal": self._daemon.journal, "seq": self._daemon.seq}
        yield _chunk({"snapshot": marker})
        while True:
            news = await self._heard.get()
            if isinstance(news, SwarmError):
                raise news
            yield _chunk(codec.to_plain(news))


class FakeStream:
    """What a stream is to the app."""

    def __init__(self, chunks: AsyncIterator[Chunk]) -> None:
        self.id = StreamOpened(stream="s1").stream
        self.closed = False
        self.exit_code: int | None = None
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self._through()

    async def _through(self) -> AsyncIterator[Chunk]:
        async for chunk in self._chunks:
            self.exit_code = chunk.exit_code
            yield chunk

    async def close(self) -> None:
        """End it."""
        self.closed = True


async def _all_of(chunks: Iterable[Chunk]) -> AsyncIterator[Chunk]:
    for chunk in chunks:
        yield chunk


def _get(row: Any, path: str) -> Any:
    for part in path.split("."):
        row = (row or {}).get(part)
    return row


def _chunk(data: Any) -> Chunk:
    return Chunk(stream="s1", seq=0, data=msgspec.json.decode(msgspec.json.encode(data)))
