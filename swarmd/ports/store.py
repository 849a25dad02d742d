"""What the actors drive: the state directory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from swarmd.messages.alert import AlertBook
from swarmd.messages.config import JournalConfig
from swarmd.messages.events import Event, TableRow
from swarmd.messages.health import InstanceHealth
from swarmd.messages.instance import Instance, Reason
from swarmd.messages.operation import Operation
from swarmd.messages.provider import ProviderRecord
from swarmd.messages.state import LoadedState
from swarmd.messages.telemetry import SwarmMetrics


@dataclass(frozen=True, slots=True)
class Batch:
    """One change of the state, written in this order: a prefix of it is always recoverable.

    ``operations``, ``instances``: records to write. ``drop_*``: ids whose files go.
    ``events`` are appended to the journal, ``reasons`` to the stories, after the records.
    ``providers`` is the whole new ``providers.json`` or None, ``alerts`` the whole new
    ``alerts.json``.
    """

    operations: tuple[Operation, ...] = ()
    instances: tuple[Instance, ...] = ()
    events: tuple[Event, ...] = ()
    reasons: tuple[tuple[str, Reason], ...] = ()
    drop_instances: tuple[str, ...] = ()
    drop_operations: tuple[str, ...] = ()
    providers: tuple[ProviderRecord, ...] | None = None
    alerts: AlertBook | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """A table of the past, and how it went on until the moment that was asked for.

    Args:
        journal: Whose numbers these are.
        seq: The last event that is in the table.
        at: When it was taken.
        rows: The table.
        events: Those that follow it, up to the moment; read as they are asked for.
        gap: The moment lies before this table, and there is no older one.
    """

    journal: str
    seq: int
    at: datetime
    rows: Sequence[TableRow]
    events: Iterable[Event]
    gap: bool


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

    def configure(
        self, *, journal: JournalConfig, operations_kept: int, story_length: int, metrics_files: int
    ) -> None:
        """Work by these settings from now on (the configuration was reloaded)."""

    def save_status(self, data: bytes) -> None:
        """Write ``swarm-state.json``, lazily."""

    def keep_health(self, healths: Sequence[InstanceHealth]) -> None:
        """Write the health of these, lazily: a crash loses at most the last seconds."""

    def health(self, instance_id: str) -> InstanceHealth | None:
        """The health of one instance as it was kept last. Reads a file."""

    def keep_metrics(self, sample: SwarmMetrics) -> None:
        """Write a sample, lazily: a crash loses at most the last seconds."""

    def metrics(self, since: datetime, until: datetime) -> Iterator[SwarmMetrics]:
        """The samples of this time that are kept, both ends included. Reads files."""

    def last_metrics(self) -> SwarmMetrics | None:
        """The newest sample on disk. Reads a file."""

    def story(self, instance_id: str) -> Sequence[Reason]:
        """The reasons of one instance, oldest first."""

    def history(self, after_seq: int, limit: int) -> tuple[bool, Sequence[Event]]:
        """Events with ``seq > after_seq`` and whether some before them are no longer kept."""

    def opening(self, seq: int | None, at: datetime | None) -> Opening:
        """The newest table before a moment (after event ``seq``, or a time, or the end)."""

    def snapshot_rows(self, rows: Callable[[], tuple[int, Iterable[TableRow]]]) -> None:
        """Tell how a new journal segment gets the table that opens it.

        ``rows`` answers with the table and the number of the last event that is in it.
        """

    def problems(self) -> Sequence[str]:
        """One line for each file in quarantine. Reads files: not on the loop."""

    def quarantined(self) -> int:
        """How many files are in quarantine, as far as the store has looked or put them there."""

    def close(self, deadline: float) -> None:
        """Write what is queued, at most until ``deadline`` (monotonic), and unlock."""
