"""``ports.Commands``: one face of the bridge, the administrator and those who only look."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from swarmd.actors.administering import Administrator
from swarmd.actors.alerts import Alerts
from swarmd.actors.bridge import Bridge
from swarmd.actors.metering import Metering
from swarmd.actors.pools import Pool
from swarmd.actors.uploads import Spool, SpooledUpload
from swarmd.actors.watching import Watching
from swarmd.messages.alert import Alert
from swarmd.messages.events import Event
from swarmd.messages.health import InstanceHealth
from swarmd.messages.instance import InstanceStats
from swarmd.messages.operation import Caller, Operation
from swarmd.messages.replies import DoctorReport, ReloadReport
from swarmd.messages.requests import (
    AcknowledgeAlert,
    DaemonMetrics,
    ExecInstance,
    LogsInstance,
    Mutation,
    Request,
)
from swarmd.messages.telemetry import MetricsReport
from swarmd.ports import Session

_REPORT_SECONDS = 30.0
_FIGURES_AT_ONCE = 2


class ActorCommands:
    """See ``ports.Commands``.

    Args:
        reload: Reads the configuration again.
        shutdown: Begins the daemon's end.
    """

    def __init__(
        self,
        *,
        bridge: Bridge,
        administrator: Administrator,
        watching: Watching,
        metering: Metering,
        spool: Spool,
        alerts: Alerts,
        reload: Callable[[], Awaitable[ReloadReport]],
        shutdown: Callable[[], None],
    ) -> None:
        self._bridge = bridge
        self._administrator = administrator
        self._watching = watching
        self._metering = metering
        # Of their own: figures are asked for just when calls of providers hang.
        self._figures = Pool("figures", _FIGURES_AT_ONCE)
        self._spool = spool
        self._alerts = alerts
        self._reload = reload
        self._shutdown = shutdown

    async def submit(self, caller: Caller, request: Mutation) -> Operation:
        """Accept a request."""
        return await self._bridge.submit(caller, request)

    async def wait(self, operation_id: str, timeout: float | None) -> Operation:
        """Until the operation has ended, or the timeout (seconds)."""
        return await self._bridge.wait(operation_id, timeout)

    async def cancel(self, caller: Caller, operation_id: str) -> Operation:
        """Ask it to end."""
        return await self._bridge.cancel(caller, operation_id)

    async def administer(self, caller: Caller, request: Request) -> object:
        """Providers, and the strays that the doctor found."""
        return await self._administrator.administer(caller, request)

    async def acknowledge(self, caller: Caller, request: AcknowledgeAlert) -> Alert:
        """Take an alert over."""
        self._alerts.require()
        return await self._bridge.acknowledge(caller, request)

    async def doctor(self, caller: Caller) -> DoctorReport:
        """Look at everything once."""
        return await self._watching.doctor()

    async def stats(self, caller: Caller, refs: tuple[str, ...]) -> tuple[InstanceStats, ...]:
        """What running instances use; all of them if none is named."""
        return await self._watching.stats(caller, refs)

    async def health(self, caller: Caller, ref: str) -> InstanceHealth:
        """Ask an instance now how it is."""
        return await self._watching.health(caller, ref)

    async def metrics(self, caller: Caller, request: DaemonMetrics) -> MetricsReport:
        """What was measured over time."""
        return await self._figures.run(partial(self._metering.report, request), _REPORT_SECONDS)

    async def metrics_text(self, accept: str) -> tuple[bytes, str]:
        """The figures of now for Prometheus, and the type of the text."""
        return await self._figures.run(partial(self._metering.text, accept), _REPORT_SECONDS)

    async def open_logs(self, caller: Caller, request: LogsInstance) -> Session:
        """A log to be read in a thread of the watchers' pool."""
        return await self._watching.open_logs(caller, request)

    async def open_exec(self, caller: Caller, request: ExecInstance) -> Session:
        """A command, likewise."""
        return await self._watching.open_exec(caller, request)

    async def open_export(self, caller: Caller, ref: str) -> Session:
        """A tar stream, likewise."""
        return await self._watching.open_export(caller, ref)

    async def open_upload(self, caller: Caller) -> SpooledUpload:
        """A place for an archive that the caller is about to send."""
        return await self._watching.short.run(self._spool.open)

    async def run_in_watchers(self, function: Callable[[], object]) -> object:
        """Run blocking work of a stream in the watchers' pool."""
        return await self._watching.streams.run(function)

    async def run_short(self, function: Callable[[], object]) -> object:
        """Run short blocking work (a read from disk) off the loop."""
        return await self._watching.short.run(function)

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
        """At the daemon's end."""
        self._watching.close()
        self._figures.close()
