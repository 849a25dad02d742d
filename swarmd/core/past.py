"""The table of instances as it was: what opens a journal's segment, and the events since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from swarmd.errors import ValidationError
from swarmd.messages.enums import EventType, HealthStatus, InstanceStatus
from swarmd.messages.events import Event, PastRow, TableRow
from swarmd.messages.replies import PastTable
from swarmd.messages.requests import EventsAt


@dataclass(frozen=True, slots=True)
class Moment:
    """A table of the past.

    Args:
        seq: The last event that is in it.
        at: When that was.
        rows: Those there were, by id; those in the trash are not among them.
        gap: Whether events are missing that led there.
    """

    seq: int
    at: datetime
    rows: Mapping[str, PastRow]
    gap: bool = False


def opened(rows: Iterable[TableRow], seq: int, at: datetime, *, gap: bool = False) -> Moment:
    """The table that opens a segment of the journal; ``gap``: it is not what was asked for."""
    found = {
        row.id: PastRow(
            id=row.id,
            owner=row.owner,
            name=row.name,
            provider=row.provider,
            status=row.status,
            health=row.health,
        )
        for row in rows
        if row.status is not InstanceStatus.DELETED
    }
    return Moment(seq, at, found, gap)


def later(before: Moment, events: Iterable[Event]) -> Moment:
    """The table after these events; those that are in already are passed over.

    Args:
        before: The table until now.
        events: Oldest first. A number that is missing leaves a gap.
    """
    rows, seq, at, gap = dict(before.rows), before.seq, before.at, before.gap
    for event in events:
        if event.seq <= seq:
            continue
        gap = gap or event.seq != seq + 1
        seq, at = event.seq, event.at
        _take(rows, event)
    return Moment(seq, at, rows, gap)


def _take(rows: dict[str, PastRow], event: Event) -> None:
    target = event.target
    if target is None:
        return
    facts = _facts(event.data)
    if event.type is EventType.INSTANCE_PURGED or facts.get("status") is InstanceStatus.DELETED:
        rows.pop(target, None)
        return
    known = rows.get(target)
    if known is not None:
        if facts:
            rows[target] = msgspec.structs.replace(known, **facts)
    elif facts.get("status") is InstanceStatus.DELETING:
        return  # what goes out of the trash was not among them
    elif "status" in facts and "provider" in facts and event.owner is not None:
        owner = event.owner
        name = str(event.data.get("name") or (event.ref or "").removeprefix(f"{owner}/"))
        health = facts.pop("health", HealthStatus.UNKNOWN)
        rows[target] = PastRow(id=target, owner=owner, name=name, health=health, **facts)


def _facts(data: Mapping[str, Any]) -> dict[str, Any]:
    """What an event says of its instance; words of another version are passed over."""
    facts: dict[str, Any] = {}
    if data.get("status") in tuple(InstanceStatus):
        facts["status"] = InstanceStatus(data["status"])
    if data.get("health") in tuple(HealthStatus):
        facts["health"] = HealthStatus(data["health"])
    if isinstance(data.get("provider"), str):
        facts["provider"] = data["provider"]
    return facts


def page_of(moment: Moment, journal: str, request: EventsAt) -> PastTable:
    """A page of a table of the past, by owner and name.

    Raises:
        ValidationError: The cursor is none.
    """
    rows = sorted(moment.rows.values(), key=lambda row: (row.owner, row.name, row.id))
    start = _start(request.cursor)
    end = start + request.limit
    return PastTable(
        journal=journal,
        seq=moment.seq,
        at=moment.at,
        items=tuple(rows[start:end]),
        total=len(rows),
        gap=moment.gap,
        next_cursor=str(end) if end < len(rows) else None,
    )


def _start(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdecimal():
        raise ValidationError(
            f"{cursor!r} is no cursor of this list",
            field="cursor",
            next_step="Give next_cursor of the page before, and its seq.",
        )
    return int(cursor)
