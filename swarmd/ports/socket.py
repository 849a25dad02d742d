"""What the socket sees of the daemon: reads, and everything that changes or takes time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

from swarmd.messages.alert import Alert
from swarmd.messages.enums import DaemonState
from swarmd.messages.events import Event
from swarmd.messages.health import InstanceHealth
from swarmd.messages.instance import Instance, InstanceStats, Reason
from swarmd.messages.operation import Caller, Operation
from swarmd.messages.provider import ProviderInfo
from swarmd.messages.replies import (
    ActorList,
    AlertList,
    DoctorReport,
    PastTable,
    Placement,
    ReloadReport,
    StatusReport,
)
from swarmd.messages.requests import (
    AcknowledgeAlert,
    DaemonMetrics,
    EventsAt,
    ExecInstance,
    LogsInstance,
    Mutation,
    Request,
)
from swarmd.messages.telemetry import MetricsReport
from swarmd.ports.provider import Session


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, and the cursor of the next one."""

    items: tuple[Instance, ...]
    next_cursor: str | None
    total: int


class Upload(Protocol):
    """An archive on its way to the daemon: a file that is spooled until it is imported."""

    def write(self, data: bytes) -> int:
        """Append these bytes; the bytes taken so far. Blocks."""

    def finish(self) -> str:
        """All is here: the id that ``instance.import`` takes."""

    def abort(self) -> None:
        """Forget it. Idempotent; does nothing after ``finish``."""


class Query(Protocol):
    """Synchronous reads of the published snapshot: no actor is asked (DESIGN 4)."""

    def instance(self, caller: Caller, ref: str) -> Instance:
        """By id, ``owner/name``, own ``name`` or unique id prefix.

        Raises:
            InstanceNotFound: None of these.
            ValidationError: The prefix fits several.
        """

    def instances(self, caller: Caller, request: Request) -> Page:
        """A filtered page (``ListInstances``)."""

    def operation(self, caller: Caller, ref: str) -> Operation:
        """By id or unique id prefix. Raises ``OperationNotFound``."""

    def operations(self, caller: Caller, request: Request) -> tuple[Operation, ...]:
        """Newest first (``ListOperations``)."""

    def providers(self, caller: Caller) -> tuple[ProviderInfo, ...]:
        """All, by name."""

    def provider(self, caller: Caller, name: str) -> ProviderInfo:
        """One. Raises ``ProviderNotFound``."""

    def placement(self, caller: Caller, request: Request) -> Placement:
        """Where an instance would be made (``PlacementProvider``).

        Raises:
            SwarmError: Nowhere; as a create would be refused.
        """

    def alerts(self, caller: Caller, request: Request) -> AlertList:
        """Newest first (``ListAlerts``). Raises ``Unavailable`` if alerting is off."""

    def status(self, caller: Caller) -> StatusReport:
        """The daemon's state and counts (seed 000, section 5.1)."""

    def condition(self) -> tuple[DaemonState, tuple[str, ...]]:
        """The daemon's state and the reasons for it: cheap, it counts nothing."""

    def actors(self, caller: Caller) -> ActorList:
        """The daemon's actors, as they were last heard of."""

    def story(self, caller: Caller, ref: str) -> tuple[Reason, ...]:
        """Why this instance is as it is, oldest first. Reads a file: not on the loop."""

    def measured(self, caller: Caller, refs: tuple[str, ...]) -> tuple[InstanceStats, ...]:
        """What running instances used when they were measured last; all if none is named."""

    def history(self, caller: Caller, after_seq: int, limit: int) -> tuple[bool, tuple[Event, ...]]:
        """Events after ``after_seq``; True first if older ones were asked for but are gone.

        Reads files: not on the loop.
        """

    def past(self, caller: Caller, request: EventsAt) -> PastTable:
        """The table of instances as it was. Reads files: not on the loop."""

    def position(self) -> tuple[str, int]:
        """The journal's id and its last published sequence number."""

    def password(self, caller: Caller, ref: str) -> str | None:
        """The password in the clear (audited by its caller), None without authentication."""


class Commands(Protocol):
    """Everything that changes something or takes time. Awaited on the socket's loop."""

    async def submit(self, caller: Caller, request: Mutation) -> Operation:
        """Accept a request: durable when this returns. The operation may have ended already.

        Raises:
            SwarmError: Refused: nothing was changed.
        """

    async def wait(self, operation_id: str, timeout: float | None) -> Operation:
        """Until the operation has ended; at the timeout (seconds), as it is then."""

    async def cancel(self, caller: Caller, operation_id: str) -> Operation:
        """Ask it to end. Raises ``Conflict`` if it has."""

    async def administer(self, caller: Caller, request: Request) -> object:
        """The other changes: providers, doctor's adopt and discard; the method's reply."""

    async def acknowledge(self, caller: Caller, request: AcknowledgeAlert) -> Alert:
        """Take an alert over; one that is acknowledged already stays as it is.

        Raises:
            AlertNotFound: There is none.
            Conflict: It was resolved.
            Unavailable: Alerting is switched off.
        """

    async def doctor(self, caller: Caller) -> DoctorReport:
        """Look for strays, quarantined files, full disks, missing servers."""

    async def stats(self, caller: Caller, refs: tuple[str, ...]) -> tuple[InstanceStats, ...]:
        """What running instances use; all that the caller sees if none is named."""

    async def health(self, caller: Caller, ref: str) -> InstanceHealth:
        """Ask an instance now how it is, and tell what was found with its history.

        Raises:
            Unavailable: Health is switched off, or its provider is not driven.
            DeadlineExceeded: No answer in time.
        """

    async def metrics(self, caller: Caller, request: DaemonMetrics) -> MetricsReport:
        """What was measured over time, up to now.

        Raises:
            Unavailable: Telemetry is switched off.
            ValidationError: The time that is asked for.
        """

    async def open_logs(self, caller: Caller, request: LogsInstance) -> Session:
        """A log to be read in a thread of the watchers' pool."""

    async def open_exec(self, caller: Caller, request: ExecInstance) -> Session:
        """A command, likewise."""

    async def open_export(self, caller: Caller, ref: str) -> Session:
        """A tar stream, likewise (stream name ``data``)."""

    async def open_upload(self, caller: Caller) -> Upload:
        """A place for an archive that the caller is about to send."""

    async def run_in_watchers(self, function: Callable[[], object]) -> object:
        """Run blocking work of a stream in the watchers' pool."""

    async def run_short(self, function: Callable[[], object]) -> object:
        """Run short blocking work (a read from disk) off the loop."""

    def subscribe(self, caller: Caller) -> AsyncIterator[Event]:
        """Every event published from now on that the caller may see."""

    async def reload(self, caller: Caller) -> ReloadReport:
        """Read the configuration again (SIGHUP does the same)."""

    async def shutdown(self, caller: Caller) -> None:
        """Begin to stop; instances keep running."""
