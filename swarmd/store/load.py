"""Reading the records at a start: fast, sharing what is equal, setting aside what is broken."""

from __future__ import annotations

import errno
import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from sys import intern
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import force_setattr

from swarmd.messages import codec
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Operation
from swarmd.store.files import UNREADABLE, explained, read_file
from swarmd.store.journal import newer_version
from swarmd.store.quarantine import Quarantine

R = TypeVar("R")
VERSION = 1
_BROKEN_FILE = frozenset({errno.ELOOP, errno.EISDIR, errno.EIO, errno.ENXIO})


class _Version(Struct, frozen=True):
    version: int = 1


_version = msgspec.json.Decoder(_Version)
_instance = codec.decoder(Instance)
_operation = codec.decoder(Operation)


@contextmanager
def without_collector() -> Iterator[None]:
    """Thousands of new objects, none of them garbage: looking through them only costs."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def decode_file(decode: Callable[[bytes], R], data: bytes, path: str) -> R:
    """A record from a file's content.

    Raises:
        StateError: It has a version that this daemon does not know.
        UNREADABLE: It is no such record.
    """
    try:
        record = decode(data)
    except UNREADABLE:
        check_version(data, path)
        raise
    if getattr(record, "version", VERSION) > VERSION:
        check_version(data, path)
    return record


def check_version(data: bytes, path: str) -> None:
    """Raise ``StateError`` if the content says it is of a newer version."""
    try:
        found = _version.decode(data).version
    except UNREADABLE:
        return
    if found > VERSION:
        raise newer_version(path, found, VERSION)


class Folder(Generic[R]):
    """A folder of records, read whole.

    Args:
        path: The folder.
        decode: From bytes to one record.
        id_of: The id that a record says it has; its file must bear it.
        share: Called with each record, to let equal parts be one object.
        quarantine: Where broken files go.
    """

    def __init__(
        self,
        path: str,
        decode: Callable[[bytes], R],
        id_of: Callable[[R], str],
        share: Callable[[R], None],
        quarantine: Quarantine,
    ) -> None:
        self._path = path
        self._decode = decode
        self._id_of = id_of
        self._share = share
        self._quarantine = quarantine
        self.quarantined: list[str] = []

    def read(self) -> list[R]:
        """Every record, by id."""
        found: list[R] = []
        with explained("read", self._path):
            with os.scandir(self._path) as entries:
                names = sorted(entry.name for entry in entries if entry.name.endswith(".json"))
            fd = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                for name in names:
                    record = self._one(name, fd)
                    if record is not None:
                        found.append(record)
            finally:
                os.close(fd)
        return found

    def _one(self, name: str, folder_fd: int) -> R | None:
        try:
            record = decode_file(self._decode, read_file(name, folder_fd), f"{self._path}/{name}")
        except UNREADABLE as error:
            self._set_aside(name, str(error))
            return None
        except OSError as error:
            if error.errno not in _BROKEN_FILE:
                error.filename = f"{self._path}/{name}"
                raise
            self._set_aside(name, error.strerror or str(error))
            return None
        if self._id_of(record) != name[:-5]:
            self._set_aside(name, f"it holds the record {self._id_of(record)!r}")
            return None
        self._share(record)
        return record

    def _set_aside(self, name: str, why: str) -> None:
        self.quarantined.append(self._quarantine.take(f"{self._path}/{name}", why))


class Sharing:
    """Lets equal parts of many instances be one object: about half of their memory.

    Records are frozen and their containers are replaced, never changed.
    """

    def __init__(self) -> None:
        self._parts: dict[Any, Any] = {}
        self._maps: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}

    def instance(self, record: Instance) -> None:
        """Share the parts of one instance."""
        config = record.config
        for field in ("owner", "provider", "provider_type", "node"):
            force_setattr(record, field, intern(getattr(record, field)))
        force_setattr(record, "metadata", self._map(record.metadata))
        if record.updated_at == record.created_at:
            force_setattr(record, "updated_at", record.created_at)
        if config.name == record.name:
            force_setattr(config, "name", record.name)
        for field in ("image", "provider", "region", "workspace_path", "swarm"):
            value = getattr(config, field)
            if value is not None:
                force_setattr(config, field, intern(value))
        for field in ("resources", "network", "health", "extensions"):
            part = getattr(config, field)
            force_setattr(config, field, self._parts.setdefault(part, part))
        for field in ("env", "labels", "metadata"):
            force_setattr(config, field, self._map(getattr(config, field)))
        if config.auth.credentials is None:
            force_setattr(config, "auth", self._parts.setdefault(config.auth, config.auth))

    def _map(self, value: dict[str, str]) -> dict[str, str]:
        return self._maps.setdefault(tuple(value.items()), value)


def read_instances(path: str, quarantine: Quarantine) -> tuple[list[Instance], Sequence[str]]:
    """Every instance, oldest first, and a line for each file that was set aside."""
    sharing = Sharing()
    folder = Folder(path, _instance.decode, lambda one: one.id, sharing.instance, quarantine)
    return folder.read(), folder.quarantined


def read_operations(path: str, quarantine: Quarantine) -> tuple[list[Operation], Sequence[str]]:
    """Every operation, oldest first, and a line for each file that was set aside."""

    def keep(record: Operation) -> None:
        """Operations are few and differ."""

    folder = Folder(path, _operation.decode, lambda one: one.id, keep, quarantine)
    return folder.read(), folder.quarantined


def read_single(
    path: str, decode: Callable[[bytes], R], quarantine: Quarantine
) -> tuple[R | None, Sequence[str]]:
    """One file: None if it is not there, or was set aside with a line that tells so."""
    with explained("read", path):
        try:
            return decode_file(decode, read_file(path), path), ()
        except FileNotFoundError:
            return None, ()
        except UNREADABLE as error:
            return None, (quarantine.take(path, str(error)),)
        except OSError as error:
            if error.errno not in _BROKEN_FILE:
                raise
            return None, (quarantine.take(path, error.strerror or str(error)),)


def oldest_ended(operations: Sequence[Operation], kept: int) -> list[Operation]:
    """The ended operations beyond the newest ``kept``, oldest first.

    Those with an idempotency key are the registry's to drop, once the key has lapsed.
    """
    ended = [one for one in operations if may_sweep(one)]
    ended.sort(key=lambda one: (ended_at(one), one.id))
    return ended[: max(0, len(ended) - kept)]


def may_sweep(operation: Operation) -> bool:
    """Whether nobody needs this operation any more."""
    return operation.state.ended and operation.idempotency_key is None


def ended_at(operation: Operation) -> datetime:
    """When it ended; an operation that does not tell counts from when it was made."""
    return operation.ended_at or operation.created_at
