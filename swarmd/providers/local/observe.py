"""What is there: records and processes as ``Observed``, and what they use as ``InstanceStats``."""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from swarmd.messages.enums import InstanceStatus
from swarmd.messages.instance import Instance, InstanceConfig, InstanceStats
from swarmd.messages.provider import Address, Observed
from swarmd.providers.local import cgroups, tree
from swarmd.providers.local.context import Context
from swarmd.providers.local.record import LocalRecord, ProcessRecord
from swarmd.providers.local.runner import Runner
from swarmd.providers.shared.room import room_left

_log = logging.getLogger(__name__)
_ULID = re.compile(r"[0-9a-hjkmnp-tv-z]{26}")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_DISK_AGE = 300.0  # seconds that a count of the disk is good for
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


class Observer:
    """Looks; changes nothing."""

    def __init__(self, context: Context, runner: Runner) -> None:
        self._context = context
        self._runner = runner

    def one(self, record: LocalRecord, config: InstanceConfig | None = None) -> Observed:
        """One instance, now."""
        running = not record.trashed and self._runner.is_running(record)
        leftovers = 0
        if not running and record.process is not None:
            leftovers = len(self._runner.members(record))
        return self._observed(record, running, leftovers, config)

    def everything(self) -> list[Observed]:
        """All records, what has a folder but none, and what runs without one. One sweep."""
        table = tree.scan()
        names = set(self._names())
        records = self._context.index.all()
        found = [self._from(record, table, names) for record in records.values()]
        found.extend(self._unexplained(table, names, set(records)))
        return found

    def _from(self, record: LocalRecord, table: tree.Table, names: set[str]) -> Observed:
        running, members = False, 0
        if record.process is not None:
            seen = self._runner.members(record, table)
            running = any(member.identity == record.process.identity for member in seen)
            members = len(seen)
        elif table.bears(record.id, record.uid):
            members = len(table.members(record.id, uid=record.uid))
        observed = self._observed(record, running, 0 if running else members, None)
        gone = record.complete and not record.trashed and record.id not in names
        if gone and not running:
            return _changed(observed, status=InstanceStatus.ERROR, exit="its folder is gone")
        return observed

    def _observed(
        self, record: LocalRecord, running: bool, leftovers: int, config: InstanceConfig | None
    ) -> Observed:
        status, words = self._status(record, running, leftovers)
        process = record.process if running else None
        return Observed(
            id=record.id,
            epoch=record.epoch,
            status=status,
            node=record.node,
            name=record.name,
            owner=record.owner,
            complete=record.complete,
            address=address_of(process) if process else None,
            started_at=process.started_at if process else None,
            exit=words,
            config=config,
        )

    def _status(
        self, record: LocalRecord, running: bool, leftovers: int
    ) -> tuple[InstanceStatus, str | None]:
        if record.trashed:
            return InstanceStatus.DELETED, record.exit
        if running:
            return InstanceStatus.RUNNING, None
        words = self._runner.how_it_ended(record)
        if leftovers and not self._leaving(record):
            told = f"its server does not run ({words}), but {leftovers} of its processes do"
            return InstanceStatus.ERROR, told
        stopped = record.started or record.process is not None
        return (InstanceStatus.STOPPED if stopped else InstanceStatus.CREATED), words

    def _leaving(self, record: LocalRecord) -> bool:
        """Whether what a server has left may still be about to follow it."""
        process = record.process
        return process is not None and self._context.endings.just_ended(record.id, process.identity)

    def _names(self) -> list[str]:
        try:
            return os.listdir(self._context.layout.root)  # noqa: PTH208 - ten thousand names
        except FileNotFoundError:
            return []

    def _unexplained(
        self, table: tree.Table, names: set[str], known: set[str]
    ) -> Iterator[Observed]:
        context = self._context
        broken = context.index.broken
        for instance_id, reason in broken.items():
            yield self._stray(instance_id, reason, running=table.bears(instance_id))
        for instance_id in sorted(names - known - set(broken)):
            if _ULID.fullmatch(instance_id):
                running = table.bears(instance_id)
                yield self._stray(instance_id, "a folder without a record", running=running)
        for instance_id in table.strays(context.mark):
            if not (instance_id in known or instance_id in broken or instance_id in names):
                yield self._stray(instance_id, "it runs without a record", running=True)

    def _stray(self, instance_id: str, reason: str, *, running: bool) -> Observed:
        return Observed(
            id=instance_id,
            epoch=0,
            status=InstanceStatus.RUNNING if running else InstanceStatus.ERROR,
            node=self._context.node.id,
            complete=False,
            exit=reason,
        )

    # --- what they use -----------------------------------------------------------------------

    def stats(
        self, instances: Sequence[Instance], now: datetime, disk: DiskUsage
    ) -> list[InstanceStats]:
        """What these use right now, those that run."""
        table = tree.scan()
        found = []
        for instance in instances:
            record = self._context.index.get(instance.id)
            if record is not None and self._runner.is_running(record):
                found.append(self._stats_of(instance, record, table, now, disk))
        return found

    def _stats_of(
        self,
        instance: Instance,
        record: LocalRecord,
        table: tree.Table,
        now: datetime,
        disk: DiskUsage,
    ) -> InstanceStats:
        members = self._runner.members(record, table)
        hierarchies = self._context.groups.hierarchies
        process = record.process
        used = hierarchies.usage(process.paths) if hierarchies and process else cgroups.Usage()
        limited = "memory" in self._context.groups.enforced
        limit = self._context.limits(instance.config).memory
        spent = used.cpu_seconds
        if spent is None:
            spent = sum(member.stat.cpu_ticks for member in members) / _TICKS
        memory = used.memory_bytes
        if memory is None:
            memory = sum(_resident(member.stat.pid) for member in members)
        taken = disk.get(record.id)
        return InstanceStats(
            id=record.id,
            cpu_seconds=spent,
            memory_bytes=memory,
            # A plain number of bytes, not a Size, which would travel as "1g".
            memory_limit_bytes=int(limit) if limited and limit is not None else None,
            pids=len(members) if used.pids is None else used.pids,
            disk_bytes=taken,
            disk_limit_bytes=None if taken is None else self._disk_limit(instance, taken),
            taken_at=now,
        )

    def _disk_limit(self, instance: Instance, taken: int) -> int | None:
        """What it takes and what is left: where its folder lies, and its workspace if elsewhere.

        Asked each time, unlike what it takes: a disk can be full at any moment, and a count
        that is older only moves the share of one that is not.
        """
        dirs, workspace = self._context.layout.instance(instance.id), instance.config.workspace
        places = [dirs.root, dirs.workspace]
        if workspace is not None and workspace.startswith("/"):
            places.append(Path(workspace))
        left = [room for room in map(room_left, places) if room is not None]
        return taken + min(left) if left else None


