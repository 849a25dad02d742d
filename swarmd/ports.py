"""The borders: what each room promises to the others, as Protocols.

``Provider`` and ``Store`` are what the actors drive; ``Query`` and ``Commands`` are what the
socket sees. Only ``daemon.py`` knows which classes stand behind them.
"""

from __future__ import annotations

import builtins
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from swarmd.errors import DeadlineExceeded, OperationCancelled
from swarmd.messages.config import Config, JournalConfig
from swarmd.messages.enums import DaemonState
from swarmd.messages.events import Event, TableRow
from swarmd.messages.instance import Instance, InstanceStats, Reason
from swarmd.messages.operation import Caller, Operation
from swarmd.messages.provider import (
    Address,
    Capabilities,
    Observed,
    ProviderHealth,
    ProviderInfo,
    ProviderRecord,
)
from swarmd.messages.replies import ActorList, DoctorReport, ReloadReport, StatusReport
from swarmd.messages.requests import ExecInstance, LogsInstance, Mutation, Request
from swarmd.messages.state import LoadedState, Node


class Clock(Protocol):
    """Time, as an argument."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back; for deadlines."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a provider is given with every call that may take long.

    Args:
        deadline: ``time.monotonic()`` value after which the call must have ended.
        progress: Tells how far it is: a message and a fraction 0..1 or None.
        cancelled: Set when a wish that takes precedence arrived.
    """

    deadline: float
    clock: Callable[[], float]
    progress: Callable[[str, float | None], None] = lambda message, fraction: None
    cancelled: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise ``OperationCancelled`` or ``DeadlineExceeded`` if the call must end now."""
        if self.cancelled.is_set():
            raise OperationCancelled("cancelled while it ran")
        if self.clock() >= self.deadline:
            raise DeadlineExceeded("the time for this step ran out")

    def wait(self, seconds: float) -> None:
        """Wait at most this long, less if cancelled or at the deadline; then ``check``."""
        self.cancelled.wait(max(0.0, min(seconds, self.deadline - self.clock())))
        self.check()

    @property
    def remaining(self) -> float:
        """Seconds until the deadline, at least 0."""
        return max(0.0, self.deadline - self.clock())


class Session(Protocol):
    """A command running in an instance, or a followed log: output, input, end."""

    def read(self) -> tuple[str, bytes] | None:
        """The next piece of output as (stream name, bytes); None at the end. Blocks."""

    def write(self, data: bytes) -> None:
        """Give bytes to standard input."""

    def close_input(self) -> None:
        """End standard input."""

    def result(self) -> int | None:
        """The exit code once ``read`` gave None; None for a log."""

    def close(self) -> None:
        """End it now, with everything it started. Wakes a blocked ``read``. Idempotent."""


@dataclass(frozen=True, slots=True)
class UpdateOutcome:
    """What an update did, and which fields wait for the next start."""

    observed: Observed
    restart_required: tuple[str, ...] = ()


class Provider(Protocol):
    """A place that runs instances (seed 000 section 2.1, DESIGN 2 and 3).

    Synchronous and thread-safe: calls for different instances run in parallel, calls for one
    instance come one after the other. It raises ``SwarmError`` subclasses only, with the
    underlying text in ``details["cause"]``. Every mutating call is idempotent by (instance
    id, epoch): asked again, it finds what is there and completes it. A call with an epoch
    older than the one found raises ``Conflict``. Calls end within ``call.deadline`` and, if
    ``call.cancelled`` is set, as soon as they can, leaving nothing half done that the next
    call would not complete or undo.
    """

    @property
    def name(self) -> str:
        """The configured name."""

    @property
    def type(self) -> str:
        """The type: local, docker, fly."""

    def initialize(self) -> None:
        """Get ready; probe the host. Raises ``InitializationError``."""

    def capabilities(self) -> Capabilities:
        """What the last probe found out."""

    def probe(self) -> ProviderHealth:
        """Whether the provider works right now. Never raises."""

    def validate(self, instance: Instance) -> None:
        """Refuse at once what cannot work here: image, paths, ports. No side effects."""

    def create(self, instance: Instance, call: Call) -> Observed:
        """Make everything but the running server. Afterwards ``status`` is created."""

    def start(self, instance: Instance, call: Call) -> Observed:
        """Start it and wait until it answers. Already running: look and return."""

    def stop(self, instance: Instance, call: Call, *, force: bool = False) -> Observed:
        """End everything that runs in it. Not running: return. ``force`` skips the grace."""

    def update(self, instance: Instance, call: Call) -> UpdateOutcome:
        """Apply ``instance.config``: now what can change live, the rest at the next start."""

    def trash(self, instance: Instance, call: Call) -> None:
        """Put a stopped instance's data aside so that restore can undo it; its address is kept."""

    def restore(self, instance: Instance, call: Call) -> Observed:
        """Undo ``trash``. Afterwards ``status`` is stopped."""

    def purge(self, instance: Instance, call: Call) -> None:
        """Remove everything, from the trash or from its place. Nothing there: return."""

    def get(self, instance_id: str) -> Observed | None:
        """What is there now, with the configuration it was made with; None if nothing is."""

    def list(self) -> Sequence[Observed]:
        """Everything with our marks, whatever the node, the trash included. One sweep."""

    def check(self, instance: Instance, call: Call) -> str:
        """Ask the server once whether it answers; its own words. Raises ``ProviderError``."""

    def address(self, instance_id: str) -> Address | None:
        """Where it answers while it runs."""

    def logs(self, instance: Instance, options: LogsInstance) -> Session:
        """Open its log."""

    def exec(self, instance: Instance, options: ExecInstance) -> Session:
        """Run a command in it."""

    def stats(self, instances: Sequence[Instance]) -> Sequence[InstanceStats]:
        """What these use right now, those that run."""

    def export(self, instance: Instance, call: Call) -> Iterator[bytes]:
        """Its data as an uncompressed tar stream, in bounded memory."""

    def import_data(self, instance: Instance, chunks: Iterable[bytes], call: Call) -> Observed:
        """Create it from such a stream; refuses hostile archives with ``ValidationError``."""

    def discard(self, stray_id: str, call: Call) -> None:
        """Remove a stray, with its data: a human said so."""

    def watch(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever a look would show something new, from any thread.

        Asked once, after ``initialize``; ends with ``dispose``. A provider that hears of
        nothing by itself does nothing: it is looked at regularly all the same.
        """

    def upkeep(self, now: datetime) -> None:
        """Regular small work: rotate logs, forget old port reservations. Bounded time."""

    def dispose(self) -> None:
        """Let go of connections and threads; instances keep running."""


class ProviderFactory(Protocol):
    """What an entry point of the group ``swarmd.providers`` names.

    ``check_options`` converts and checks the provider's own TOML table without side effects
    (``swarmd --check-config``): it raises ``ConfigError`` with ``field`` relative to the table.
    """

    type: str

    def check_options(self, options: Mapping[str, object]) -> None:
        """Raise ``ConfigError`` if these options are wrong."""

    def options_type(self) -> builtins.type[Struct]:
        """The Struct of these options: ``config.example.toml`` describes its fields."""

    def make(self, record: ProviderRecord, config: Config, node: Node, clock: Clock) -> Provider:
        """The provider, not yet initialized."""


# --- the store -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Batch:
    """One change of the state, written in this order: a prefix of it is always recoverable.

    ``operations``, ``instances``: records to write. ``drop_*``: ids whose files go.
    ``events`` are appended to the journal, ``reasons`` to the stories, after the records.
    ``providers`` is the whole new ``providers.json`` or None.
    """

    operations: tuple[Operation, ...] = ()
    instances: tuple[Instance, ...] = ()
    events: tuple[Event, ...] = ()
    reasons: tuple[tuple[str, Reason], ...] = ()
    drop_instances: tuple[str, ...] = ()
    drop_operations: tuple[str, ...] = ()
    providers: tuple[ProviderRecord, ...] | None = None


class Store(Protocol):
    """The state directory (DESIGN 5). Thread-safe."""

    def open(self, *, set_aside: bool = False) -> LoadedState:
        """Lock the directory, read everything, quarantine what cannot be read.

        With ``set_aside`` the records are moved into a dated folder first and none is loaded
        (``load_state_on_startup = false``).

        Raises:
            StateError: Locked by another daemon, of a newer version, not writable.
        """

    def reload(self) -> LoadedState:
        """Wait until everything submitted is written, then read it all again."""

    def submit(self, batch: Batch, done: Callable[[Exception | None], None]) -> None:
        """Queue a durable change.

        ``done`` is called on the writer's thread, in order of submission, once it is on disk
        (None) or could not be written (a ``SwarmError``, for instance ``ResourceLimitError``
        when the disk is full). After a failure every batch submitted before ``resume`` fails
        too, unwritten.
        """

    def resume(self) -> None:
        """Accept batches again after a failure."""

    def configure(self, *, journal: JournalConfig, operations_kept: int, story_length: int) -> None:
        """Work by these settings from now on (the configuration was reloaded)."""

    def save_status(self, data: bytes) -> None:
        """Write ``swarm-state.json``, lazily."""

    def story(self, instance_id: str) -> Sequence[Reason]:
        """The reasons of one instance, oldest first."""

    def history(self, after_seq: int, limit: int) -> tuple[bool, Sequence[Event]]:
        """Events with ``seq > after_seq`` and whether some before them are no longer kept."""

    def snapshot_rows(self, rows: Callable[[], Iterable[TableRow]]) -> None:
        """Tell how a new journal segment gets the table that opens it."""

    def problems(self) -> Sequence[str]:
        """One line for each file in quarantine."""

    def close(self, deadline: float) -> None:
        """Write what is queued, at most until ``deadline`` (monotonic), and unlock."""


# --- what faces the socket -------------------------------------------------------------------


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

    def status(self, caller: Caller) -> StatusReport:
        """The daemon's state and counts (seed 000, section 5.1)."""

    def condition(self) -> tuple[DaemonState, tuple[str, ...]]:
        """The daemon's state and the reasons for it: cheap, it counts nothing."""

    def actors(self, caller: Caller) -> ActorList:
        """The daemon's actors, as they were last heard of."""

    def story(self, caller: Caller, ref: str) -> tuple[Reason, ...]:
        """Why this instance is as it is, oldest first. Reads a file: not on the loop."""

    def history(self, caller: Caller, after_seq: int, limit: int) -> tuple[bool, tuple[Event, ...]]:
        """Events after ``after_seq``; True first if older ones were asked for but are gone.

        Reads files: not on the loop.
        """

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

    async def doctor(self, caller: Caller) -> DoctorReport:
        """Look for strays, quarantined files, full disks, missing servers."""

    async def stats(self, caller: Caller, refs: tuple[str, ...]) -> tuple[InstanceStats, ...]:
        """What running instances use; all that the caller sees if none is named."""

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
