"""Writing a group of batches with as few waits for the disk as the order allows."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import groupby

from msgspec import Struct

from swarmd.errors import InternalError
from swarmd.messages import codec
from swarmd.messages.alert import AlertBook
from swarmd.messages.events import Event
from swarmd.messages.instance import Reason
from swarmd.messages.operation import Operation
from swarmd.messages.provider import ProviderRecord
from swarmd.messages.state import ProvidersFile
from swarmd.ports import Batch
from swarmd.store.files import (
    FULL,
    TEMPORARY,
    Files,
    remove,
    remove_quietly,
    stage_all,
    sync_folder,
)
from swarmd.store.healths import Healths
from swarmd.store.journal import Journal
from swarmd.store.layout import Layout
from swarmd.store.load import ended_at, may_sweep
from swarmd.store.stories import Stories

log = logging.getLogger(__name__)
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_BALLAST = 256 << 10
_GROUP_LIMIT = 256
_OPEN_AT_ONCE = 64


def is_safe(record_id: str) -> bool:
    """Whether an id can be a file name. ULIDs can."""
    return _SAFE_ID.fullmatch(record_id) is not None


Key = tuple[str, str]


def _keys(batch: Batch) -> list[Key]:
    """Everything that a batch replaces or removes."""
    keys = [("operations", one.id) for one in batch.operations]
    keys += [("instances", one.id) for one in batch.instances]
    keys += [("operations", one) for one in batch.drop_operations]
    keys += [("instances", one) for one in batch.drop_instances]
    if batch.providers is not None:
        keys.append(("providers", ""))
    if batch.alerts is not None:
        keys.append(("alerts", ""))
    return keys


@dataclass(slots=True)
class Group:
    """Batches that are written together.

    A batch joins only if what a crash leaves half way is still, for every batch of the
    group, a prefix of it on top of the batches before. So a record is written once per
    group, unless the earlier batch held nothing but that record: then the later one stands
    for both (progress of an operation, many times a second). Nor does one that tells of an
    instance which the group drops: the story goes with the drop, whatever came after it.
    """

    batches: list[Batch] = field(default_factory=list)
    _lone: set[Key] = field(default_factory=set)
    _taken: set[Key] = field(default_factory=set)
    _dropped: set[str] = field(default_factory=set)

    def accepts(self, batch: Batch) -> bool:
        """Whether it can be written in this group."""
        if len(self.batches) >= _GROUP_LIMIT or any(key in self._taken for key in _keys(batch)):
            return False
        return not any(one_id in self._dropped for one_id, _ in batch.reasons)

    def add(self, batch: Batch) -> None:
        """Put it behind the others."""
        keys = _keys(batch)
        if len(keys) == 1 and not (batch.drop_instances or batch.drop_operations):
            self._lone.add(keys[0])
        else:
            self._taken.update(keys)
        self._dropped.update(batch.drop_instances)
        self.batches.append(batch)

    def operations(self) -> dict[str, Operation]:
        """The last version of each."""
        return {one.id: one for batch in self.batches for one in batch.operations}

    def instances(self) -> dict[str, Struct]:
        """The last version of each."""
        return {one.id: one for batch in self.batches for one in batch.instances}

    def providers(self) -> tuple[ProviderRecord, ...] | None:
        """The last list, if any batch has one."""
        lists = [batch.providers for batch in self.batches if batch.providers is not None]
        return lists[-1] if lists else None

    def alerts(self) -> AlertBook | None:
        """The last book, if any batch has one."""
        books = [batch.alerts for batch in self.batches if batch.alerts is not None]
        return books[-1] if books else None

    def events(self) -> list[Event]:
        """All, in order."""
        return [event for batch in self.batches for event in batch.events]

    def reasons(self) -> dict[str, list[Reason]]:
        """By instance, in order; none of an instance that goes."""
        gone = set(self.dropped("instances"))
        found: dict[str, list[Reason]] = {}
        for batch in self.batches:
            for instance_id, reason in batch.reasons:
                if instance_id not in gone:
                    found.setdefault(instance_id, []).append(reason)
        return found

    def dropped(self, kind: str) -> list[str]:
        """Ids whose files go, of "instances" or "operations"."""
        if kind == "instances":
            return [one for batch in self.batches for one in batch.drop_instances]
        return [one for batch in self.batches for one in batch.drop_operations]


class Committer:
    """Puts groups on disk; everything here runs on the writer's thread.

    The order is operations, providers, instances, alerts, events, reasons, removals, each on
    disk before the next begins: what a crash leaves is a prefix.

    Args:
        files: The disk.
        layout: The state directory.
        journal: Where events go.
        stories: Where reasons go.
        healths: What goes with an instance.
        operations_kept: Ended operations whose files stay.
    """

    def __init__(
        self,
        files: Files,
        layout: Layout,
        journal: Journal,
        stories: Stories,
        healths: Healths,
        operations_kept: int,
    ) -> None:
        self._files = files
        self._layout = layout
        self._journal = journal
        self._stories = stories
        self._healths = healths
        self._operations_kept = operations_kept
        self._ended: dict[str, datetime] = {}

    def knows(self, operations: Sequence[Operation]) -> None:
        """Tell which operations have files."""
        self._ended = {one.id: ended_at(one) for one in operations if may_sweep(one)}

    def commit(self, group: Group) -> None:
        """Write it all and wait until it is on disk.

        Raises:
            OSError: The disk said no. Nothing was changed, if it was full.
            SwarmError: The group itself is wrong; nothing was changed.
        """
        _check_ids(group)
        events = group.events()
        self._journal.make_ready(events)
        self._keep_ballast()
        records = _records(group, self._layout)
        try:
            self._stage(records)
            self._place(records)
        except BaseException:
            for one in records:
                remove_quietly(self._files, one.path + TEMPORARY)
            raise
        position = self._journal.position()
        try:
            self._finish(lambda: self._journal.append(events), position)
            told = self._journal.position()
            for name, reasons in group.reasons().items():
                self._finish(partial(self._stories.append, name, reasons), told)
            self._finish(lambda: self._drop(group), told)
        except BaseException:
            self._go_back(position)
            raise
        self._remember(group)

    def _stage(self, records: Sequence[_Record]) -> None:
        """Write every record beside its place: here a full disk ends the group, unchanged."""
        for start in range(0, len(records), _OPEN_AT_ONCE):
            some = records[start : start + _OPEN_AT_ONCE]
            stage_all(self._files, [(one.path, codec.encode_private(one.value)) for one in some])

    def _place(self, records: Sequence[_Record]) -> None:
        """Put them in their places, folder by folder."""
        for folder, some in groupby(records, key=lambda one: one.folder):
            for one in some:
                self._files.rename(one.path + TEMPORARY, one.path)
            sync_folder(self._files, folder)

    def _drop(self, group: Group) -> None:
        instances, operations = group.dropped("instances"), group.dropped("operations")
        gone = [remove(self._files, self._layout.record("instances", one)) for one in instances]
        if any(gone):
            sync_folder(self._files, self._layout.folder("instances"))
        for one in instances:
            self._stories.drop(one)
            self._healths.drop(one)
        gone = [remove(self._files, self._layout.record("operations", one)) for one in operations]
        if any(gone):
            sync_folder(self._files, self._layout.folder("operations"))

    def _remember(self, group: Group) -> None:
        for one in group.operations().values():
            if may_sweep(one):
                self._ended[one.id] = ended_at(one)
        for one_id in group.dropped("operations"):
            self._ended.pop(one_id, None)

    def _finish(self, step: Callable[[], object], position: tuple[int, int]) -> None:
        """Do a step that comes when records are in place; a full disk gets the ballast."""
        try:
            step()
        except OSError as error:
            self._go_back(position)
            if error.errno not in FULL or not remove(self._files, self._layout.ballast):
                raise
            log.warning("the disk is full: the last reserve is used to end what was begun")
            step()

    def _go_back(self, position: tuple[int, int]) -> None:
        try:
            self._journal.go_back(position)
        except OSError as error:
            log.warning("could not cut the journal's torn end yet: %s", error)

    def _keep_ballast(self) -> None:
        """A small reserve, so that a group that has begun can end on a full disk."""
        path = self._layout.ballast
        if os.path.exists(path):  # noqa: PTH110 (text paths throughout)
            return
        temporary = path + ".tmp"
        remove(self._files, temporary)
        fd = self._files.create(temporary)
        try:
            self._files.reserve(fd, _BALLAST)
        except BaseException:
            remove_quietly(self._files, temporary)
            raise
        finally:
            os.close(fd)
        self._files.rename(temporary, path)

    def configure(self, operations_kept: int) -> None:
        """Keep so many ended operations from now on."""
        self._operations_kept = operations_kept

    def tidy(self) -> None:
        """Small work after a group was answered: drop old segments and ended operations."""
        self._journal.tidy()
        most = self._operations_kept + max(1, self._operations_kept // 10)
        if len(self._ended) > most:
            oldest = sorted(self._ended, key=lambda one: (self._ended[one], one))
            self.forget(oldest[: len(oldest) - self._operations_kept])

    def forget(self, operation_ids: Sequence[str]) -> None:
        """Remove the files of ended operations."""
        for one in operation_ids:
            remove(self._files, self._layout.record("operations", one))
            self._ended.pop(one, None)


@dataclass(frozen=True, slots=True)
class _Record:
    folder: str
    path: str
    value: object


def _records(group: Group, layout: Layout) -> list[_Record]:
    """The files of a group, in the order in which they take their places."""

    def of(kind: str, values: Mapping[str, object]) -> list[_Record]:
        return [_Record(layout.folder(kind), layout.record(kind, i), v) for i, v in values.items()]

    records = of("operations", group.operations())
    providers = group.providers()
    if providers is not None:
        records.append(_Record(layout.root, layout.providers, ProvidersFile(providers=providers)))
    records += of("instances", group.instances())
    alerts = group.alerts()
    if alerts is not None:
        records.append(_Record(layout.root, layout.alerts, alerts))
    return records


def _check_ids(group: Group) -> None:
    ids = [one_id for batch in group.batches for _, one_id in _keys(batch) if one_id]
    ids += [one_id for batch in group.batches for one_id, _ in batch.reasons]
    for one_id in ids:
        if not is_safe(one_id):
            raise InternalError(
                f"{one_id!r} cannot be the name of a file",
                next_step="Restart the daemon and report this with its log.",
            )
