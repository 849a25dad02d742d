"""Events in a list: each in words, what is missing between them, and which ones fit. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from swarmd.messages.enums import AlertChange, AlertSeverity, EventType
from swarmd.messages.events import Event
from tui.model.fuzzy import fuzzy
from tui.model.text import BLANK, Line, facts
from tui.model.words import HEALTH_TONES, STATE_TONES, tone_of_status


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the list: an event, or how many are missing before the next.

    Args:
        seq: The event's number, or that of the last one that is missing.
        event: What happened; None: a gap.
        missing: How many are not kept.
    """

    seq: int
    event: Event | None = None
    missing: int = 0


def entries(events: Iterable[Event], *, gap_before: bool = False) -> dict[str, Entry]:
    """The lines of a list, oldest first, each under a key of its own.

    Args:
        events: Oldest first.
        gap_before: Whether those before the first are not kept.
    """
    found: dict[str, Entry] = {}
    last: int | None = None
    for event in events:
        missing = event.seq - 1 - last if last is not None else 0
        if missing > 0 or (last is None and gap_before):
            found[f"gap{event.seq}"] = Entry(event.seq - 1, missing=max(missing, 0))
        found[str(event.seq)] = Entry(event.seq, event)
        last = event.seq
    return found


_QUIET: Final = frozenset({"name", "provider", "kind", "state", "status", "health", "before"})


_ALERT_TONES: Final = {AlertChange.ACKNOWLEDGED: "busy", AlertChange.RESOLVED: "good"}


def words(event: Event) -> str:
    """What an event tells, in a line."""
    data = event.data
    operation = not event.type.startswith("instance_")
    parts = [part for part in (_course(data, operation=operation), _told(data)) if part]
    rest = (f"{key}={_short(value)}" for key, value in data.items() if _is_fact(key, value))
    return "  ".join([*parts, *rest]) or "-"


def _course(data: Mapping[str, Any], *, operation: bool) -> str:
    """What it is now, and what it was before; of an operation its kind and state."""
    status = data.get("health") or data.get("status")
    now = (data.get("state") or status if operation else status) or ""
    before, kind = data.get("before"), data.get("kind") if operation else None
    course = f"{before} → {now}" if before and now else str(now)
    return f"{kind} {course}".strip() if kind else course


def _told(data: Mapping[str, Any]) -> str:
    error = data.get("error")
    if isinstance(error, Mapping):
        return str(error.get("message") or "")
    return str(data.get("message") or data.get("why") or data.get("reason") or "")


def _is_fact(key: str, value: object) -> bool:
    told = key in ("message", "why", "reason", "error")
    return key not in _QUIET and not told and value not in (None, "", (), [], {})


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def tone_of(event: Event) -> str:
    """The colour of what an event tells."""
    data = event.data
    if event.type in (EventType.ACTOR_RESTARTED, EventType.FILE_QUARANTINED, EventType.STRAY_FOUND):
        return "warn"
    if event.type is EventType.ALERT:
        raised = "bad" if data.get("severity") == AlertSeverity.ERROR else "warn"
        return _ALERT_TONES.get(data.get("state", ""), raised)
    if event.type is EventType.METRICS_COLLECTED:
        return "dim"
    if event.type is EventType.INSTANCE_HEALTH_CHANGED:
        return HEALTH_TONES.get(data.get("health", ""), "")
    if event.type.startswith("operation_"):
        return STATE_TONES.get(data.get("state", ""), "")
    if event.type.startswith("instance_") and data.get("status"):
        return tone_of_status(data["status"])
    if data.get("ok") is False or data.get("state") == "failed":
        return "bad"
    return ""


def fits(entry: Entry, text: str) -> bool:
    """Whether a line fits a filter: letters of it, ``type:health``, ``target:web``, ``not:word``.

    Several words must all fit; a gap always does.
    """
    event = entry.event
    if event is None:
        return True
    target = f"{event.ref or ''} {event.target or ''}"
    loose: list[str] = []
    for word in text.split():
        name, colon, value = word.partition(":")
        if colon and name == "type":
            found = value.lower() in event.type
        elif colon and name == "target":
            found = value.lower() in target.lower()
        elif colon and name == "not":
            told = f"{event.type} {target} {words(event)}"
            found = not value or value.lower() not in told.lower()
        else:
            loose.append(word)
            continue
        if not found:
            return False
    return not loose or fuzzy(" ".join(loose))(f"{event.type} {target} {words(event)}")


def details(event: Event, width: int) -> Iterator[Line]:
    """Everything that an event has."""
    pairs = [
        ("event", f"{event.seq} of journal {event.journal}", ""),
        ("at", f"{event.at.astimezone():%Y-%m-%d %H:%M:%S.%f}"[:-3], ""),
        ("type", str(event.type), tone_of(event)),
        ("of", event.ref or event.target or "-", ""),
        ("id", event.target or "-", ""),
        ("owner", event.owner or "-", ""),
        ("operation", event.operation or "-", ""),
        ("caller", event.caller or "-", ""),
        ("correlation", event.correlation or "-", ""),
    ]
    yield from facts([pair for pair in pairs if pair[1] != "-"], width, 13)
    yield BLANK
    yield from facts(list(_flat(event.data)), width, 13)


def _flat(data: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{key} ", ", ".join(map(str, value)) or "-", ""
        else:
            yield f"{prefix}{key} ", "-" if value is None else str(value), ""
