"""What stands behind the socket, in memory: small, but with the promises of the ports.

``FakeDaemon`` is both ``Query`` and ``Commands``. Operations end by themselves at once; after
``hold()`` they wait until ``let_go()``. Everything that happens is an event in ``journal``.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from swarmd.core.alerts.book import acknowledge
from swarmd.core.idle.lease import until_of
from swarmd.core.tables import Tables
from swarmd.core.telemetry.histogram import observe
from swarmd.core.telemetry.window import window_of
from swarmd.errors import (
    Conflict,
    Unavailable,
    ValidationError,
)
from swarmd.messages import codec, replies, requests, telemetry
from swarmd.messages.alert import Alert
from swarmd.messages.enums import (
    DesiredState,
    EventType,
    HealthStatus,
    InstanceStatus,
    MetricsFormat,
    OperationKind,
    OperationState,
    Origin,
)
from swarmd.messages.events import Event
from swarmd.messages.health import Check, CheckKind, HealthPoint, InstanceHealth
from swarmd.messages.instance import Failure, Instance, InstanceConfig, InstanceStats
from swarmd.messages.operation import Caller, Operation
from swarmd.messages.units import Duration
from swarmd.ports import Session, Upload
from tests.api.fake_query import EPOCH, FakeQuery
from tests.api.fake_streams import BytesSession, MemoryUpload

KINDS: dict[type[requests.Request], OperationKind] = {
    requests.CreateInstance: OperationKind.CREATE,
    requests.StartInstance: OperationKind.START,
    requests.StopInstance: OperationKind.STOP,
    requests.RestartInstance: OperationKind.RESTART,
    requests.RecoverInstance: OperationKind.RESTART,
    requests.UpdateInstance: OperationKind.UPDATE,
    requests.DeleteInstance: OperationKind.DELETE,
    requests.UndeleteInstance: OperationKind.UNDELETE,
    requests.ImportInstance: OperationKind.IMPORT,
}


class FakeDaemon(FakeQuery):
    """``Query`` and ``Commands`` over dicts. Use it on one loop, or from tests' threads to look."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[str, tuple[str, bytes]] = {}
        self.uploads: dict[str, bytes] = {}
        self.open_uploads: list[MemoryUpload] = []
        self.sessions: list[BytesSession] = []
        self.make_session: Callable[[requests.Request], BytesSession] = self._default_session
        self.fail_next: Failure | None = None
        self.shut_down = threading.Event()
        self._go: asyncio.Event | None = None
        self._held = False
        self._ended: dict[str, asyncio.Event] = {}
        self._subscribers: list[asyncio.Queue[Event]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._counter = 0

    # --- for tests ---------------------------------------------------------------------------

    def add(self, name: str, owner: str = "ana", **changes: Any) -> Instance:
        """Put a running instance there, without an operation."""
        instance = self._new(InstanceConfig(name=name), owner, start=True)
        instance = msgspec.structs.replace(
            instance, status=InstanceStatus.RUNNING, url="http://127.0.0.1:8100/", **changes
        )
        self.by_id[instance.id] = instance
        return instance

    def hold(self) -> None:
        """From now on operations stay running."""
        self._held = True

    def let_go(self) -> None:
        """Let held operations end. On the loop."""
        self._held = False
        if self._go is not None:
            self._go.set()
            self._go = None

    def publish(self, kind: EventType, target: str | None = None, **data: Any) -> Event:
        """Something happened. On the loop."""
        event = Event(
            seq=len(self.journal) + 1,
            journal=self.journal_id,
            at=self._now(),
            type=kind,
            target=target,
            data=data,
        )
        self.journal.append(event)
        for subscriber in self._subscribers:
            subscriber.put_nowait(event)
        return event

    @property
    def subscribers(self) -> int:
        """How many listen right now."""
        return len(self._subscribers)

    # --- Commands ----------------------------------------------------------------------------

    async def acknowledge(self, caller: Caller, request: requests.AcknowledgeAlert) -> Alert:
        tables = Tables(alerts=self.book)
        change, alert = acknowledge(
            tables, request.id, by=caller.name, note=request.note, now=self._now()
        )
        self.book = change.alerts or self.book
        return alert

    async def health(self, caller: Caller, ref: str) -> InstanceHealth:
        self.callers.append(caller)
        found = self.instance(caller, ref)
        point = HealthPoint(at=EPOCH, status=HealthStatus.HEALTHY, seconds=0.002, message="alive")
        check = Check(kind=CheckKind.RESPONDS, verdict=HealthStatus.HEALTHY, value=0.002, limit=1.0)
        return InstanceHealth(
            id=found.id,
            ref=found.ref,
            status=HealthStatus.HEALTHY,
            last_checked=EPOCH,
            since=EPOCH,
            details="it answers",
            checks=(check,),
            history=(point,),
        )

    async def metrics(
        self, caller: Caller, request: requests.DaemonMetrics
    ) -> telemetry.MetricsReport:
        """Ten minutes: one of them measured, the others a gap."""
        self.callers.append(caller)
        window = window_of(request, EPOCH + timedelta(seconds=599))
        report = telemetry.MetricsReport(
            since=window.since,
            until=window.until,
            step=Duration(window.step),
            interval=Duration(60),
        )
        if request.format is MetricsFormat.PROMETHEUS:
            return msgspec.structs.replace(report, text="swarmd_instances 1\n")
        measured, steps = self.point(len(self.by_id)), range(1, window.count)
        gaps = (telemetry.MetricsPoint(at=window.begin(step), samples=0) for step in steps)
        return msgspec.structs.replace(report, points=(measured, *gaps), total=measured)

    def point(self, count: int) -> telemetry.MetricsPoint:
        """A point with a few figures."""
        one = telemetry.Figure(min=0, mean=count / 2, max=count, last=count)
        latency = observe(observe(telemetry.Histogram(), 0.2), 3.0)
        created = telemetry.OperationMetrics(succeeded=1, failed=1, latency=latency)
        names = ("instances.total", "instances.status.running", "health.unhealthy")
        return telemetry.MetricsPoint(
            at=EPOCH,
            samples=1,
            seconds=60.0,
            figures=dict.fromkeys(names, one)
            | {"process.rss_bytes": telemetry.Figure(min=1, mean=2, max=40 << 20, last=3)},
            operations={OperationKind.CREATE: created},
        )

    async def submit(self, caller: Caller, request: requests.Mutation) -> Operation:
        self.callers.append(caller)
        key = request.idempotency_key
        digest = codec.encode(request)
        if key is not None and key in self.keys:
            operation_id, before = self.keys[key]
            if before != digest:
                raise Conflict("this key was used for something else", field="idempotency_key")
            return self.ops[operation_id]
        operation = self._accept(caller, request)
        if key is not None:
            self.keys[key] = (operation.id, digest)
        return operation

    async def wait(self, operation_id: str, timeout: float | None) -> Operation:
        try:
            await asyncio.wait_for(self._ended[operation_id].wait(), timeout)
        except TimeoutError:
            return self.ops[operation_id]
        return self.ops[operation_id]

    async def cancel(self, caller: Caller, operation_id: str) -> Operation:
        operation = self.operation(caller, operation_id)
        if operation.state.ended:
            raise Conflict("it has ended", details={"operation": operation_id})
        return self._end(operation, OperationState.CANCELLED)

    async def administer(self, caller: Caller, request: requests.Request) -> object:
        self.callers.append(caller)
        if isinstance(request, requests.CordonProvider | requests.EnableProvider):
            cordoned = isinstance(request, requests.CordonProvider)
            info = self.provider(caller, request.name)
            info = msgspec.structs.replace(info, cordoned=cordoned)
            self._providers[request.name] = info
            return info
        if isinstance(request, requests.RemoveProvider | requests.DiscardStray):
            return replies.Done()
        if isinstance(request, requests.AdoptStray):
            return self.add(request.name or "stray")
        if isinstance(request, requests.KeepInstance):
            found = self.instance(caller, request.id)
            until = until_of(request, datetime.now(UTC))
            kept = msgspec.structs.replace(found, keep_until=until)
            self.by_id[kept.id] = kept
            return kept
        raise Unavailable(f"{type(request).__name__} is not part of this fake")

    async def doctor(self, caller: Caller) -> replies.DoctorReport:
        finding = replies.Finding(level="ok", subject="disk", message="there is room")
        return replies.DoctorReport(findings=(finding,), strays=())

    async def stats(self, caller: Caller, refs: tuple[str, ...]) -> tuple[InstanceStats, ...]:
        chosen = [self.instance(caller, ref) for ref in refs] or list(self.by_id.values())
        return tuple(InstanceStats(id=i.id, memory_bytes=1 << 20, taken_at=EPOCH) for i in chosen)

    async def open_logs(self, caller: Caller, request: requests.LogsInstance) -> Session:
        self.instance(caller, request.id)
        return self._open(request)

    async def open_exec(self, caller: Caller, request: requests.ExecInstance) -> Session:
        self.instance(caller, request.id)
        return self._open(request)

    async def open_export(self, caller: Caller, ref: str) -> Session:
        self.instance(caller, ref)
        return self._open(requests.ExportInstance(id=ref))

    async def open_upload(self, caller: Caller) -> Upload:
        upload = MemoryUpload(self._id(), self.uploads)
        self.open_uploads.append(upload)
        return upload

    async def run_in_watchers(self, function: Callable[[], object]) -> object:
        return await asyncio.to_thread(function)

    async def run_short(self, function: Callable[[], object]) -> object:
        return await asyncio.to_thread(function)

    async def subscribe(self, caller: Caller) -> AsyncIterator[Event]:
        mine: asyncio.Queue[Event] = asyncio.Queue()
        self._subscribers.append(mine)
        try:
            while True:
                yield await mine.get()
        finally:
            self._subscribers.remove(mine)

    async def reload(self, caller: Caller) -> replies.ReloadReport:
        return replies.ReloadReport(applied=(), restart_required=())

    async def shutdown(self, caller: Caller) -> None:
        self.shut_down.set()

    # --- inside ------------------------------------------------------------------------------

    def _default_session(self, request: requests.Request) -> BytesSession:
        if isinstance(request, requests.LogsInstance):
            return BytesSession([("log", b"one\ntwo\n")], endless=request.follow)
        if isinstance(request, requests.ExecInstance):
            said = [] if request.stdin else [("stdout", b"hello\n")]
            return BytesSession(said, exit_code=0, echo=request.stdin)
        return BytesSession([("data", bytes(1024))])

    def _open(self, request: requests.Request) -> BytesSession:
        session = self.make_session(request)
        self.sessions.append(session)
        return session

    def _accept(self, caller: Caller, request: requests.Mutation) -> Operation:
        if isinstance(request, requests.CreateInstance | requests.ImportInstance):
            owner = request.owner or caller.name
            if any(i.ref == f"{owner}/{request.config.name}" for i in self.by_id.values()):
                raise ValidationError(f"{owner}/{request.config.name} exists", field="config.name")
            instance = self._new(request.config, owner, start=request.start)
        else:
            instance = self.instance(caller, getattr(request, "id"))  # noqa: B009
        operation = Operation(
            id=self._id(),
            kind=KINDS[type(request)],
            target=instance.id,
            target_ref=instance.ref,
            owner=instance.owner,
            state=OperationState.RUNNING,
            origin=Origin.USER,
            caller=caller,
            created_at=self._now(),
            arguments={"password": "never to be sent"},
            idempotency_key=request.idempotency_key,
        )
        self.ops[operation.id] = operation
        self._ended[operation.id] = asyncio.Event()
        self.publish(EventType.OPERATION_STARTED, instance.id, operation=operation.id)
        task = asyncio.get_running_loop().create_task(self._carry_out(operation, instance, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return operation

    async def _carry_out(
        self, operation: Operation, instance: Instance, request: requests.Mutation
    ) -> None:
        if self._held:
            self._go = self._go or asyncio.Event()
            await self._go.wait()
        operation = self.ops[operation.id]
        if operation.state.ended:
            return
        if self.fail_next is not None:
            failure, self.fail_next = self.fail_next, None
            self._end(operation, OperationState.FAILED, failure)
            return
        self.by_id[instance.id] = self._changed(instance, request)
        self._end(operation, OperationState.SUCCEEDED)

    def _changed(self, instance: Instance, request: requests.Mutation) -> Instance:
        now = self._now()
        match request:
            case requests.StopInstance() | requests.UndeleteInstance():
                desired, status = DesiredState.STOPPED, InstanceStatus.STOPPED
            case requests.DeleteInstance():
                desired, status = DesiredState.DELETED, InstanceStatus.DELETED
            case requests.CreateInstance(start=False):
                desired, status = DesiredState.STOPPED, InstanceStatus.CREATED
            case requests.UpdateInstance(changes=changes):
                plain = codec.to_plain(instance.config, reveal=True) | changes
                config = codec.convert(plain, InstanceConfig)
                return msgspec.structs.replace(
                    instance, config=config, revision=instance.revision + 1, updated_at=now
                )
            case _:
                desired, status = DesiredState.RUNNING, InstanceStatus.RUNNING
        return msgspec.structs.replace(instance, desired=desired, status=status, updated_at=now)

    def _end(
        self, operation: Operation, state: OperationState, error: Failure | None = None
    ) -> Operation:
        ended = msgspec.structs.replace(
            operation, state=state, error=error, ended_at=self._now(), reason=state.value
        )
        self.ops[operation.id] = ended
        self.publish(EventType.OPERATION_ENDED, operation.target, state=state.value)
        self._ended[operation.id].set()
        return ended

    def _new(self, config: InstanceConfig, owner: str, *, start: bool) -> Instance:
        now = self._now()
        return Instance(
            id=self._id(),
            name=config.name,
            owner=owner,
            config=config,
            provider="local",
            provider_type="local",
            desired=DesiredState.RUNNING if start else DesiredState.STOPPED,
            status=InstanceStatus.CREATING,
            created_at=now,
            updated_at=now,
            node="01node",
        )

    def _id(self) -> str:
        self._counter += 1
        return f"01{self._counter:024d}"

    def _now(self) -> datetime:
        return EPOCH + timedelta(seconds=self._counter)


class TickClock:
    """A clock that the tests' server is given."""

    seconds = 0.0

    def now(self) -> datetime:
        return EPOCH

    def monotonic(self) -> float:
        return self.seconds
