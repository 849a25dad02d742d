"""What is found of one instance: each question's own answer, before they are weighed.

Words of providers are read here and nowhere else.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import NamedTuple

from swarmd.core.health.facts import Seen, Usage
from swarmd.core.health.rules import Rules
from swarmd.core.health.track import Track
from swarmd.core.recovery.held import words_of_hold
from swarmd.core.sight import is_lost
from swarmd.errors import InstanceNotFound
from swarmd.messages.enums import HealthStatus, InstanceStatus, ProbeKind
from swarmd.messages.health import Illness
from swarmd.messages.instance import Instance
from swarmd.messages.units import Size

UNKNOWN = HealthStatus.UNKNOWN
HEALTHY = HealthStatus.HEALTHY
DEGRADED = HealthStatus.DEGRADED
UNHEALTHY = HealthStatus.UNHEALTHY

_NO_MEMORY = re.compile(r"memory limit was reached|out of memory|\boom[ -]?kill", re.IGNORECASE)
_NO_CONTAINER = re.compile(r"\bits container (was removed|is gone|is missing)", re.IGNORECASE)
_NO_WORKSPACE = re.compile(
    r"\bits (folder|volume|workspace) (was removed|is gone|is missing)", re.IGNORECASE
)


class Finding(NamedTuple):
    """What one question comes to."""

    status: HealthStatus
    illness: Illness | None
    words: str


# --- how it ended ----------------------------------------------------------------------------


def is_out_of_memory(words: str) -> bool:
    """Whether the words of an end say that memory ran out.

    Both providers say "the memory limit was reached"; engines say "OOMKilled".
    """
    return _NO_MEMORY.search(words) is not None


def ended(instance: Instance, seen: Seen) -> Finding:
    """Why one that is to run does not: the illness that decides what helps.

    Lost is what reconciliation found nowhere, and what lacks its files. Missing is what can
    be made again around them: the provider shows it as stopped, and says that only its
    container was removed.
    """
    found = _ended(instance, seen)
    held = words_of_hold(instance)
    return found if held is None else found._replace(words=held)


def _ended(instance: Instance, seen: Seen) -> Finding:
    told = _told(instance, seen)
    words = next((each for each in told if each), "no reason is known")
    if _lost(instance, told):
        step = _step_of(instance)
        return Finding(
            UNHEALTHY, Illness.LOST, f"it is lost: {words}" + (f". {step}" if step else "")
        )
    if any(_NO_CONTAINER.search(each) for each in told):
        return Finding(UNHEALTHY, Illness.MISSING, f"it is missing at its provider: {words}")
    if any(is_out_of_memory(each) for each in told):
        limit = instance.config.resources.memory
        named = f" of {limit}" if limit else ""
        return Finding(
            UNHEALTHY, Illness.OUT_OF_MEMORY, f"it reached its memory limit{named}: {words}"
        )
    return Finding(UNHEALTHY, Illness.EXITED, f"it does not run although it is to: {words}")


def _step_of(instance: Instance) -> str:
    """What its error says can be done."""
    failure = instance.last_error if instance.status is InstanceStatus.ERROR else None
    return str(failure.details.get("next_step") or "") if failure is not None else ""


def _told(instance: Instance, seen: Seen) -> tuple[str, ...]:
    """All that was said of its end, the fullest first."""
    failure = instance.last_error
    if instance.status is not InstanceStatus.ERROR or failure is None:
        return (seen.exit or "",)
    return failure.message, seen.exit or "", str(failure.details.get("exit", ""))


def _lost(instance: Instance, told: tuple[str, ...]) -> bool:
    failure = instance.last_error if instance.status is InstanceStatus.ERROR else None
    nowhere = failure is not None and failure.type == InstanceNotFound.type
    return is_lost(instance) or nowhere or any(_NO_WORKSPACE.search(each) for each in told)


# --- what it answers -------------------------------------------------------------------------


def responding(instance: Instance, track: Track, rules: Rules, now: datetime) -> Finding:
    """What its answers say of one that runs."""
    if rules.probe is ProbeKind.NONE:
        return Finding(UNKNOWN, None, "it is never asked: its probe is none")
    if track.failures:
        return _failing(track, rules, graced=_in_grace(instance, rules, now))
    if not track.has_answered:
        if track.answered_at is None:
            return Finding(UNKNOWN, None, "it was not asked yet")
        return Finding(UNKNOWN, None, f"it has not answered yet: {track.words}")
    if (track.p95 or 0.0) > rules.degraded_latency:
        words = f"it is slow: the p95 of its last answers is over {rules.degraded_latency:g} s"
        return Finding(DEGRADED, Illness.SLOW, words)
    return Finding(HEALTHY, None, "it answers")


def _failing(track: Track, rules: Rules, *, graced: bool) -> Finding:
    # How often is told by the check alone: these words go into the history, where the same
    # ones take no room.
    if graced and not track.has_answered:
        return Finding(UNKNOWN, None, f"it has not answered yet: {track.words}")
    if graced or track.failures < rules.failures:
        return Finding(DEGRADED, None, f"it did not answer lately: {track.words}")
    return Finding(UNHEALTHY, Illness.HUNG, f"it runs and does not answer: {track.words}")


def _in_grace(instance: Instance, rules: Rules, now: datetime) -> bool:
    started = instance.started_at
    return started is not None and now - started < timedelta(seconds=rules.grace)


# --- what it uses ----------------------------------------------------------------------------

_RELIEF = {
    "memory": "end something in it, or raise resources.memory",
    "disk": "make room where its files lie",
}


def using(usage: Usage | None, rules: Rules) -> Finding:
    """What its use of memory and disk says of one that runs."""
    shares = shares_of(usage)
    if usage is None or not shares:
        return Finding(UNKNOWN, None, "its use of memory and disk is not known")
    scarce = [what for what, share in shares.items() if share >= rules.degraded_share]
    if scarce:
        used = " and ".join(_used(what, shares[what], usage) for what in scarce)
        relief = " and ".join(_RELIEF[what] for what in scarce)
        return Finding(DEGRADED, Illness.STARVED, f"it uses {used}: {relief}")
    return Finding(HEALTHY, None, "it has memory and disk to spare")


def _used(what: str, share: float, usage: Usage) -> str:
    """A memory's limit is somebody's choice; of a disk it counts what is left."""
    size = f"{Size(usage.memory_limit_bytes or 0)}"
    if what == "disk":
        size = f"{Size(max((usage.disk_limit_bytes or 0) - (usage.disk_bytes or 0), 0))} left"
    return f"{share * 100:.0f} % of its {what} ({size})"


def shares_of(usage: Usage | None) -> dict[str, float]:
    """Those shares of memory and disk that are known."""
    if usage is None:
        return {}
    both = {"memory": usage.memory_share, "disk": usage.disk_share}
    return {what: share for what, share in both.items() if share is not None}
