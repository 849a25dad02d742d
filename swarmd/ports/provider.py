"""What the actors drive: a place where instances run, and what a call to it is given."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from swarmd.errors import DeadlineExceeded, OperationCancelled
from swarmd.messages.config import Config
from swarmd.messages.instance import Instance, InstanceStats
from swarmd.messages.provider import (
    Address,
    Capabilities,
    Observed,
    ProviderHealth,
    ProviderRecord,
)
from swarmd.messages.requests import ExecInstance, LogsInstance
from swarmd.messages.state import Node
from swarmd.ports.clock import Clock


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
        """Start it and wait until it answers. Already running: look, and say so (``unchanged``)."""

    def stop(self, instance: Instance, call: Call, *, force: bool = False) -> Observed:
        """End everything that runs in it. Not running: say so. ``force`` skips the grace."""

    def renew(self, instance: Instance, call: Call) -> None:
        """Let go of everything of a stopped one but its data: the next start makes it anew.

        Its address stays. Raises ``InstanceNotFound`` if there is no data to make it around.
        """

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
