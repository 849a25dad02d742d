"""What a changed health writes: the record, an event, a line of the story."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from swarmd.core.health.ailments import Ailment, ailment_of
from swarmd.core.health.facts import Verdict
from swarmd.core.notes import event_of
from swarmd.core.tables import Change, EventDraft, Tables
from swarmd.messages.enums import EventType, HealthStatus
from swarmd.messages.instance import Instance, Reason, replace

_BY = "health"
_IS_HELD = " is held: "
_TOLD = frozenset({HealthStatus.UNHEALTHY, HealthStatus.DEGRADED})
"""What is told in the story, and so is the way back from it. The rest is routine."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was concluded of one instance."""

    instance_id: str
    verdict: Verdict


def note_findings(tables: Tables, findings: Sequence[Finding], now: datetime) -> Change:
    """Write down those that differ from the records, and what is wrong with them.

    Args:
        tables: The tables now.
        findings: What was concluded, of any number of instances.
        now: When.
    """
    instances: list[Instance] = []
    events: list[EventDraft] = []
    reasons: list[tuple[str, Reason]] = []
    ailments: dict[str, Ailment | None] = {}
    for each in findings:
        record = tables.instances.get(each.instance_id)
        if record is None:
            continue
        known = tables.ailments.get(record.id)
        if (ailment := ailment_of(each.verdict, known)) != known:
            ailments[record.id] = ailment
        if record.health is each.verdict.status:
            continue
        after = replace(record, health=each.verdict.status)
        instances.append(after)
        events.append(_event(record, after, each.verdict))
        if record.health in _TOLD or after.health in _TOLD:
            what = f"health: {record.health} → {after.health}"
            reasons.append((record.id, Reason(at=now, what=what, why=_why(each.verdict), by=_BY)))
    return Change(
        instances=tuple(instances),
        events=tuple(events),
        reasons=tuple(reasons),
        ailments=ailments,
    )


def _event(before: Instance, after: Instance, found: Verdict) -> EventDraft:
    return event_of(
        EventType.INSTANCE_HEALTH_CHANGED,
        after,
        health=str(after.health),
        before=str(before.health),
        illness=str(found.illness) if found.illness is not None else None,
        why=found.details,
    )


def _why(found: Verdict) -> str:
    """In short where it is held: the story has just told why, and what can be done."""
    before, held, _ = found.details.partition(_IS_HELD)
    return before + held.rstrip(": ") or str(found.status)
