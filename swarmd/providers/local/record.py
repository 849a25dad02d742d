"""What the provider knows of its instances: one small record each, in memory and on disk.

Records lie in the part of DATA that only the daemon enters (``data/layout.py``): an instance
that could write its own could make a daemon that is root signal any process. They are read
once; from then on memory is what ``list`` looks at, and every change is written through.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from swarmd.messages.codec import decoder, encode
from swarmd.messages.instance import Auth, InstanceConfig
from swarmd.providers.local.data.layout import InstanceDirs, Layout
from swarmd.providers.local.identity import Identity
from swarmd.providers.shared.durable import sync_folder, write_durably

ANYONE = -1
"""The ``uid`` of a stand-in for a record that is lost: nobody knows whose its processes are."""

NEWEST = 1
"""The version of records that this code writes, and the newest that it reads."""


class ProcessRecord(Struct, frozen=True, kw_only=True):
    """The main process of a running instance, written before it executes anything.

    ``answered`` tells that it once answered after its start; ``groups`` are its control groups.
    """

    identity: Identity
    epoch: int
    host: str
    port: int
    tls: bool = False
    groups: tuple[str, ...] = ()
    started_at: datetime
    answered: bool = False

    @property
    def paths(self) -> tuple[Path, ...]:
        """Its control groups, as paths."""
        return tuple(map(Path, self.groups))


class LocalRecord(Struct, frozen=True, kw_only=True):
    """One instance as this provider knows it. Holds no secret."""

    id: str
    name: str
    owner: str
    epoch: int
    node: str
    port: int
    uid: int
    folder: str = ""
    complete: bool = False
    started: bool = False
    trashed: bool = False
    process: ProcessRecord | None = None
    exit: str | None = None
    version: int = NEWEST


def is_same_life(before: LocalRecord, after: LocalRecord) -> bool:
    """Whether the process that runs is the one that ran before."""
    one, other = before.process, after.process
    return one is not None and other is not None and one.identity == other.identity


_STRIPES = 64  # so many records can be written at once
_FILE = "record.json"  # ``InstanceDirs.record``, without making ten thousand paths
_decoder = msgspec.json.Decoder(LocalRecord)
_config_decoder = decoder(InstanceConfig)


class Index:
    """All records. Thread-safe; calls for one instance come one after the other."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._lock = threading.Lock()
        self._writing = [threading.Lock() for _ in range(_STRIPES)]
        self._records: dict[str, LocalRecord] = {}
        self._broken: dict[str, str] = {}

    def load(self) -> None:
        """Read every record. One that cannot be read is kept apart, with the reason."""
        records: dict[str, LocalRecord] = {}
        broken: dict[str, str] = {}
        private = os.fspath(self._layout.private)
        for instance_id in os.listdir(private):  # noqa: PTH208 - ten thousand of them
            if instance_id.startswith("."):
                continue
            try:
                with open(f"{private}/{instance_id}/{_FILE}", "rb", buffering=0) as file:  # noqa: PTH123
                    record = _decoder.decode(file.read())
            except FileNotFoundError:
                continue
            except (OSError, msgspec.MsgspecError) as error:
                broken[instance_id] = f"its record cannot be read: {error}"
                continue
            if record.version > NEWEST or record.id != instance_id:
                broken[instance_id] = "its record is of a newer version or of another instance"
                continue
            records[instance_id] = record
        with self._lock:
            self._records, self._broken = records, broken

    def get(self, instance_id: str) -> LocalRecord | None:
        """One record, or None."""
        return self._records.get(instance_id)

    def all(self) -> Mapping[str, LocalRecord]:
        """All of them, at this moment."""
        with self._lock:
            return dict(self._records)

    @property
    def broken(self) -> Mapping[str, str]:
        """Ids whose record cannot be read, and why."""
        return self._broken

    def put(self, record: LocalRecord, *, sync: bool = True) -> LocalRecord:
        """Write a record, then let it be seen. Raises ``OSError``."""
        with self._writing[hash(record.id) % _STRIPES]:
            return self._put(record, sync=sync)

    def _put(self, record: LocalRecord, *, sync: bool) -> LocalRecord:
        dirs = self._layout.instance(record.id)
        _make_private(dirs, sync=sync)
        write_durably(dirs.record, encode(record), sync=sync)
        with self._lock:
            self._records[record.id] = record
        return record

    def change(self, record: LocalRecord, *, sync: bool = True, **changes: object) -> LocalRecord:
        """Write a record with some fields changed: the newest one, whatever the caller's says."""
        with self._writing[hash(record.id) % _STRIPES]:
            newest = self._records.get(record.id, record)
            return self._put(replace(newest, **changes), sync=sync)

    def drop(self, instance_id: str) -> None:
        """Forget a record whose files are gone."""
        with self._lock:
            self._records.pop(instance_id, None)
            self._broken.pop(instance_id, None)

    def put_config(self, instance_id: str, config: InstanceConfig) -> None:
        """Write the configuration that an instance was made with, without its credentials."""
        bare = replace(config, auth=Auth(type=config.auth.type))
        dirs = self._layout.instance(instance_id)
        _make_private(dirs, sync=True)
        write_durably(_config_file(dirs), encode(bare))

    def config(self, instance_id: str) -> InstanceConfig | None:
        """The configuration that an instance was made with; None if it cannot be read."""
        try:
            return _config_decoder.decode(
                _config_file(self._layout.instance(instance_id)).read_bytes()
            )
        except (OSError, msgspec.MsgspecError):
            return None


def _config_file(dirs: InstanceDirs) -> Path:
    return dirs.private / "config.json"


def _make_private(dirs: InstanceDirs, *, sync: bool) -> None:
    try:
        dirs.private.mkdir(mode=0o700)
    except FileExistsError:
        return
    if sync:
        sync_folder(dirs.private.parent)
