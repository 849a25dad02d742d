"""``FileStore``: the state directory behind the port ``Store``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from swarmd.errors import StateError
from swarmd.messages import codec
from swarmd.messages.alert import AlertBook
from swarmd.messages.config import JournalConfig
from swarmd.messages.events import Event, TableRow
from swarmd.messages.health import InstanceHealth
from swarmd.messages.instance import Instance, Reason
from swarmd.messages.state import LoadedState, Node, ProvidersFile
from swarmd.messages.telemetry import SwarmMetrics
from swarmd.ports import Batch, Clock, Opening
from swarmd.store import load
from swarmd.store.commit import Committer, is_safe
from swarmd.store.files import Files, explained, place, remove, write_durably
from swarmd.store.healths import Healths
from swarmd.store.journal import Journal
from swarmd.store.layout import (
    Layout,
    Lock,
    prepare_folders,
    prepare_root,
    set_aside,
    sweep_temporaries,
)
from swarmd.store.metrics import MetricsFiles
from swarmd.store.quarantine import Quarantine
from swarmd.store.stories import Stories
from swarmd.store.writer import Writer

_node = codec.decoder(Node).decode
_providers = codec.decoder(ProvidersFile).decode
_alerts = codec.decoder(AlertBook).decode


class FileStore:
    """Atomic JSON files, a journal, and one writer with group commit (DESIGN 5).

    After a failed write, batches already under way may be on disk in part, as a prefix;
    ``reload`` tells what is there. A full disk is found before anything is changed.

    Args:
        state_dir: The state directory; made if it does not exist.
        clock: Time for new files, names of set-aside files, and the journal's ages.
        journal_config: Sizes and age of the journal.
        operations_kept: Ended operations kept, at least.
        story_length: Reasons kept per instance.
        metrics_files: Files of samples kept.
        new_id: Makes ids, for the node and the journal.
        files: The disk; tests put another one here.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        clock: Clock,
        journal_config: JournalConfig,
        operations_kept: int,
        story_length: int,
        metrics_files: int,
        new_id: Callable[[], str],
        files: Files | None = None,
    ) -> None:
        self._files = files or Files()
        self._layout = Layout(str(state_dir.absolute()))
        self._clock = clock
        self._operations_kept = operations_kept
        self._new_id = new_id
        self._lock = Lock(self._layout.root)
        self._quarantine = Quarantine(self._files, self._layout.root, self._stamp)
        self._journal = Journal(
            self._files,
            self._layout.folder("journal"),
            clock=clock,
            config=journal_config,
            new_id=new_id,
            quarantine=self._quarantine,
        )
        self._stories = Stories(self._files, self._layout, story_length)
        self._healths = Healths(self._files, self._layout)
        self._metrics = MetricsFiles(
            self._files, self._layout.metrics, self._quarantine, metrics_files
        )
        self._committer = Committer(
            self._files,
            self._layout,
            self._journal,
            self._stories,
            self._healths,
            operations_kept,
        )
        self._writer = Writer(self._committer, self._write_lazily, self._layout.root)
        self._opened = False
        self._status: bytes | None = None

    def open(self, *, set_aside: bool = False) -> LoadedState:
        """Lock the directory, read everything, quarantine what cannot be read.

        Args:
            set_aside: Move the records into a dated folder first and begin without them
                (``load_state_on_startup = false``).

        Raises:
            StateError: Locked by another daemon, of a newer version, not ours, not usable.
            ResourceLimitError: The disk is full or no descriptor is left.
        """
        if self._opened:
            raise StateError(
                f"the state directory {self._layout.root} is open already",
                next_step="Open it once per store.",
            )
        prepare_root(self._files, self._layout)
        self._lock.acquire()
        try:
            state = self._first_read(aside=set_aside)
        except BaseException:
            self._journal.close()
            self._lock.release()
            raise
        self._opened = True
        self._writer.start()
        return state

    def _first_read(self, *, aside: bool) -> LoadedState:
        with explained("prepare", self._layout.root):
            prepare_folders(self._files, self._layout)
            sweep_temporaries(self._files, self._layout)
            self._quarantine.look()
            if aside:
                set_aside(self._files, self._layout, self._stamp())
            self._journal.open()
            self._metrics.open()
            return self._read((*self._journal.quarantined, *self._metrics.quarantined))

    def _read(self, told: Sequence[str] = ()) -> LoadedState:
        layout, quarantine = self._layout, self._quarantine
        with load.without_collector():
            instances, bad_instances = load.read_instances(layout.folder("instances"), quarantine)
            operations, bad = load.read_operations(layout.folder("operations"), quarantine)
        providers, bad_providers = load.read_single(layout.providers, _providers, quarantine)
        alerts, bad_alerts = load.read_single(layout.alerts, _alerts, quarantine)
        node, bad_node = self._read_node(instances)
        swept = {one.id for one in load.oldest_ended(operations, self._operations_kept)}
        operations = [one for one in operations if one.id not in swept]
        self._committer.forget(sorted(swept))
        self._committer.knows(operations)
        return LoadedState(
            node=node,
            journal=self._journal.id,
            last_seq=self._journal.last_seq,
            instances=tuple(instances),
            operations=tuple(operations),
            providers=providers.providers if providers else (),
            quarantined=(*told, *bad_node, *bad_providers, *bad_alerts, *bad_instances, *bad),
            alerts=alerts or AlertBook(),
        )

    def _read_node(self, instances: Sequence[Instance]) -> tuple[Node, Sequence[str]]:
        """Who this daemon is; a lost identity is what most of the records say it was."""
        node, told = load.read_single(self._layout.node, _node, self._quarantine)
        if node is None:
            known = Counter(one.node for one in instances).most_common(1)
            name = known[0][0] if known else self._new_id()
            node = Node(id=name, created_at=self._clock.now())
            write_durably(self._files, self._layout.node, codec.encode_private(node))
        return node, told

    def reload(self) -> LoadedState:
        """Wait until everything submitted is written, then read it all again.

        Raises:
            SwarmError: The files cannot be read, or the store is closed.
        """
        found: list[LoadedState] = []
        self._writer.run(lambda: found.append(self._read_again()))
        return found[0]

    def _read_again(self) -> LoadedState:
        with explained("read", self._layout.root):
            return self._read()

    def submit(self, batch: Batch, done: Callable[[Exception | None], None]) -> None:
        """Queue a durable change; ``done`` tells how it went (see the port)."""
        self._writer.submit(batch, done)

    def resume(self) -> None:
        """Accept batches again after a failure."""
        self._writer.resume()

    def keep_health(self, healths: Sequence[InstanceHealth]) -> None:
        """Write the health of these, lazily; of several of one instance the last."""
        self._healths.give(one for one in healths if is_safe(one.id))

    def health(self, instance_id: str) -> InstanceHealth | None:
        """The health of one instance as it was kept last; None if it never was."""
        return self._healths.read(instance_id) if is_safe(instance_id) else None

    def keep_metrics(self, sample: SwarmMetrics) -> None:
        """Write a sample, lazily."""
        self._metrics.give(sample)

    def metrics(self, since: datetime, until: datetime) -> Iterator[SwarmMetrics]:
        """The samples of this time that are kept, one file after the other."""
        return self._metrics.read(since, until)

    def last_metrics(self) -> SwarmMetrics | None:
        """The newest sample on disk, if there is one."""
        return self._metrics.last()

    def _write_lazily(self) -> None:
        self._stories.sync()
        self._healths.sync()
        self._metrics.sync()

    def save_status(self, data: bytes) -> None:
        """Write ``swarm-state.json``, lazily; of several the last."""
        waiting, self._status = self._status, data
        if waiting is None:
            self._writer.later(self._write_status)

    def _write_status(self) -> None:
        data, self._status = self._status, None
        if data is not None:
            place(self._files, self._layout.status, data, durable=False)

    def configure(
        self, *, journal: JournalConfig, operations_kept: int, story_length: int, metrics_files: int
    ) -> None:
        """Work by these settings from now on."""
        self._operations_kept = operations_kept
        self._metrics.configure(metrics_files)
        self._journal.configure(journal)
        self._stories.configure(story_length)
        self._committer.configure(operations_kept)

    def story(self, instance_id: str) -> Sequence[Reason]:
        """The reasons of one instance, oldest first; none of an unknown one.

        Raises:
            SwarmError: The file cannot be read.
        """
        if not is_safe(instance_id):
            return ()
        with explained("read", self._layout.story(instance_id)):
            return self._stories.read(instance_id)

    def history(self, after_seq: int, limit: int) -> tuple[bool, Sequence[Event]]:
        """Events with ``seq > after_seq``; first whether some of them are no longer kept.

        Raises:
            SwarmError: The files cannot be read.
        """
        return self._journal.history(after_seq, limit)

    def opening(self, seq: int | None, at: datetime | None) -> Opening:
        """The newest table before a moment, and the events from there to it (see the port).

        Raises:
            SwarmError: The files cannot be read.
        """
        return self._journal.opening(seq, at)

    def snapshot_rows(self, rows: Callable[[], tuple[int, Iterable[TableRow]]]) -> None:
        """Tell how a new journal segment gets the table that opens it."""
        self._journal.snapshot_rows(rows)

    def problems(self) -> Sequence[str]:
        """One line for each file in quarantine, this start's and earlier ones'."""
        return self._quarantine.lines()

    def quarantined(self) -> int:
        """How many these are; no file is looked at."""
        return self._quarantine.count

    def close(self, deadline: float) -> None:
        """Write what is queued, at most until ``deadline`` (monotonic), and unlock.

        Raises:
            DeadlineExceeded: The disk did not take it in time. The directory stays locked
                until this process ends, for the writer may still be at it.
        """
        if not self._opened:
            return
        self._writer.close(deadline - self._clock.monotonic())
        self._opened = False
        self._journal.close()
        with explained("close", self._layout.root):
            remove(self._files, self._layout.ballast)
        self._lock.release()

    def _stamp(self) -> str:
        return self._clock.now().strftime("%Y%m%dt%H%M%S.%fz")
