"""Everything that looks without changing: the doctor, figures, logs, commands, archives."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from swarmd.actors.base import Directory, health_actor
from swarmd.actors.fleet import Fleet
from swarmd.actors.heard import CheckNow
from swarmd.actors.pools import Pool
from swarmd.actors.published import Published
from swarmd.actors.repeating import pause, repeated
from swarmd.actors.supervisor import Family
from swarmd.actors.uses import RunningCommands
from swarmd.core import views
from swarmd.core.doctor import Disk, Facts, examine
from swarmd.errors import Conflict, DeadlineExceeded, ProviderError, Unavailable
from swarmd.messages.alert import SinkInfo
from swarmd.messages.config import HealthConfig
from swarmd.messages.enums import InstanceStatus
from swarmd.messages.health import InstanceHealth
from swarmd.messages.instance import Instance, InstanceStats
from swarmd.messages.operation import Caller
from swarmd.messages.replies import DoctorReport
from swarmd.messages.requests import ExecInstance, LogsInstance
from swarmd.ports import Call, Provider, Session

MOST_STREAMS = 256
_SHORT_CALLS = 8
_CALL_SECONDS = 30.0
_EXPORT_SECONDS = 6 * 3600.0
_HEALTH_SECONDS = 10.0
"""Beyond the time of the probe itself: for the monitor, and for a provider's next look."""

_AGAIN_SECONDS = 3.0


