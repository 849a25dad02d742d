"""What is done about one that is not used, or too old: nothing, stop it then, stop it now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from swarmd.core.idle.activity import Activity, Moment
from swarmd.core.idle.rules import IdleRules
from swarmd.core.idle.words import length, moment
from swarmd.messages.enums import DesiredState, HealthStatus, InstanceStatus
from swarmd.messages.instance import Instance

SETTLED = 2.0
"""Seconds between two answers that both tell of no use: a server that is looked at all the time
calls itself ``expired`` for a moment once a minute, just before its next heartbeat."""

_WELL = (HealthStatus.HEALTHY, HealthStatus.DEGRADED)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one instance's use at one moment. Lengths are in seconds.

    Args:
        idle: How long it was not used.
        last: By what it was used last, and when, in words.
        age: How long it runs.
        lease: How long it is to be kept still.
        busy: Whether a command runs in it.
        hears: Whether its server tells of its use; None: it has not answered yet.
        heard: How long ago it told that last.
        quiet: How long ago it told first that nobody uses it.
        hindrance: Why nothing is done about it now; empty: nothing hinders.
    """

    idle: float
    last: str
    age: float
    lease: float = 0.0
    busy: bool = False
    hears: bool | None = True
    heard: float | None = None
    quiet: float | None = None
    hindrance: str = ""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What follows.

    Args:
        due: Seconds until it is stopped; None: it is left alone.
        why: The reason in words.
        stop: Whether it is stopped now.
        ask: Whether its server has to be asked once more before it may be stopped.
        age_left: Seconds until its age ends it; None: it does not, or is not held against it now.
        warn: Whether that is near enough to be told.
        look: Seconds until it has to be looked at again; None: when something happens.
    """

    due: float | None
    why: str
    stop: bool = False
    ask: bool = False
    age_left: float | None = None
    warn: bool = False
    look: float | None = None


class _End(NamedTuple):
    """One rule's end: in so many seconds, and whether it may be now."""

    due: float
    why: str
    heard: bool = True


def facts_of(row: Instance, activity: Activity, now: Moment, hindrance: str) -> Facts:
    """What is known of one at this moment."""
    heard, quiet = activity.heard, activity.quiet
    return Facts(
        idle=activity.idle(now),
        last=f"{activity.by}, {moment(activity.last.at)}",
        age=activity.age(now),
        lease=activity.lease(row.keep_until, now),
        busy=activity.busy,
        hears=activity.hears,
        heard=None if heard is None else now.clock - heard,
        quiet=None if quiet is None else now.clock - quiet,
        hindrance=hindrance,
    )


def hindrance_of(row: Instance, health: HealthStatus, failures: int, *, busy: bool) -> str:
    """Why nothing is done about an instance now, in words; empty if nothing hinders.

    Args:
        row: Its record.
        health: What was concluded of it just now; unknown if its provider does not answer.
        failures: Probes in a row that it did not answer.
        busy: Whether an operation is under way on it.
    """
    if row.desired is not DesiredState.RUNNING or row.status is not InstanceStatus.RUNNING:
        return "it does not run, or is not to"
    if busy:
        return "an operation is under way"
    if health is HealthStatus.UNKNOWN:
        return "its health is not known: it is not stopped before it is"
    if health not in _WELL:
        return f"its health is {health}: it is not stopped before that is over"
    if failures:
        return "it did not answer lately: it is not stopped before it does"
    return ""


def decide(rules: IdleRules, facts: Facts) -> Outlook:
    """What follows from the rules and what is known.

    Args:
        rules: What holds for it.
        facts: What is known of it now.
    """
    if not rules.idle_timeout and not rules.max_age:
        return Outlook(None, "")
    if facts.hindrance:
        return Outlook(None, facts.hindrance)
    if not rules.asked:
        facts = replace(facts, hears=None)  # what it told under another probe is stale
    unheard = _unheard(rules, facts)
    # Of two that are due the one that needs no further answer comes first.
    ends = sorted(_ends(rules, facts, unheard), key=lambda end: (max(end.due, 0.0), not end.heard))
    if not ends:
        return Outlook(None, unheard)
    due, why, heard = ends[0]
    if due <= 0:
        return Outlook(due, why, stop=heard, ask=not heard, look=due)
    if not rules.max_age:
        return Outlook(due, why, look=due)
    age_left = _left(rules.max_age - facts.age, facts)
    warn = age_left <= rules.lead
    look = due if warn else min(due, age_left - rules.lead)
    return Outlook(due, why, age_left=age_left, warn=warn, look=look)


def _unheard(rules: IdleRules, facts: Facts) -> str:
    """Why its use is not known well enough to be held against ``idle_timeout``."""
    if not rules.idle_timeout or facts.hears:
        return ""
    if rules.asked and facts.hears is None:
        return "whether it is used is not known yet: its server has not been heard"
    if rules.own:
        return ""
    return (
        "whether a browser uses it is not known (its probe does not tell), so that the general"
        " idle_timeout leaves it alone; one of its own counts commands and operations"
    )


def _ends(rules: IdleRules, facts: Facts, unheard: str) -> Iterator[_End]:
    """When each rule ends it, with a lease taken into account."""
    kept = f"; it is kept for {length(facts.lease)} more" if facts.lease > 0 else ""
    if rules.idle_timeout and not unheard:
        due = _left(rules.idle_timeout - facts.idle, facts)
        yield _End(due, _idle_why(rules, facts) + kept, _is_heard(facts, due))
    if rules.max_age:
        due = _left(rules.max_age - facts.age, facts)
        why = f"it runs for {length(facts.age)}, max_age {length(rules.max_age)}"
        yield _End(due, why + kept)


def _left(seconds: float, facts: Facts) -> float:
    """Until an end; below 0 for as long as it has been due."""
    return max(seconds, facts.lease) if facts.lease > 0 else seconds


def _idle_why(rules: IdleRules, facts: Facts) -> str:
    limit = f"idle_timeout {length(rules.idle_timeout)}"
    if facts.busy:
        return f"a command runs in it; {limit} begins at its end"
    return f"nobody used it for {length(facts.idle)} (last: {facts.last}), {limit}"


def _is_heard(facts: Facts, due: float) -> bool:
    """Whether its server told, after its time had come, that nobody uses it.

    Between two of its answers somebody may have come: the last word before a stop is its own.
    """
    if not facts.hears:
        return True  # it never tells: commands and operations are all that is known
    if facts.heard is None or facts.quiet is None:
        return False
    return facts.heard <= -due and facts.quiet - facts.heard >= SETTLED