class DiskUsage:
    """Counts the disk of instances in the background; an answer is up to five minutes old.

    Args:
        count: Counts one instance's bytes; may take long.
    """

    def __init__(self, count: Callable[[str], int]) -> None:
        self._count = count
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, int]] = {}
        self._wanted: list[str] = []
        self._worker: threading.Thread | None = None

    def get(self, instance_id: str) -> int | None:
        """The last count, None before the first; begins a new one if it is old."""
        with self._lock:
            at, value = self._known.get(instance_id, (float("-inf"), -1))
            if time.monotonic() - at > _DISK_AGE and instance_id not in self._wanted:
                self._wanted.append(instance_id)
                self._ensure_worker()
            return None if value < 0 else value

    def forget(self, instance_id: str) -> None:
        """Drop what is known of an instance that is no more."""
        with self._lock:
            self._known.pop(instance_id, None)
            if instance_id in self._wanted:
                self._wanted.remove(instance_id)

    def _ensure_worker(self) -> None:
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name="disk-usage", daemon=True)
            self._worker.start()

    def _work(self) -> None:
        while (instance_id := self._next()) is not None:
            try:
                value = self._count(instance_id)
            except Exception as error:  # noqa: BLE001 - one tree must not end all counts
                value = -1  # not known; asked again when this is old
                if not isinstance(error, OSError):  # it was removed meanwhile
                    _log.warning("the disk of %s cannot be counted", instance_id, exc_info=error)
            with self._lock:
                if instance_id in self._wanted:  # not forgotten meanwhile
                    self._wanted.remove(instance_id)
                    self._known[instance_id] = (time.monotonic(), value)

    def _next(self) -> str | None:
        """What to count now; it stays wanted until it is counted. None: this worker ends."""
        with self._lock:
            if not self._wanted:
                self._worker = None
                return None
            return self._wanted[0]


def address_of(process: ProcessRecord) -> Address:
    """Where a running instance answers; a wildcard becomes this host's name."""
    host = socket.gethostname() if process.host in _WILDCARDS else process.host
    return Address(host=host, port=process.port, tls=process.tls)


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:  # it ended meanwhile
        return 0


def _changed(observed: Observed, **changes: object) -> Observed:
    from msgspec.structs import replace

    return replace(observed, **changes)
