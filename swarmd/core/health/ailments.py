"""What is wrong with an instance right now: published beside its record, never written down."""

from __future__ import annotations

from dataclasses import dataclass, replace

from swarmd.core.health.facts import Verdict
from swarmd.messages.enums import HealthStatus
from swarmd.messages.health import CheckKind, Illness

_ILL = (HealthStatus.UNHEALTHY, HealthStatus.DEGRADED)


@dataclass(frozen=True, slots=True)
class Ailment:
    """What a monitor found.

    Args:
        illness: What is wrong.
        why: The same in words.
        value: The largest share of memory or disk in use, if that is known.
        limit: What it is held against.
        held: Why nothing automatic is done about it any more, if that is so.
        next_step: What a human can do then.
    """

    illness: Illness
    why: str
    value: float | None = None
    limit: float | None = None
    held: str | None = None
    next_step: str | None = None


def ailment_of(found: Verdict, before: Ailment | None) -> Ailment | None:
    """What a verdict leaves to be published; what was held stays so while the illness stays.

    Args:
        found: The verdict.
        before: What is published of the instance.
    """
    if found.illness is None or found.status not in _ILL:
        return None
    value = limit = None
    if found.illness is Illness.STARVED:
        value, limit = _resources(found)
    now = Ailment(found.illness, found.details, value, limit)
    if before is not None and before.illness is now.illness:
        return replace(now, held=before.held, next_step=before.next_step)
    return now


def _resources(found: Verdict) -> tuple[float | None, float | None]:
    check = next(each for each in found.checks if each.kind is CheckKind.RESOURCES)
    return _number(check.value), _number(check.limit)


def _number(value: float | str | None) -> float | None:
    return value if isinstance(value, float | int) else None
