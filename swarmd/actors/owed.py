"""What a failed write may have left on disk, to be put right with the next write."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import TypeVar

from swarmd.core.tables import Change, Tables

Record = TypeVar("Record")


class Owed:
    """Ids of records of which a failed write may have left a newer version on disk.

    They are written again, as they were published: a wish that was refused because the disk
    was full must not come alive at the next start.
    """

    def __init__(self) -> None:
        self._instances: set[str] = set()
        self._operations: set[str] = set()
        self._alerts = False

    def __bool__(self) -> bool:
        return bool(self._instances or self._operations or self._alerts)

    def add(self, change: Change) -> None:
        """This change could not be written, or only in part."""
        self._instances.update(each.id for each in change.instances)
        self._instances.update(change.drop_instances)
        self._operations.update(each.id for each in change.operations)
        self._operations.update(change.drop_operations)
        self._alerts = self._alerts or change.alerts is not None

    def pay(self, published: Tables, change: Change) -> Change:
        """The change with what is owed written before it; then nothing is owed any more."""
        if not self:
            return change
        first = Change(
            operations=_there(published.operations, self._operations),
            instances=_there(published.instances, self._instances),
            drop_operations=tuple(sorted(self._operations - published.operations.keys())),
            drop_instances=tuple(sorted(self._instances - published.instances.keys())),
            alerts=published.alerts if self._alerts else None,
        )
        self._instances, self._operations, self._alerts = set(), set(), False
        both = first.plus(change)
        written = {each.id for each in change.instances}
        begun = {each.id for each in change.operations}
        return replace(
            both,
            drop_instances=tuple(each for each in both.drop_instances if each not in written),
            drop_operations=tuple(each for each in both.drop_operations if each not in begun),
        )


def _there(records: Mapping[str, Record], ids: AbstractSet[str]) -> tuple[Record, ...]:
    return tuple(records[each] for each in sorted(ids) if each in records)
