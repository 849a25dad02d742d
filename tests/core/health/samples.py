"""Rules, sights and tracks for the tests of health."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from swarmd.core.health.facts import Seen, Verdict
from swarmd.core.health.rules import Rules, rules_of
from swarmd.core.health.track import Track
from swarmd.core.health.verdict import verdict
from swarmd.messages.config import HealthConfig
from swarmd.messages.enums import HealthStatus
from swarmd.messages.health import Check, CheckKind, Illness
from swarmd.messages.instance import HealthCheck, Instance
from tests.core.samples import NOW, instance, later

THERE = Seen(present=True)
FAR = later(3600)
"""Long after every time of grace."""


def rules(**values: Any) -> Rules:
    return replace(rules_of(HealthConfig(), HealthCheck()), **values)


def asked(*answers: bool, seconds: float = 0.01, since: datetime = NOW) -> Track:
    """The track of one that was asked so often, ten seconds apart."""
    track = Track()
    track.started(since)
    for number, ok in enumerate(answers, 1):
        words = "200" if ok else "connection refused"
        track.answered(ok, seconds, words, later(10 * number))
    return track


def judged(
    track: Track | None = None,
    record: Instance | None = None,
    *,
    seen: Seen = THERE,
    now: datetime = FAR,
    **values: Any,
) -> Verdict:
    """What is concluded; ``values`` are of the rules."""
    row = instance(started_at=NOW) if record is None else record
    return verdict(row, track or asked(True), rules(**values), seen=seen, now=now)


def check(found: Verdict, kind: CheckKind) -> Check:
    return next(each for each in found.checks if each.kind is kind)


def outcome(found: Verdict) -> tuple[HealthStatus, Illness | None]:
    return found.status, found.illness
