"""What stands behind the socket, in memory: small, but with the promises of the ports.

``FakeDaemon`` is both ``Query`` and ``Commands``. Operations end by themselves at once; after
``hold()`` they wait until ``let_go()``. Everything that happens is an event in ``journal``.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from swarmd.core import naming, selection
from swarmd.errors import (
    Conflict,
    OperationNotFound,
    ProviderNotFound,
    ResourceLimitError,
    Unavailable,
    ValidationError,
)
from swarmd.messages import codec, replies, requests
from swarmd.messages.enums import (
    DaemonState,
    DesiredState,
    EventType,
    InstanceStatus,
    Isolation,
    OperationKind,
    OperationState,
    Origin,
)
from swarmd.messages.events import Event
from swarmd.messages.instance import Failure, Instance, InstanceConfig, InstanceStats, Reason
from swarmd.messages.operation import Caller, Operation
from swarmd.messages.provider import (
    Capabilities,
    CpuLimits,
    InstanceLimits,
    MemoryLimits,
    ProviderHealth,
    ProviderInfo,
)
from swarmd.ports import Page, Session, Upload

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
KINDS: dict[type[requests.Request], OperationKind] = {
    requests.CreateInstance: OperationKind.CREATE,
    requests.StartInstance: OperationKind.START,
    requests.StopInstance: OperationKind.STOP,
    requests.RestartInstance: OperationKind.RESTART,
    requests.UpdateInstance: OperationKind.UPDATE,
    requests.DeleteInstance: OperationKind.DELETE,
    requests.UndeleteInstance: OperationKind.UNDELETE,
    requests.ImportInstance: OperationKind.IMPORT,
}
CAPABILITIES = Capabilities(
    supports_live_resize=False,
    supports_snapshotting=False,
    supports_multi_region=False,
    max_resources_per_instance=InstanceLimits(cpu=CpuLimits(cores=2), memory=MemoryLimits(min=0)),
    isolation=Isolation.NONE,
    config_fields=("name",),
)


class BytesSession:
    """A session over pieces that are there already; input is what was written to it.

    Args:
        pieces: Output as (stream name, bytes).
        exit_code: What ``result`` gives; None for a log.
        endless: After the pieces ``read`` blocks until ``close``, as a followed log does.
        echo: What is written comes out again, until the input is closed, as ``cat`` does.
    """

    def __init__(
        self,
        pieces: Iterable[tuple[str, bytes]],
        exit_code: int | None = None,
        *,
        endless: bool = False,
        echo: bool = False,
    ) -> None:
        self._pieces = iter(pieces)
        self._exit_code = exit_code
        self._waits = endless or echo
        self._echo = echo
        self._more: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        self.written = b""
        self.reads = 0
        self.bytes_read = 0
        self.closed = threading.Event()
        self.input_closed = threading.Event()

    def read(self) -> tuple[str, bytes] | None:
        if self.closed.is_set():
            return None
        self.reads += 1
        piece = next(self._pieces, None)
        if piece is None and self._waits:
            piece = self._more.get()
        self.bytes_read += len(piece[1]) if piece else 0
        return piece

    def write(self, data: bytes) -> None:
        self.written += data
        if self._echo:
            self._more.put(("stdout", data))

    def close_input(self) -> None:
        self.input_closed.set()
        if self._echo:
            self._more.put(None)

    def result(self) -> int | None:
        return self._exit_code

    def close(self) -> None:
        self.closed.set()
        self._more.put(None)


class DeafSession(BytesSession):
    """A command that never reads its input: ``write`` blocks until ``close``."""

    def __init__(self) -> None:
        super().__init__([], endless=True)
        self.writing = threading.Event()

    def write(self, data: bytes) -> None:
        self.writing.set()
        self.closed.wait()


class MemoryUpload:
    """An upload that is kept in memory.

    While ``full`` a write fails; if ``slow`` it waits until ``go`` is set.
    """

    def __init__(self, name: str, finished: dict[str, bytes]) -> None:
        self.full = False
        self.slow = False
        self.go = threading.Event()
        self.writing = threading.Event()
        self.aborted_while_writing = False
        self._name = name
        self._finished = finished
        self._data = b""
        self.aborted = threading.Event()

    def write(self, data: bytes) -> int:
        if self.full:
            raise ResourceLimitError("no space left")
        self.writing.set()
        if self.slow:
            self.go.wait(10)
        self._data += data
        self.writing.clear()
        return len(self._data)

    def finish(self) -> str:
        self._finished[self._name] = self._data
        return self._name

    def abort(self) -> None:
        self.aborted_while_writing = self.writing.is_set()
        self.aborted.set()


class FakeDaemon:
    """``Query`` and ``Commands`` over dicts. Use it on one loop, or from tests' threads to look."""

    def __init__(self) -> None:
        self.by_id: dict[str, Instance] = {}
        self.ops: dict[str, Operation] = {}
        self.keys: dict[str, tuple[str, bytes]] = {}
        self.journal_id = "01journal"
        self.journal: list[Event] = []
        self.kept_from = 1
        self.passwords: dict[str, str] = {}
        self.uploads: dict[str, bytes] = {}
        self.open_uploads: list[MemoryUpload] = []
        self.sessions: list[BytesSession] = []
        self.make_session: Callable[[requests.Request], BytesSession] = self._default_session
        self.fail_next: Failure | None = None
        self.callers: list[Caller] = []
        self.shut_down = threading.Event()
        self._go: asyncio.Event | None = None
        self._held = False
        self._ended: dict[str, asyncio.Event] = {}
        self._subscribers: list[asyncio.Queue[Event]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._counter = 0
        self._providers = {
            "local": ProviderInfo(
                name="local",
                type="local",
                enabled=True,
                cordoned=False,
                priority=0.0,
                registered=False,
                instances=0,
                health=ProviderHealth(ok=True),
                capabilities=CAPABILITIES,
            )
        }

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

    # --- Query -------------------------------------------------------------------------------

    def instance(self, caller: Caller, ref: str) -> Instance:
        return naming.resolve(
            ref,
            caller=caller.name,
            by_id=self.by_id,
            by_name={(i.owner, i.name): i.id for i in self.by_id.values()},
        )

    def instances(self, caller: Caller, request: requests.Request) -> Page:
        assert isinstance(request, requests.ListInstances)
        found = selection.page(selection.Index.build(self.by_id.values()), request)
        return Page(items=found.items, next_cursor=found.next_cursor, total=found.total)

    def operation(self, caller: Caller, ref: str) -> Operation:
        fits = [op for op in self.ops.values() if op.id.startswith(ref)]
        if len(fits) != 1:
            raise OperationNotFound(f"there is no operation {ref!r}", field="id")
        return fits[0]

    def operations(self, caller: Caller, request: requests.Request) -> tuple[Operation, ...]:
        assert isinstance(request, requests.ListOperations)
        fits = [
            op
            for op in reversed(self.ops.values())
            if (not request.state or op.state in request.state)
            and (not request.kind or op.kind in request.kind)
            and (request.target is None or request.target in (op.target, op.target_ref))
        ]
        return tuple(fits[: request.limit])

    def providers(self, caller: Caller) -> tuple[ProviderInfo, ...]:
        return tuple(self._providers.values())

    def provider(self, caller: Caller, name: str) -> ProviderInfo:
        if name not in self._providers:
            raise ProviderNotFound(f"there is no provider {name!r}", field="name")
        return self._providers[name]

    def status(self, caller: Caller) -> replies.StatusReport:
        by_status: dict[InstanceStatus, int] = {}
        for instance in self.by_id.values():
            by_status[instance.status] = by_status.get(instance.status, 0) + 1
        return replies.StatusReport(
            state=DaemonState.READY,
            reasons=(),
            initialized=True,
            version="0.1.0",
            node="01node",
            pid=1,
            started_at=EPOCH,
            journal=self.journal_id,
            last_seq=len(self.journal),
            providers=tuple(
                replies.ProviderCount(
                    name=info.name,
                    type=info.type,
                    enabled=info.enabled,
                    cordoned=info.cordoned,
                    ok=info.health.ok,
                    instance_count=len(self.by_id),
                )
                for info in self._providers.values()
            ),
            instances=replies.InstanceCounts(
                total=len(self.by_id), by_status=by_status, by_provider={"local": len(self.by_id)}
            ),
            health=replies.HealthCounts(enabled=False, by_status={}),
            migrations=replies.MigrationCounts(enabled=False, by_status={}),
            operations_running=sum(not op.state.ended for op in self.ops.values()),
            strays=0,
            quarantined=0,
        )

    def condition(self) -> tuple[DaemonState, tuple[str, ...]]:
        return DaemonState.READY, ()

    def actors(self, caller: Caller) -> replies.ActorList:
        row = replies.ActorInfo(name="registry", state="running", mailbox=0, restarts=0)
        return replies.ActorList(items=(row,), dead_letters=0)

    def story(self, caller: Caller, ref: str) -> tuple[Reason, ...]:
        self.instance(caller, ref)
        return (Reason(at=EPOCH, what="created", why="asked for", by="ana"),)

    def history(self, caller: Caller, after_seq: int, limit: int) -> tuple[bool, tuple[Event, ...]]:
        kept = [e for e in self.journal if e.seq >= self.kept_from and e.seq > after_seq]
        return after_seq + 1 < self.kept_from, tuple(kept[:limit])

    def position(self) -> tuple[str, int]:
        return self.journal_id, len(self.journal)

    def password(self, caller: Caller, ref: str) -> str | None:
        return self.passwords.get(self.instance(caller, ref).id)

    # --- Commands ----------------------------------------------------------------------------

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
