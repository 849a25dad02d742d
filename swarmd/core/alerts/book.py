"""The book of alerts: every change of it, with the events and notices that belong to it.

All in one change of the state: what is raised is on disk together with what is still to be
told of it. Applied to a newer book than it was made for, a plan does what is left of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

import msgspec

from swarmd.core.alerts.condition import SEVERITY, Condition
from swarmd.core.alerts.episodes import Plan
from swarmd.core.tables import Change, EventDraft, Tables
from swarmd.errors import AlertNotFound, Conflict, ValidationError
from swarmd.messages.alert import Alert, AlertBook, Move, Notice
from swarmd.messages.enums import AlertChange, AlertState, AlertType, EventType

MOST_ACTIVE = 1000
"""Alerts at a time. Beyond that they tell nothing new, and the file would only grow."""

MOST_WAITING = 1000
"""Notices that wait for one sink; of more the oldest are dropped."""

_MOVES_KEPT = 256
_PREFIX = 4

NoticeKey = tuple[str, str, AlertChange]


def carry_out(
    tables: Tables,
    plan: Plan,
    *,
    now: datetime,
    new_id: Callable[[], str],
    sinks: Sequence[str],
    kept: int,
    taken: AbstractSet[NoticeKey] = frozenset(),
) -> Change:
    """Raise and resolve.

    Args:
        tables: The tables now.
        plan: What is to be raised and resolved.
        now: When.
        new_id: Makes ids of alerts.
        sinks: Who is to be told.
        kept: Resolved alerts that are kept.
        taken: Notices that need not wait any more.
    """
    draft = _Draft(tables, now)
    for condition in plan.refreshed:
        draft.refresh(condition)
    for key in plan.resolved:
        draft.resolve(key)
    for condition in plan.raised:
        draft.raise_(condition, new_id)
    return draft.change(sinks, kept, taken)


def acknowledge(
    tables: Tables, ref: str, *, by: str, note: str | None, now: datetime
) -> tuple[Change, Alert]:
    """Take an alert over; what sinks were still to be told of its beginning is dropped.

    Acknowledging it again changes nothing.

    Args:
        tables: The tables now.
        ref: Its id, or a unique prefix.
        by: Who.
        note: What they say.
        now: When.

    Raises:
        AlertNotFound: There is none.
        ValidationError: The prefix fits several.
        Conflict: It has ended.
    """
    alert = find(tables.alerts, ref)
    if alert.state is AlertState.RESOLVED:
        raise Conflict(
            f"the alert {alert.id} was resolved already",
            field="id",
            next_step="List those that go on: swarmctl alerts.",
        )
    if alert.state is AlertState.ACKNOWLEDGED:
        return Change(), alert
    draft = _Draft(tables, now)
    return draft.acknowledge(alert, by, note), draft.active[alert.key]


def told_again(tables: Tables, last_seq: int) -> Change:
    """The events that a crash kept out of the journal although the book had them already.

    Args:
        tables: The tables now.
        last_seq: The number of the last event that the start found.
    """
    book = tables.alerts
    missing = {(each.alert, each.change) for each in book.moves if each.seq > last_seq}
    if not missing:
        return Change()
    known = {alert.id: alert for alert in (*book.resolved, *book.active)}
    events = tuple(
        event_of(known[each.alert], each.change)
        for each in book.moves
        if each.seq > last_seq and each.alert in known
    )
    return Change(alerts=msgspec.structs.replace(book, moves=()), events=events)


def find(book: AlertBook, ref: str) -> Alert:
    """By id or unique prefix of at least four characters.

    Raises:
        AlertNotFound: None.
        ValidationError: The prefix fits several.
    """
    wanted = ref.strip().lower()
    every = {alert.id: alert for alert in (*book.resolved, *book.active)}
    if wanted in every:
        return every[wanted]
    fits = [each for each in every if len(wanted) >= _PREFIX and each.startswith(wanted)]
    if len(fits) > 1:
        raise ValidationError(
            f"{ref!r} fits {len(fits)} alerts", field="id", next_step="Give more of the id."
        )
    if not fits:
        raise AlertNotFound(
            f"there is no alert {ref!r}", field="id", next_step="List them: swarmctl alerts."
        )
    return every[fits[0]]


def event_of(alert: Alert, change: AlertChange) -> EventDraft:
    """What is told of a change."""
    facts: dict[str, Any] = {
        "id": alert.id,
        "state": str(change),
        "type": str(alert.type),
        "severity": str(alert.severity),
        "subject": alert.subject,
        "message": alert.message,
        "details": alert.details,
    }
    if alert.acknowledged_by is not None:
        facts |= {"by": alert.acknowledged_by, "note": alert.note}
    return EventDraft(
        EventType.ALERT,
        target=alert.target or None,
        ref=alert.subject if alert.owner is not None else None,
        owner=alert.owner,
        caller=alert.acknowledged_by if change is AlertChange.ACKNOWLEDGED else None,
        data=facts,
    )


class _Draft:
    """A book in the making."""

    def __init__(self, tables: Tables, now: datetime) -> None:
        self._tables = tables
        self._now = now
        self.active = {alert.key: alert for alert in tables.alerts.active}
        self._ended: list[Alert] = []
        self._told: list[tuple[Alert, AlertChange]] = []
        self._refreshed = False

    def refresh(self, condition: Condition) -> None:
        alert = self.active.get(condition.key)
        if alert is not None and alert.message != condition.message:
            self._refreshed = True
            self.active[condition.key] = msgspec.structs.replace(
                alert, message=condition.message, details=dict(condition.details)
            )

    def resolve(self, key: tuple[AlertType, str]) -> None:
        alert = self.active.pop(key, None)
        if alert is not None:
            ended = msgspec.structs.replace(
                alert, state=AlertState.RESOLVED, resolved_at=max(self._now, alert.raised_at)
            )
            self._ended.append(ended)
            self._told.append((ended, AlertChange.RESOLVED))

    def raise_(self, condition: Condition, new_id: Callable[[], str]) -> None:
        if condition.key in self.active or len(self.active) >= MOST_ACTIVE:
            return
        alert = Alert(
            id=new_id(),
            type=condition.type,
            severity=SEVERITY[condition.type],
            state=AlertState.ACTIVE,
            subject=condition.subject,
            target=condition.target,
            owner=condition.owner,
            message=condition.message,
            details=dict(condition.details),
            raised_at=self._now,
        )
        self.active[alert.key] = alert
        self._told.append((alert, AlertChange.RAISED))

    def acknowledge(self, alert: Alert, by: str, note: str | None) -> Change:
        taken = msgspec.structs.replace(
            alert,
            state=AlertState.ACKNOWLEDGED,
            acknowledged_at=max(self._now, alert.raised_at),
            acknowledged_by=by,
            note=note,
        )
        self.active[alert.key] = taken
        self._told.append((taken, AlertChange.ACKNOWLEDGED))
        resolved, outbox = self._tables.alerts.resolved, self._tables.alerts.outbox
        left = tuple(each for each in outbox if each.alert.id != alert.id)
        return self._as_change(resolved, left)

    def change(self, sinks: Sequence[str], kept: int, taken: AbstractSet[NoticeKey]) -> Change:
        book = self._tables.alerts
        outbox = _outbox(book.outbox, self._notices(sinks), sinks, taken)
        if not (self._told or self._refreshed or len(outbox) != len(book.outbox)):
            return Change()
        return self._as_change((*book.resolved, *self._ended)[-kept:], outbox)

    def _notices(self, sinks: Sequence[str]) -> tuple[Notice, ...]:
        return tuple(
            Notice(sink=sink, change=change, alert=alert, at=self._now)
            for alert, change in self._told
            for sink in sinks
        )

    def _as_change(self, resolved: tuple[Alert, ...], outbox: tuple[Notice, ...]) -> Change:
        first = self._tables.seq + 1
        recent = (each for each in self._tables.alerts.moves if each.seq > first - _MOVES_KEPT)
        moves = (
            Move(alert=alert.id, change=change, seq=first + offset)
            for offset, (alert, change) in enumerate(self._told)
        )
        book = AlertBook(
            active=tuple(self.active.values()),
            resolved=resolved,
            outbox=outbox,
            moves=(*recent, *moves),
        )
        return Change(alerts=book, events=tuple(event_of(*each) for each in self._told))


def _outbox(
    waiting: Sequence[Notice],
    new: Sequence[Notice],
    sinks: Sequence[str],
    taken: AbstractSet[NoticeKey],
) -> tuple[Notice, ...]:
    """What is still to be told, in order; nothing to sinks that are no more."""
    left: dict[str, list[Notice]] = {name: [] for name in sinks}
    for notice in (*waiting, *new):
        if notice.sink in left and notice.key not in taken:
            left[notice.sink].append(notice)
    kept = {notice.key for notices in left.values() for notice in notices[-MOST_WAITING:]}
    return tuple(each for each in (*waiting, *new) if each.key in kept)
