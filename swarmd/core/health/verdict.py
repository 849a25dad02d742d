"""What is concluded of one instance from all that is known of it.

The order of the questions is the rule: a provider that does not answer says nothing of its
instances, a user's wish stands above every illness, and what is being done right now is not
judged. Only then the instance itself is looked at.
"""

from __future__ import annotations

from datetime import datetime

from swarmd.core.health.checks import checks
from swarmd.core.health.facts import Seen, Verdict
from swarmd.core.health.findings import (
    DEGRADED,
    HEALTHY,
    UNKNOWN,
    Finding,
    ended,
    is_out_of_memory,
    responding,
    using,
)
from swarmd.core.health.rules import Rules
from swarmd.core.health.track import Track
from swarmd.core.lifecycle import BUSY
from swarmd.messages.enums import (
    DesiredState,
    HealthStatus,
    InstanceStatus,
    Origin,
    ProbeKind,
)
from swarmd.messages.health import Illness
from swarmd.messages.instance import Instance

__all__ = ["Seen", "Verdict", "is_in_doubt", "is_out_of_memory", "verdict"]

_GOING = (InstanceStatus.DELETING, InstanceStatus.DELETED)


def verdict(
    instance: Instance, track: Track, rules: Rules, *, seen: Seen, now: datetime
) -> Verdict:
    """Conclude how an instance is.

    While a user's operation is under way the status stays, and so does the illness: nothing
    is to be decided about an instance that is ``busy``.

    Args:
        instance: Its record.
        track: What is remembered of it; not changed (``Track.conclude`` takes the verdict).
        rules: What holds for it.
        seen: What the last look at its provider showed.
        now: The time, UTC.
    """
    found = (
        _provider(seen)
        or _not_to_run(instance)
        or _under_way(instance, track, seen)
        or _not_running(instance, seen)
        or _running(instance, track, rules, seen, now)
    )
    return Verdict(
        status=found.status,
        illness=found.illness,
        details=_details(found, rules),
        checks=checks(instance, track, rules, seen=seen, now=now),
    )


def _details(found: Finding, rules: Rules) -> str:
    if found.status is HealthStatus.UNHEALTHY and not rules.recover:
        return f"{found.words}; it is not recovered by itself (swarmctl recover does it by hand)"
    return found.words


def _provider(seen: Seen) -> Finding | None:
    if seen.provider_ok:
        return None
    words = f"its provider does not answer: {seen.provider_message or 'no reason is known'}"
    return Finding(UNKNOWN, Illness.PROVIDER, words)


def _not_to_run(instance: Instance) -> Finding | None:
    if instance.desired is DesiredState.DELETED or instance.status in _GOING:
        return Finding(UNKNOWN, None, "it is deleted, or about to be")
    if instance.desired is not DesiredState.RUNNING:
        return Finding(UNKNOWN, None, "it is not to run")
    return None


def _under_way(instance: Instance, track: Track, seen: Seen) -> Finding | None:
    if seen.busy in (Origin.RECOVERY, Origin.RECONCILE):
        return Finding(HealthStatus.RECOVERING, None, f"it is being brought back ({seen.busy})")
    if seen.busy is not None:
        return Finding(track.status, track.illness, f"an operation is under way ({seen.busy})")
    if instance.status is InstanceStatus.RECOVERING:
        return Finding(HealthStatus.RECOVERING, None, "it is being brought back")
    if instance.status in BUSY:
        # Its operation has just ended, and the record is about to say how.
        return Finding(track.status, track.illness, f"it is {instance.status}")
    return None


def _not_running(instance: Instance, seen: Seen) -> Finding | None:
    if instance.status is InstanceStatus.RUNNING:
        return None
    if instance.status is InstanceStatus.UNKNOWN:
        return Finding(UNKNOWN, None, "what became of it is not known yet")
    return ended(instance, seen)


def _running(instance: Instance, track: Track, rules: Rules, seen: Seen, now: datetime) -> Finding:
    answers, use = responding(instance, track, rules, now), using(track.usage, rules)
    if answers.illness is Illness.HUNG:
        answers = _surely_hung(answers, track, seen)
    if seen.present is False and (absent := _absent(answers, rules)) is not None:
        return absent
    if answers.status in (HealthStatus.UNHEALTHY, DEGRADED):
        return answers
    if use.status is DEGRADED:
        return use
    if rules.probe is ProbeKind.NONE:
        return Finding(HEALTHY, None, "it runs; it is never asked (its probe is none)")
    if answers.status is HEALTHY and track.mending and track.successes < rules.successes:
        return Finding(DEGRADED, None, "it answers again, but not often enough in a row yet")
    return answers


def is_in_doubt(track: Track, seen: Seen) -> bool:
    """Whether its provider was not looked at since it is suspected to hang."""
    return track.suspected_at is not None and seen.at < track.suspected_at


def _surely_hung(answers: Finding, track: Track, seen: Seen) -> Finding:
    """One that ended does not answer either: it is no hang, and what helps depends on its end.

    Only a look that is newer than the suspicion tells them apart. That it ended is dealt with by
    who reconciles.
    """
    if is_in_doubt(track, seen):
        words = f"it does not answer, and whether it runs is looked at: {track.words}"
        return Finding(DEGRADED, None, words)
    if seen.runs is False:
        return Finding(DEGRADED, None, f"it has ended: {seen.exit or 'no reason is known'}")
    return answers


def _absent(answers: Finding, rules: Rules) -> Finding | None:
    """What follows if the last list lacks one that is recorded as running.

    One list is no proof, and it may be older than the instance: what answers is there. What
    does not is not restarted, which would only fail: reconciliation asks for it directly.
    """
    words = "the last list of its provider lacks it; it is looked for"
    if rules.probe is ProbeKind.NONE:
        return Finding(UNKNOWN, None, words)
    return Finding(DEGRADED, None, words) if answers.status is HealthStatus.UNHEALTHY else None
