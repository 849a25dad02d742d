"""What is wrong, and what first: the order in which a person should look. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

from swarmd.messages.enums import (
    AlertState,
    AlertType,
    BreakerState,
    DaemonState,
    EventType,
    HealthStatus,
    InstanceStatus,
    OperationState,
)
from swarmd.messages.operation import Operation
from tui.model.rows import Row
from tui.model.snapshot import LinkState, Snapshot
from tui.navigation import Place

SHOWN: Final = 3
"""Of one kind so many are named; a line says how many more there are."""

STUCK_SECONDS: Final = 300.0
"""An operation that has run for so long and is not done is worth a look."""

_WRITES: Final = "cannot be written"


class Kind(IntEnum):
    """What can be wrong, in the order in which it is to be looked at."""

    DAEMON = 0
    PROVIDER = 1
    HELD = 2
    UNHEALTHY = 3
    ALERT = 4
    STUCK = 5
    DISK = 6
    NOTE = 7


@dataclass(frozen=True, slots=True)
class Trouble:
    """One line of the first view.

    Args:
        kind: What kind of thing is wrong.
        key: What tells it from others, over time.
        what: One sentence.
        todo: What to do about it.
        since: Since when; None: nobody knows.
        place: Where Enter goes; None: nowhere.
    """

    kind: Kind
    key: str
    what: str
    todo: str
    since: datetime | None = None
    place: Place | None = None

    @property
    def row(self) -> str:
        """The key of what it is about, in the table of all of them."""
        return self.key.partition(":")[2]


def troubles(snapshot: Snapshot, now: datetime) -> tuple[Trouble, ...]:
    """Everything that is wrong, what to look at first at the top.

    Args:
        snapshot: What is known.
        now: The time, UTC.
    """
    found = [
        *_daemon(snapshot),
        *_some(_providers(snapshot), "providers"),
        *_some(_held(snapshot.instances.values()), "instances"),
        *_some(_unhealthy(snapshot.instances.values()), "instances"),
        *_some(_alerts(snapshot), "alerts"),
        *_some(_stuck(snapshot.operations.values(), now), "operations"),
        *_disks(snapshot),
        *_notes(snapshot),
    ]
    return tuple(sorted(found, key=lambda each: each.kind))


def _some(of_a_kind: Iterator[Trouble], view: str) -> Iterator[Trouble]:
    """The longest ones of a kind; of the others, how many they are."""
    found = sorted(of_a_kind, key=lambda each: (each.since is None, each.since, each.key))
    yield from found[:SHOWN]
    if (more := len(found) - SHOWN) > 0:
        kind, first = found[SHOWN].kind, found[SHOWN].row
        what = f"and {more} more {_PLURALS[kind]}: Enter shows all {view}"
        place = Place(view, title=view.capitalize(), row=first, sort=_SORTS[kind])
        yield Trouble(kind, f"more:{kind}", what, "", place=place)


_PLURALS: Final = {
    Kind.PROVIDER: "providers that are down",
    Kind.HELD: "instances that are held",
    Kind.UNHEALTHY: "instances that are not well",
    Kind.ALERT: "alerts",
    Kind.DISK: "alerts",
    Kind.STUCK: "operations that do not end",
}
_SORTS: Final = {
    Kind.PROVIDER: "state",
    Kind.HELD: "status",
    Kind.UNHEALTHY: "health",
    Kind.ALERT: "state",
    Kind.DISK: "state",
    Kind.STUCK: "state",
}
"""By these columns those of a kind stand beside each other."""


def _view(name: str, row: str = "") -> Place:
    return Place(name, title=name.capitalize(), row=row)


def _daemon(snapshot: Snapshot) -> Iterator[Trouble]:
    link, status = snapshot.link, snapshot.status
    if link.state not in (LinkState.ONLINE, LinkState.CONNECTING):
        heads = {
            LinkState.LOST: "The connection to the daemon is lost: ",
            LinkState.REFUSED: "You may not connect to the daemon: ",
            LinkState.MISMATCH: "The daemon and this app are of different versions: ",
        }
        head = heads.get(link.state, "")
        what = head + (link.message if head else link.message[:1].upper() + link.message[1:])
        step = link.next_step or "It is tried again by itself; ctrl+r tries now."
        yield Trouble(Kind.DAEMON, "link", what, step, place=_view("daemon"))
    elif status is not None and status.state is DaemonState.FAILED:
        why = "; ".join(status.reasons) or "it does not say why"
        yield Trouble(
            Kind.DAEMON,
            "failed",
            f"The daemon has failed: {why}",
            "Restart it: instances keep running.",
            place=_view("daemon"),
        )


def _providers(snapshot: Snapshot) -> Iterator[Trouble]:
    for each in snapshot.providers.values():
        broken = each.breaker.state is BreakerState.OPEN
        if each.enabled and (broken or not each.health.ok):
            why = (each.breaker.last_error if broken else "") or each.health.message
            yield Trouble(
                Kind.PROVIDER,
                f"provider:{each.name}",
                f"Provider {each.name} is down: {why or 'it does not answer'}",
                each.health.next_step or "See what it says of itself, or disable it.",
                since=each.breaker.opened_at or _down_since(snapshot, each.name),
                place=Place("provider", each.name, each.name),
            )


def _nowhere(snapshot: Snapshot) -> Iterator[Trouble]:
    """Providers there are, and all of them are closed to what is new."""
    enabled = [each for each in snapshot.providers.values() if each.enabled]
    if snapshot.providers and all(each.cordoned for each in enabled):
        how = ["cordoned"] if enabled else []
        how += ["disabled"] if len(enabled) < len(snapshot.providers) else []
        what = f"No provider takes anything new: each is {' or '.join(how)}"
        todo = "e in the providers' view enables one again."
        yield Trouble(Kind.NOTE, "nowhere", what, todo, place=_view("providers"))


def _down_since(snapshot: Snapshot, name: str) -> datetime | None:
    """When it was told last that a provider does not work: by an alert, or the events at hand."""
    for alert in snapshot.alerts.values():
        if alert.type is AlertType.PROVIDER_DOWN and alert.target == name:
            return alert.raised_at
    for event in reversed(snapshot.events):
        told = event.type is EventType.PROVIDER_UPDATED and event.target == name
        if told and event.data.get("ok") is False:
            return event.at
    return None


def _held(rows: Iterable[Row]) -> Iterator[Trouble]:
    for row in rows:
        if row.held and row.last_error is not None:
            step = row.last_error.details.get("next_step")
            yield Trouble(
                Kind.HELD,
                f"instance:{row.id}",
                row.last_error.message,
                str(step or "Look why (W there), then start it, recover it or delete it."),
                since=row.updated_at,
                place=_of(row),
            )


def _unhealthy(rows: Iterable[Row]) -> Iterator[Trouble]:
    for row in rows:
        if row.held:
            continue
        if row.status is InstanceStatus.ERROR:
            why = row.last_error.message if row.last_error else "nothing says why"
            what, todo = f"{row.ref} is in error: {why}", "Look why; start it again, or delete it."
        elif row.health is HealthStatus.UNHEALTHY:
            what, todo = (
                f"{row.ref} is unhealthy",
                "It is recovered by itself; F there does so now.",
            )
        else:
            continue
        key = f"instance:{row.id}"
        yield Trouble(Kind.UNHEALTHY, key, what, todo, row.updated_at, _of(row))


def _of(row: Row) -> Place:
    return Place("instance", row.id, row.ref)


def _alerts(snapshot: Snapshot) -> Iterator[Trouble]:
    """What nobody has taken over yet, unless it has a line of its own above."""
    rows = snapshot.instances
    for each in snapshot.alerts.values():
        row = rows.get(each.target)
        told = each.type is AlertType.PROVIDER_DOWN or (
            each.type in (AlertType.INSTANCE_HELD, AlertType.INSTANCE_LOST)
            and row is not None
            and row.held
        )
        if told or each.state is not AlertState.ACTIVE:
            continue
        step = each.details.get("next_step")
        full = each.type is AlertType.DISK_FULL
        yield Trouble(
            Kind.DISK if full else Kind.ALERT,
            f"alert:{each.id}",
            each.message[:1].upper() + each.message[1:],
            str(step or "Look at it; a takes it over (acknowledges it)."),
            since=each.raised_at,
            place=_view("alerts", each.id),
        )


def _stuck(operations: Iterable[Operation], now: datetime) -> Iterator[Trouble]:
    for each in operations:
        if not is_stuck(each, now):
            continue
        doing = each.progress.message or each.step or str(each.state)
        yield Trouble(
            Kind.STUCK,
            f"operation:{each.id}",
            f"The {each.kind} of {each.target_ref} does not end: {doing}",
            "Look at it; cancel it if it does not go on.",
            since=each.started_at or each.created_at,
            place=_view("operations", each.id),
        )


def is_stuck(operation: Operation, now: datetime) -> bool:
    """Whether an operation has been under way for too long."""
    if operation.state not in (OperationState.PENDING, OperationState.RUNNING):
        return False
    late = operation.deadline is not None and operation.deadline < now
    begun = operation.started_at or operation.created_at
    return late or now - begun > timedelta(seconds=STUCK_SECONDS)


def _disks(snapshot: Snapshot) -> Iterator[Trouble]:
    for reason in _reasons(snapshot):
        if _WRITES in reason:
            yield Trouble(
                Kind.DISK,
                f"state:{reason}",
                f"Nothing can be kept: {reason}",
                "Free some of the disk that the state lies on.",
                place=_view("daemon"),
            )


def _reasons(snapshot: Snapshot) -> Sequence[str]:
    """Each once."""
    return tuple(dict.fromkeys(snapshot.status.reasons)) if snapshot.status is not None else ()


def _notes(snapshot: Snapshot) -> Iterator[Trouble]:
    """What is not well and has no line above."""
    status, daemon = snapshot.status, _view("daemon")
    if status is None:
        return
    yield from _nowhere(snapshot)
    for reason in _reasons(snapshot) if status.state is DaemonState.DEGRADED else ():
        if _WRITES not in reason and not reason.startswith("provider "):
            todo = "Restart the daemon; instances keep running."
            yield Trouble(Kind.NOTE, f"reason:{reason}", f"Degraded: {reason}", todo, place=daemon)
    if status.strays:
        what = f"{_many(status.strays, 'stray')} at providers that no record explains"
        todo = "Adopt or discard: swarmctl doctor."
        yield Trouble(Kind.NOTE, "strays", what, todo, place=daemon)
    if status.quarantined:
        what = f"{_many(status.quarantined, 'file')} of the state could not be read"
        todo = "They lie in quarantine/: swarmctl doctor."
        yield Trouble(Kind.NOTE, "quarantine", what, todo, place=daemon)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
