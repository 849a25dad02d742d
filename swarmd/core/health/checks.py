"""The four checks as they are told (seed 001, Health Checks): what was found, against what."""

from __future__ import annotations

from datetime import datetime

from swarmd.core.health.facts import Seen
from swarmd.core.health.findings import (
    DEGRADED,
    HEALTHY,
    UNHEALTHY,
    UNKNOWN,
    ended,
    responding,
    shares_of,
    using,
)
from swarmd.core.health.rules import Rules
from swarmd.core.health.track import Track
from swarmd.core.lifecycle import DOWN
from swarmd.messages.enums import DesiredState, HealthStatus, InstanceStatus, ProbeKind
from swarmd.messages.health import Check, CheckKind, Illness
from swarmd.messages.instance import Instance

_AS_DESIRED = {
    DesiredState.RUNNING: frozenset({InstanceStatus.RUNNING}),
    DesiredState.STOPPED: DOWN,
    DesiredState.DELETED: frozenset({InstanceStatus.DELETED}),
}


def checks(
    instance: Instance, track: Track, rules: Rules, *, seen: Seen, now: datetime
) -> tuple[Check, ...]:
    """What each of the four questions was answered, in their order.

    Args:
        instance: Whose.
        track: What is remembered of it.
        rules: What holds for it.
        seen: What the last look at its provider showed.
        now: The time, UTC.
    """
    return (
        _exists(instance, seen),
        _status(instance, seen),
        _responds(instance, track, rules, now),
        _resources(instance, track, rules),
    )


def _exists(instance: Instance, seen: Seen) -> Check:
    verdict, message = _presence(instance, seen)
    return Check(kind=CheckKind.EXISTS, verdict=verdict, message=message)


def _presence(instance: Instance, seen: Seen) -> tuple[HealthStatus, str]:
    if not seen.provider_ok:
        return UNKNOWN, f"its provider does not answer: {seen.provider_message}"
    if instance.desired is DesiredState.RUNNING and instance.status is not InstanceStatus.RUNNING:
        found = ended(instance, seen)
        if found.illness in (Illness.LOST, Illness.MISSING):
            return UNHEALTHY, found.words
    if seen.present is None:
        return UNKNOWN, "its provider was not asked for it yet"
    if seen.present:
        return HEALTHY, "its provider has it"
    return DEGRADED, "the last list of its provider lacks it; it is looked for"


def _status(instance: Instance, seen: Seen) -> Check:
    verdict, message = _standing(instance, seen)
    return Check(
        kind=CheckKind.STATUS,
        verdict=verdict,
        value=instance.status.value,
        limit=instance.desired.value,
        message=message,
    )


def _standing(instance: Instance, seen: Seen) -> tuple[HealthStatus, str]:
    status, desired = instance.status, instance.desired
    if not seen.provider_ok or status is InstanceStatus.UNKNOWN:
        return UNKNOWN, f"what it does now is not known; last seen {status}"
    if seen.busy is not None:
        return UNKNOWN, f"an operation is under way; it is {status}"
    if status in _AS_DESIRED[desired]:
        return HEALTHY, f"it is {status}, as it is to be"
    return UNHEALTHY, f"its status is {status}, and it is to be {desired}"


def _responds(instance: Instance, track: Track, rules: Rules, now: datetime) -> Check:
    if instance.status is not InstanceStatus.RUNNING:
        return Check(
            kind=CheckKind.RESPONDS, verdict=UNKNOWN, message="it is not asked: it does not run"
        )
    found = responding(instance, track, rules, now)
    if rules.probe is ProbeKind.NONE or track.answered_at is None:
        return Check(kind=CheckKind.RESPONDS, verdict=found.status, message=found.words)
    value: float | str | None = track.p95
    limit: float | str = rules.degraded_latency
    if track.failures:
        value, limit = f"{track.failures} failed in a row", f"{rules.failures} in a row"
    in_vain = track.failures or not track.has_answered
    return Check(
        kind=CheckKind.RESPONDS,
        verdict=found.status,
        value=value,
        limit=limit,
        seconds=track.seconds,
        # What it said, as it is: a later life of the daemon takes it up from here.
        message=(track.words if in_vain else "") or found.words,
    )


def _resources(instance: Instance, track: Track, rules: Rules) -> Check:
    running = instance.status is InstanceStatus.RUNNING
    usage = track.usage if running else None
    found = using(usage, rules)
    message = found.words
    if usage is not None and usage.cpu_share is not None:
        message += f"; {usage.cpu_share * 100:.0f} % of its cores"
    return Check(
        kind=CheckKind.RESOURCES,
        verdict=found.status,
        value=max(shares_of(usage).values(), default=None),
        limit=rules.degraded_share,
        message=message,
    )