class Watching:
    """Reads from providers. All ``async`` methods run on the socket's loop.

    Args:
        places: What the doctor looks at: (what, directory).
        problems: One line for each file in quarantine.
        insecure: Whether public access without TLS is allowed, now.
        health: ``[health]``, now.
        commands: Told of every command that is run.
        endpoint_error: Why figures cannot be fetched, if they cannot.
        sinks: How those fare that are told of alerts.
    """

    def __init__(
        self,
        *,
        fleet: Fleet,
        published: Published,
        directory: Directory,
        family: Family,
        places: Sequence[tuple[str, Path]],
        problems: Callable[[], Sequence[str]],
        insecure: Callable[[], bool],
        health: Callable[[], HealthConfig],
        commands: RunningCommands,
        endpoint_error: Callable[[], str | None],
        sinks: Callable[[], Sequence[SinkInfo]],
    ) -> None:
        self._fleet = fleet
        self._published = published
        self._directory = directory
        self._family = family
        self._places = places
        self._problems = problems
        self._insecure = insecure
        self._health = health
        self._commands = commands
        self._endpoint_error = endpoint_error
        self._sinks = sinks
        self.streams = Pool("stream", MOST_STREAMS)
        self.short = Pool("call", _SHORT_CALLS)

    async def doctor(self) -> DoctorReport:
        """Look at everything once."""
        tables = self._published.tables
        disks = await self.short.run(lambda: [disk_of(*at) for at in self._places], _CALL_SECONDS)
        facts = Facts(
            providers=views.provider_infos(tables),
            actors=self._family.infos(self._directory),
            disks=disks,
            quarantined=tuple(await self.short.run(self._problems, _CALL_SECONDS)),
            strays=tables.strays,
            write_error=self._published.write_error,
            insecure=self._insecure(),
            endpoint_error=self._endpoint_error(),
            sinks=self._sinks(),
        )
        return examine(facts)

    async def stats(self, caller: Caller, refs: tuple[str, ...]) -> tuple[InstanceStats, ...]:
        """What running instances use; all of them if none is named."""
        tables = self._published.tables
        driven = {member.record.name for member in self._fleet.members()}
        rows = (
            [views.find(tables, ref, caller.name) for ref in refs]
            if refs
            # Those of a disabled provider run unwatched: nobody can tell what they use.
            else [row for row in tables.index.live.rows if row.provider in driven]
        )
        running = [row for row in rows if row.status is InstanceStatus.RUNNING]
        by_provider = [
            [row for row in running if row.provider == name]
            for name in sorted({row.provider for row in running})
        ]
        told = await asyncio.gather(
            *(self._figures(here) for here in by_provider), return_exceptions=not refs
        )
        return tuple(chain.from_iterable(map(_figures_of, told)))

    async def _figures(self, here: Sequence[Instance]) -> Sequence[InstanceStats]:
        """What these use that are at one provider."""
        provider = self._fleet.reachable(here[0].provider)
        ask = partial(repeated, partial(provider.stats, here), pause)
        return await self.short.run(ask, _CALL_SECONDS)

    async def health(self, caller: Caller, ref: str) -> InstanceHealth:
        """Ask one now. Raises ``Unavailable``, ``InstanceNotFound``, ``DeadlineExceeded``."""
        settings = self._health()
        instance, _ = self._found(caller, ref)
        if not settings.enabled:
            raise Unavailable(
                "the health of instances is not watched",
                field="health.enabled",
                next_step="Set health.enabled = true in the configuration, then restart swarmd.",
            )
        loop = asyncio.get_running_loop()
        future: asyncio.Future[InstanceHealth] = loop.create_future()

        def told(found: InstanceHealth) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
                loop.call_soon_threadsafe(_set, future, found)

        check = CheckNow(instance.id, told)
        seconds = (instance.config.health.timeout or settings.timeout) + _HEALTH_SECONDS
        try:
            async with asyncio.timeout(seconds):
                while not future.done():
                    self._found(caller, instance.id)  # it may be gone by now
                    # Sent again it is the same: it may have been lost with an actor that died.
                    self._directory.tell(health_actor(instance.provider), check)
                    await asyncio.wait((future,), timeout=_AGAIN_SECONDS)
        except TimeoutError:
            raise DeadlineExceeded(
                f"the health of {instance.ref} is not known after {seconds:g} s",
                next_step="Look whether its provider answers: swarmctl providers.",
            ) from None
        return future.result()

    async def open_logs(self, caller: Caller, request: LogsInstance) -> Session:
        """A log to be read in a thread of the streams' pool."""
        instance, provider = self._reached(caller, request.id)
        return await self._session(lambda: provider.logs(instance, request))

    async def open_exec(self, caller: Caller, request: ExecInstance) -> Session:
        """A command, likewise."""
        instance, provider = self._reached(caller, request.id)
        if instance.status is not InstanceStatus.RUNNING:
            raise Conflict(
                f"{instance.ref} is {instance.status}, not running",
                field="id",
                next_step=f"Start it first: swarmctl start {instance.name}.",
            )
        begin = partial(provider.exec, instance, request)
        return await self._session(lambda: self._commands.run(instance, begin))

    async def open_export(self, caller: Caller, ref: str) -> Session:
        """A tar stream, likewise (stream name ``data``)."""
        instance, provider = self._reached(caller, ref)
        cancelled = threading.Event()
        deadline = time.monotonic() + _EXPORT_SECONDS
        call = Call(deadline=deadline, clock=time.monotonic, cancelled=cancelled)
        return await self._session(
            lambda: ExportSession(provider.export(instance, call), cancelled)
        )

    def _found(self, caller: Caller, ref: str) -> tuple[Instance, Provider]:
        instance = views.find(self._published.tables, ref, caller.name)
        return instance, self._fleet.provider(instance.provider)

    def _reached(self, caller: Caller, ref: str) -> tuple[Instance, Provider]:
        """The same, unless its provider is left alone. Raises ``CircuitOpen``."""
        instance, _ = self._found(caller, ref)
        return instance, self._fleet.reachable(instance.provider)

    async def _session(self, make: Callable[[], Session]) -> Session:
        self.streams.check_room("streams")
        return await self.short.run(make)

    def close(self) -> None:
        """At the daemon's end: no new work; what reads was told to end with its connection."""
        self.streams.close()
        self.short.close()


def _figures_of(told: Sequence[InstanceStats] | BaseException) -> Sequence[InstanceStats]:
    """None of a provider that did not say: the others' are shown. Raises all other errors."""
    if isinstance(told, ProviderError | Unavailable | DeadlineExceeded):
        return ()
    if isinstance(told, BaseException):
        raise told
    return told


def _set(future: asyncio.Future[InstanceHealth], found: InstanceHealth) -> None:
    if not future.done():
        future.set_result(found)


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


def disk_of(what: str, path: Path) -> Disk:
    """The room left where a directory lies; -1 if it is not there."""
    try:
        usage = shutil.disk_usage(path)
    except OSError as error:
        return Disk(what, str(path), -1, 0, error.strerror or str(error))
    return Disk(what, str(path), usage.free, usage.total)
