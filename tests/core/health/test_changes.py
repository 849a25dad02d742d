"""What a changed health writes: records, events and stories, all in one change."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.health.changes import Finding, note_findings
from swarmd.core.health.facts import Verdict
from swarmd.core.tables import Change, Tables
from swarmd.messages.enums import EventType, HealthStatus
from swarmd.messages.health import Illness
from swarmd.messages.instance import Instance
from tests.core.samples import instance, later, make_id

HEALTHY, DEGRADED = HealthStatus.HEALTHY, HealthStatus.DEGRADED
UNHEALTHY, UNKNOWN = HealthStatus.UNHEALTHY, HealthStatus.UNKNOWN
RECOVERING = HealthStatus.RECOVERING
AT: datetime = later(60)


def tables(*rows: Instance) -> Tables:
    return Tables.build(rows, (), (), 0)


def found(
    status: HealthStatus, number: int = 1, *, illness: Illness | None = None, words: str = "words"
) -> Finding:
    return Finding(make_id(number), Verdict(status, illness, words, ()))


def test_a_new_health_is_written_told_and_kept() -> None:
    row = instance(1, health=HEALTHY, revision=7)
    hung = found(UNHEALTHY, illness=Illness.HUNG, words="it runs and does not answer: timed out")
    change = note_findings(tables(row), [hung], AT)
    [after] = change.instances
    assert after.health is UNHEALTHY
    assert (after.status, after.desired, after.config) == (row.status, row.desired, row.config)
    [event] = change.events
    assert event.type is EventType.INSTANCE_HEALTH_CHANGED
    assert event.target == row.id
    assert event.data["health"] == "unhealthy"
    assert event.data["before"] == "healthy"
    assert event.data["illness"] == "hung"
    assert event.data["why"] == "it runs and does not answer: timed out"
    [(target, reason)] = change.reasons
    assert (target, reason.at, reason.by) == (row.id, AT, "health")
    assert reason.what == "health: healthy → unhealthy"
    assert reason.why == "it runs and does not answer: timed out"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("it is held: a crash loop. Look at its log.", "it is held"),
        ("it runs and is held: a crash loop. Look at its log.", "it runs and is held"),
        ("it answers", "it answers"),
        ("", "unhealthy"),
    ],
)
def test_why_it_is_held_is_told_once(words: str, why: str) -> None:
    change = note_findings(tables(instance(1, health=HEALTHY)), [found(UNHEALTHY, words=words)], AT)
    [(_, reason)] = change.reasons
    assert reason.why == why
    assert change.events[0].data["why"] == words


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (UNKNOWN, HEALTHY, False),
        (HEALTHY, UNKNOWN, False),
        (HEALTHY, RECOVERING, False),
        (RECOVERING, HEALTHY, False),
        (HEALTHY, DEGRADED, True),
        (DEGRADED, HEALTHY, True),
        (UNHEALTHY, RECOVERING, True),
        (UNKNOWN, UNHEALTHY, True),
    ],
)
def test_the_story_tells_of_illness_and_the_way_back(
    before: HealthStatus, after: HealthStatus, told: bool
) -> None:
    change = note_findings(tables(instance(1, health=before)), [found(after)], AT)
    assert bool(change.reasons) is told
    assert len(change.events) == 1


def test_without_an_illness_and_words_the_status_is_the_reason() -> None:
    change = note_findings(tables(instance(1, health=UNHEALTHY)), [found(HEALTHY, words="")], AT)
    assert change.events[0].data["illness"] is None
    assert change.reasons[0][1].why == "healthy"


def test_what_is_the_same_or_gone_writes_nothing() -> None:
    row = instance(1, health=HEALTHY)
    both = [found(HEALTHY), found(UNHEALTHY, number=2)]
    assert note_findings(tables(row), both, AT) == Change()


STATUSES = st.sampled_from(list(HealthStatus))


@given(st.lists(STATUSES, max_size=6), st.lists(STATUSES, max_size=8))
def test_what_is_written_is_what_was_found(
    before: list[HealthStatus], after: list[HealthStatus]
) -> None:
    """Exactly those that differ; a second time nothing."""
    rows = [instance(n, name=f"n{n}", health=health) for n, health in enumerate(before)]
    findings = [found(status, number=n) for n, status in enumerate(after)]
    change = note_findings(tables(*rows), findings, AT)
    expected = {
        make_id(n): after[n] for n in range(min(len(before), len(after))) if before[n] != after[n]
    }
    assert {each.id: each.health for each in change.instances} == expected
    assert [event.target for event in change.events] == [each.id for each in change.instances]
    written = {row.id: row for row in rows} | {row.id: row for row in change.instances}
    assert note_findings(tables(*written.values()), findings, AT) == Change()
