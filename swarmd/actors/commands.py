"""``ports.Commands``: the bridge for operations, the fleet for everything that watches."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from swarmd.actors.base import Directory
from swarmd.actors.bridge import Bridge
from swarmd.actors.fleet import Fleet
from swarmd.actors.published import Published
from swarmd.actors.supervisor import Family
from swarmd.actors.uploads import Spool, SpooledUpload
from swarmd.core import views
from swarmd.core.doctor import Disk, Facts, examine
from swarmd.core.notes import event_of
from swarmd.core.providers import administer
from swarmd.core.strays import adopted
from swarmd.core.tables import Change, ProviderView, Tables
from swarmd.errors import Conflict, InternalError, ResourceLimitError, SwarmError
from swarmd.messages.enums import EventType, InstanceStatus
from swarmd.messages.events import Event
from swarmd.messages.instance import Instance, InstanceStats, Reason, Stray
from swarmd.messages.operation import Caller, Operation
from swarmd.messages.provider import Observed, ProviderHealth, ProviderRecord
from swarmd.messages.replies import DoctorReport, Done, ReloadReport
from swarmd.messages.requests import (
    AdoptStray,
    DiscardStray,
    ExecInstance,
    LogsInstance,
    Mutation,
    RegisterProvider,
    RemoveProvider,
    Request,
    UpdateProvider,
)
from swarmd.ports import Call, Clock, Provider, Session

_CALL_SECONDS = 60.0
_EXPORT_SECONDS = 6 * 3600.0
WATCHERS = 256


class ActorCommands:
    """See ``ports.Commands``.

    Args:
        types: The installed provider types.
        check_options: Raises ``ConfigError`` for options that a type does not take.
        places: What the doctor looks at: (what, directory).
        insecure: Whether public access without TLS is allowed, now.
        reload: Reads the configuration again.
        shutdown: Begins the daemon's end.
    """

    def __init__(
        self,
        *,
        bridge: Bridge,
        fleet: Fleet,
        published: Published,
        directory: Directory,
        family: Family,
        spool: Spool,
        clock: Clock,
        node: str,
        types: Sequence[str],
        check_options: Callable[[str, dict[str, Any]], None],
        places: Sequence[tuple[str, Path]],
        problems: Callable[[], Sequence[str]],
        insecure: Callable[[], bool],
        reload: Callable[[], Awaitable[ReloadReport]],
        shutdown: Callable[[], None],
    ) -> None:
        self._bridge = bridge
        self._fleet = fleet
        self._published = published
        self._directory = directory
        self._family = family
        self._spool = spool
        self._clock = clock
        self._node = node
        self._types = types
        self._check_options = check_options
        self._places = places
        self._problems = problems
        self._insecure = insecure
        self._reload = reload
        self._shutdown = shutdown
        self._watchers = ThreadPoolExecutor(WATCHERS, thread_name_prefix="swarmd-watch")

    # --- operations --------------------------------------------------------------------------

    async def submit(self, caller: Caller, request: Mutation) -> Operation:
        """Accept a request."""
        return await self._bridge.submit(caller, request)

    async def wait(self, operation_id: str, timeout: float | None) -> Operation:
        """Until the operation has ended, or the timeout (seconds)."""
        return await self._bridge.wait(operation_id, timeout)

    async def cancel(self, caller: Caller, operation_id: str) -> Operation:
        """Ask it to end."""
        return await self._bridge.cancel(caller, operation_id)

    # --- providers and strays ----------------------------------------------------------------

    async def administer(self, caller: Caller, request: Request) -> object:
        """Providers, and the strays that the doctor found."""
        match request:
            case AdoptStray():
                return await self._adopt(caller, request)
            case DiscardStray():
                return await self._discard(request)
            case _:
                return await self._change_provider(request)

    async def _change_provider(self, request: Request) -> object:
        if isinstance(request, RegisterProvider) and request.type in self._types:
            self._check_options(request.type, dict(request.options))

        def decide(tables: Tables) -> tuple[Change, str]:
            change, name = administer(tables, request, self._types)
            if isinstance(request, UpdateProvider) and change.providers is not None:
                record = next(each for each in change.providers if each.name == name)
                self._check_options(record.type, dict(record.options))
            return change, name

        name: str = await self._bridge.transact(decide)
        await self._follow(name, restart=isinstance(request, UpdateProvider))
        if isinstance(request, RemoveProvider):
            return Done()
        return views.one_provider(self._published.tables, name)

    async def _follow(self, name: str, *, restart: bool) -> None:
        """Have the running adapters follow what was written."""
        record = self._published.tables.providers.get(name)
        running = self._fleet.lanes_of(name) is not None
        wanted = record is not None and record.enabled
        if running and (restart or not wanted):
            await self._stop(name)
            running = False
        if record is not None and wanted and not running:
            await self._start(record)

    async def _start(self, record: ProviderRecord) -> None:
        try:
            self._fleet.start(record)
        except SwarmError as error:
            view = ProviderView(ProviderHealth(ok=False, message=error.message))
            await self._bridge.transact(lambda _: (Change(views={record.name: view}), None))
            raise

    async def _stop(self, name: str) -> None:
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()

        def then() -> None:
            loop.call_soon_threadsafe(stopped.set)

        self._fleet.stop(name, then)
        async with asyncio.timeout(_CALL_SECONDS):
            await stopped.wait()

    async def restart_provider(self, name: str) -> None:
        """After its configuration changed."""
        await self._follow(name, restart=True)

    def _stray(self, provider: str, stray_id: str) -> Stray:
        for stray in self._published.tables.strays:
            if stray.provider == provider and stray.id == stray_id:
                return stray
        raise Conflict(
            f"{stray_id} is no stray at provider {provider}",
            field="id",
            next_step="List the strays: swarmctl doctor.",
        )

    async def _adopt(self, caller: Caller, request: AdoptStray) -> Instance:
        views.one_provider(self._published.tables, request.provider)
        stray = self._stray(request.provider, request.id)
        provider = self._fleet.provider(request.provider)
        found = await self._blocking(lambda: provider.get(stray.id))
        observed = found if isinstance(found, Observed) else None
        password = self._bridge.new_password()
        in_trash = observed is not None and observed.status is InstanceStatus.DELETED
        owner, now = request.owner or stray.owner or caller.name, self._clock.now()

        def decide(tables: Tables) -> tuple[Change, Instance]:
            name = request.name or stray.name or stray.id
            instance = adopted(
                observed,
                provider=request.provider,
                provider_type=tables.providers[request.provider].type,
                node=self._node,
                name=name,
                owner=owner,
                password=password,
                taken=stray.id in tables.instances
                or (observed is not None and not in_trash and (owner, name) in tables.names),
                now=now,
            )
            left = tuple(each for each in tables.strays if each != stray)
            why = Reason(at=now, what="adopted", why=stray.reason, by=caller.name)
            change = Change(
                instances=(instance,),
                strays=left,
                events=(event_of(EventType.INSTANCE_CREATED, instance, adopted=True),),
                reasons=((instance.id, why),),
            )
            return change, instance

        return await self._bridge.transact(decide)  # type: ignore[no-any-return]

    async def _discard(self, request: DiscardStray) -> Done:
        views.one_provider(self._published.tables, request.provider)
        stray = self._stray(request.provider, request.id)
        provider = self._fleet.provider(request.provider)
        call = Call(deadline=time.monotonic() + _CALL_SECONDS, clock=time.monotonic)
        await self._blocking(lambda: provider.discard(stray.id, call))

        def decide(tables: Tables) -> tuple[Change, None]:
            return Change(strays=tuple(each for each in tables.strays if each != stray)), None

        await self._bridge.transact(decide)
        return Done()

    # --- looking -----------------------------------------------------------------------------

    async def doctor(self, caller: Caller) -> DoctorReport:
        """Look at everything once."""
        tables = self._published.tables
        disks = await self._blocking(lambda: [_disk(*place) for place in self._places])
        facts = Facts(
            providers=views.provider_infos(tables),
            actors=self._family.infos(self._directory),
            disks=disks,
            quarantined=tuple(self._problems()),
            strays=tables.strays,
            write_error=self._published.write_error,
            insecure=self._insecure(),
        )
        return examine(facts)

    async def stats(self, caller: Caller, refs: tuple[str, ...]) -> tuple[InstanceStats, ...]:
        """What running instances use; all of them if none is named."""
        tables = self._published.tables
        rows = (
            [views.find(tables, ref, caller.name) for ref in refs]
            if refs
            else list(tables.index.live.rows)
        )
        running = [row for row in rows if row.status is InstanceStatus.RUNNING]
        found: list[InstanceStats] = []
        for name in {row.provider for row in running}:
            provider = self._fleet.provider(name)
            here = [row for row in running if row.provider == name]
            found.extend(await self._blocking(partial(provider.stats, here)))
        return tuple(found)

    async def open_logs(self, caller: Caller, request: LogsInstance) -> Session:
        """A log to be read in a thread of the watchers' pool."""
        instance, provider = self._found(caller, request.id)
        return await self._session(lambda: provider.logs(instance, request))

    async def open_exec(self, caller: Caller, request: ExecInstance) -> Session:
        """A command, likewise."""
        instance, provider = self._found(caller, request.id)
        if instance.status is not InstanceStatus.RUNNING:
            raise Conflict(
                f"{instance.ref} is {instance.status}, not running",
                field="id",
                next_step=f"Start it first: swarmctl start {instance.name}.",
            )
        return await self._session(lambda: provider.exec(instance, request))

    async def open_export(self, caller: Caller, ref: str) -> Session:
        """A tar stream, likewise (stream name ``data``)."""
        instance, provider = self._found(caller, ref)
        cancelled = threading.Event()
        deadline = time.monotonic() + _EXPORT_SECONDS
        call = Call(deadline=deadline, clock=time.monotonic, cancelled=cancelled)
        return await self._session(
            lambda: ExportSession(provider.export(instance, call), cancelled)
        )

    async def open_upload(self, caller: Caller) -> SpooledUpload:
        """A place for an archive that the caller is about to send."""
        return await self._blocking(self._spool.open)  # type: ignore[no-any-return]

    def _found(self, caller: Caller, ref: str) -> tuple[Instance, Provider]:
        instance = views.find(self._published.tables, ref, caller.name)
        return instance, self._fleet.provider(instance.provider)

    async def _session(self, make: Callable[[], Session]) -> Session:
        return await self._blocking(make)  # type: ignore[no-any-return]

    async def run_in_watchers(self, function: Callable[[], object]) -> object:
        """Run blocking work of a stream in the watchers' pool."""
        return await self._blocking(function)

    async def _blocking(self, function: Callable[[], Any]) -> Any:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._watchers, _guarded, function)
        except RuntimeError as error:
            raise ResourceLimitError(
                "no thread can be started for this",
                next_step="Close some streams, or raise the limit on processes (ulimit -u).",
                details={"cause": str(error)},
            ) from error

    def subscribe(self, caller: Caller) -> AsyncIterator[Event]:
        """Every event published from now on."""
        return self._bridge.subscribe()

    async def reload(self, caller: Caller) -> ReloadReport:
        """Read the configuration again."""
        return await self._reload()

    async def shutdown(self, caller: Caller) -> None:
        """Begin to stop; instances keep running."""
        self._shutdown()

    def close(self) -> None:
        """At the daemon's end: no new work; what reads was told to end with its connection."""
        self._watchers.shutdown(wait=False, cancel_futures=True)


