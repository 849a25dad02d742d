"""The health of an instance: what each check found, and how it went lately."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from swarmd.messages.activity import LastActivity
from swarmd.messages.enums import HealthStatus


class CheckKind(StrEnum):
    """The four questions about an instance (seed 001, Health Checks)."""

    EXISTS = "exists"
    STATUS = "status"
    RESPONDS = "responds"
    RESOURCES = "resources"


class Illness(StrEnum):
    """What is wrong with an instance that is not healthy; each has its own remedy."""

    EXITED = "exited"
    HUNG = "hung"
    OUT_OF_MEMORY = "out_of_memory"
    MISSING = "missing"
    LOST = "lost"
    STARVED = "starved"
    SLOW = "slow"
    PROVIDER = "provider"


class Check(Struct, frozen=True, kw_only=True):
    """What one question was answered.

    Args:
        kind: The question.
        verdict: healthy, degraded, unhealthy, or unknown if it could not be asked.
        value: What was found: a status, seconds, a share of 1.
        limit: What it was held against; None where there is none.
        seconds: How long the answer took.
        message: The same in words.
    """

    kind: CheckKind
    verdict: HealthStatus
    value: float | str | None = None
    limit: float | str | None = None
    seconds: float | None = None
    message: str = ""


class HealthPoint(Struct, frozen=True, kw_only=True, array_like=True):
    """One entry of the history. An array on the wire and on disk: there are many."""

    at: datetime
    status: HealthStatus
    seconds: float | None = None
    message: str = ""


class KeptHold(Struct, frozen=True, kw_only=True):
    """That one that runs and is ill is left alone, for as long as this life of it lasts.

    Args:
        life: When it was started, as its record says.
        why: What is wrong, and what was tried.
        step: What can be done; ``NAME`` stands for the instance.
    """

    life: datetime | None
    why: str
    step: str


class InstanceHealth(Struct, frozen=True, kw_only=True):
    """The health of one instance (seed 000 section 2.3).

    Args:
        id: The instance's.
        ref: Its ``owner/name``.
        status: The conclusion.
        last_checked: When it was asked last; None if never.
        since: When the status became what it is.
        details: The conclusion in words.
        illness: What is wrong, unless it is healthy.
        failures: Answers in a row that failed.
        checks: What each question was answered last.
        history: The latest points, oldest first.
        activity: How it was used last; on disk alone.
        hold: Why nothing is done about it although it is ill and runs; on disk alone.
    """

    id: str
    ref: str
    status: HealthStatus
    last_checked: datetime | None = None
    since: datetime | None = None
    details: str = ""
    illness: Illness | None = None
    failures: int = 0
    checks: tuple[Check, ...] = ()
    history: tuple[HealthPoint, ...] = ()
    activity: LastActivity | None = None
    hold: KeptHold | None = None
    version: int = 1
