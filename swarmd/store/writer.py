"""The one thread that writes: it takes what is queued, writes it as groups, and reports."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from swarmd.errors import DeadlineExceeded, InternalError, SwarmError, Unavailable
from swarmd.ports import Batch
from swarmd.store.commit import Committer, Group
from swarmd.store.files import explain

log = logging.getLogger(__name__)
Done = Callable[[Exception | None], None]
_QUIET = 5.0


@dataclass(frozen=True, slots=True)
class _Write:
    batch: Batch
    done: Done


@dataclass(frozen=True, slots=True)
class _Run:
    """Work to be done between two groups."""

    work: Callable[[], object]
    ended: threading.Event = field(default_factory=threading.Event)
    failed: list[Exception] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Resume:
    """From here on batches are written again."""


@dataclass(frozen=True, slots=True)
class _Stop:
    """Nothing comes behind this."""


_Item = _Write | _Run | _Resume | _Stop


class Writer:
    """Group commit.

    While a group is on its way to the disk, more batches queue up; they are the next group.
    So the disk's wait is shared by all who wait at the same time.

    Args:
        committer: Writes a group.
        lazy: Called every few seconds, and at the end.
        where: The state directory, for messages.
    """

    def __init__(self, committer: Committer, lazy: Callable[[], object], where: str) -> None:
        self._committer = committer
        self._lazy = lazy
        self._where = where
        self._queue: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._closed = False
        self._closing = threading.Lock()
        self._abandoned = threading.Event()
        self._failure: SwarmError | None = None
        self._ahead: _Item | None = None
        self._thread = threading.Thread(target=self._loop, name="swarmd-store-writer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def submit(self, batch: Batch, done: Done) -> None:
        """Queue a batch; ``done`` is called on the writer's thread."""
        if not self._put(_Write(batch, done)):
            done(_closed_error())

    def resume(self) -> None:
        """Write again what is submitted from now on."""
        self._put(_Resume())

    def run(self, work: Callable[[], object]) -> None:
        """Do this behind everything submitted, and wait for it. Raises what it raises."""
        if threading.current_thread() is self._thread:  # from a ``done``: it is our turn
            work()
            return
        item = _Run(work)
        if not self._put(item):
            raise _closed_error()
        item.ended.wait()
        if item.failed:
            raise item.failed[0]

    def later(self, work: Callable[[], object]) -> None:
        """Do this behind everything submitted; what it raises goes to the log."""
        self._put(_Run(work))

    def _put(self, item: _Item) -> bool:
        with self._closing:
            if not self._closed:
                self._queue.put(item)
                return True
        return False

    def close(self, seconds: float) -> None:
        """Write what is queued and end.

        Raises:
            DeadlineExceeded: The disk did not take it in this time; what was not written
                is reported as failed, as soon as the disk lets go.
        """
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(_Stop())
        self._thread.join(max(0.0, seconds))
        if self._thread.is_alive():
            self._abandoned.set()
            raise DeadlineExceeded(
                f"the state directory {self._where} did not take all changes in time",
                next_step="Look at the disk under it; what was not acknowledged may be missing.",
            )

    def _loop(self) -> None:
        lazy_at = time.monotonic()
        while True:
            item = self._next(_QUIET)
            if item is None or time.monotonic() - lazy_at >= _QUIET:
                self._guard(self._lazy)
                lazy_at = time.monotonic()
            if isinstance(item, _Write):
                self._write(item)
            elif isinstance(item, _Run):
                self._run(item)
            elif isinstance(item, _Resume):
                self._failure = None
            elif isinstance(item, _Stop):
                self._guard(self._lazy)
                return

    def _next(self, seconds: float) -> _Item | None:
        item, self._ahead = self._ahead, None
        if item is not None:
            return item
        try:
            return self._queue.get(timeout=seconds) if seconds else self._queue.get_nowait()
        except queue.Empty:
            return None

    def _write(self, first: _Write) -> None:
        members = [first]
        outcome = self._commit(members)
        for member in members:
            self._report(member.done, outcome)
        if outcome is None:
            self._guard(self._committer.tidy)

    def _gather(self, members: list[_Write]) -> Group:
        """The group of what waits right now; ``members`` grows by those that join."""
        group = Group()
        group.add(members[0].batch)
        while True:
            self._ahead = self._next(0)
            item = self._ahead
            if not isinstance(item, _Write) or not _fits(group, item.batch):
                return group
            members.append(item)
            self._ahead = None
            group.add(item.batch)

    def _commit(self, members: list[_Write]) -> Exception | None:
        if self._abandoned.is_set():
            return _closed_error()
        if self._failure is None:
            self._failure = self._try(members)
        return self._failure

    def _try(self, members: list[_Write]) -> SwarmError | None:
        try:
            self._committer.commit(self._gather(members))
        except SwarmError as error:
            log.warning("a change of the state was refused: %s", error)
            return error
        except OSError as error:
            failure = explain(error, "write", str(error.filename or self._where))
            log.warning("a change of the state could not be written: %s", failure)
            return failure
        except Exception as error:
            log.exception("the store failed")
            return InternalError(
                f"the store failed: {type(error).__name__}: {error}",
                next_step="Restart the daemon and report this with its log.",
                details={"cause": repr(error)},
            )
        return None

    def _report(self, done: Done, outcome: Exception | None) -> None:
        try:
            done(outcome)
        except BaseException:  # one caller's fault must not cost the others their answer
            log.exception("a caller of the store failed to take its answer")

    def _run(self, item: _Run) -> None:
        try:
            item.work()
        except Exception as error:  # noqa: BLE001 (it belongs to the thread that waits)
            item.failed.append(error)
            log.warning("the store could not do its work: %s", error)
        finally:
            item.ended.set()

    def _guard(self, work: Callable[[], object]) -> None:
        """Do work that nobody waits for; it must not end the thread."""
        try:
            work()
        except Exception:
            log.exception("the store's upkeep failed")


def _fits(group: Group, batch: Batch) -> bool:
    """A batch that is no batch at all fails alone, as a group of its own."""
    try:
        return group.accepts(batch)
    except Exception:  # noqa: BLE001 (told when its own turn comes)
        return False


def _closed_error() -> Unavailable:
    return Unavailable(
        "the store is closed: the daemon is stopping",
        next_step="Try again when the daemon runs.",
    )