class ExportSession:
    """An archive as a ``ports.Session``: read until it ends."""

    def __init__(self, pieces: Iterator[bytes], cancelled: threading.Event) -> None:
        self._pieces = pieces
        self._cancelled = cancelled

    def read(self) -> tuple[str, bytes] | None:
        """The next piece; None at the end."""
        piece = next(self._pieces, None)
        return None if piece is None else ("data", piece)

    def write(self, data: bytes) -> None:
        """An archive takes no input."""
        raise Conflict("an export takes no input")

    def close_input(self) -> None:
        """An archive takes no input."""

    def result(self) -> int | None:
        """An archive has no exit code."""
        return None

    def close(self) -> None:
        """End it: the next piece is not made."""
        self._cancelled.set()


def _guarded(function: Callable[[], Any]) -> Any:
    """A provider may raise anything; what is no SwarmError is told as a fault of ours.

    ``StopIteration`` cannot be carried by a future, and a ``RuntimeError`` would be taken for
    the pool's own.
    """
    try:
        return function()
    except SwarmError:
        raise
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
        raise InternalError(f"a stream failed: {cause}", details={"cause": cause}) from error


def _disk(what: str, path: Path) -> Disk:
    usage = shutil.disk_usage(path)
    return Disk(what, str(path), usage.free, usage.total)
