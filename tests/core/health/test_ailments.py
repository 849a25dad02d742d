"""What is wrong with an instance is published beside its record, as long as it is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swarmd.core.health.ailments import Ailment, ailment_of
from swarmd.core.health.changes import Finding, note_findings
from swarmd.core.health.facts import Verdict
from swarmd.core.recovery.held import held_with, hold
from swarmd.core.recovery.remedy import Hold
from swarmd.core.tables import Change, Tables
from swarmd.messages.enums import HealthStatus, InstanceStatus
from swarmd.messages.health import Check, CheckKind, Illness
from tests.core.samples import instance, later, make_id

DEGRADED, UNHEALTHY = HealthStatus.DEGRADED, HealthStatus.UNHEALTHY
HUNG = Ailment(Illness.HUNG, "words")


def verdict(status: HealthStatus, illness: Illness | None, value: float | None = None) -> Verdict:
    check = Check(kind=CheckKind.RESOURCES, verdict=status, value=value, limit=0.9)
    return Verdict(status, illness, "words", (check,))


@pytest.mark.parametrize(
    ("found", "ailment"),
    [
        (verdict(HealthStatus.HEALTHY, None), None),
        (verdict(DEGRADED, None), None),
        (verdict(HealthStatus.UNKNOWN, Illness.PROVIDER), None),
        (verdict(HealthStatus.RECOVERING, None), None),
        (verdict(UNHEALTHY, Illness.HUNG, 0.5), HUNG),
        (
            verdict(DEGRADED, Illness.STARVED, 0.97),
            Ailment(Illness.STARVED, "words", value=0.97, limit=0.9),
        ),
    ],
)
def test_what_a_verdict_leaves(found: Verdict, ailment: Ailment | None) -> None:
    assert ailment_of(found, None) == ailment


def test_what_is_held_stays_so_while_the_illness_stays() -> None:
    held = replace(HUNG, held="a crash loop", next_step="look")
    assert ailment_of(verdict(UNHEALTHY, Illness.HUNG), held) == held
    again = ailment_of(verdict(UNHEALTHY, Illness.EXITED), held)
    assert again is not None
    assert again.held is None


def test_an_illness_that_changes_without_the_health_is_published_without_a_word() -> None:
    row = instance(1, health=DEGRADED)
    tables = Tables.build((row,), (), (), 0)
    for illness in (Illness.SLOW, Illness.STARVED):
        found = Finding(row.id, verdict(DEGRADED, illness, 0.95))
        change = note_findings(tables, [found], later(1))
        assert not change.durable
        tables = tables.apply(change)
        assert tables.ailments[row.id].illness is illness
    assert note_findings(tables, [found], later(2)) == Change()


def test_it_goes_with_its_instance() -> None:
    row = instance(1)
    tables = Tables.build((row,), (), (), 0).apply(
        Change(ailments={row.id: HUNG, make_id(2): HUNG})
    )
    assert tables.apply(Change(drop_instances=(row.id,))).ailments == {make_id(2): HUNG}
    assert tables.apply(Change(ailments={row.id: None})).ailments == {make_id(2): HUNG}


def test_of_one_that_is_held_the_illness_is_known() -> None:
    row = instance(1, status=InstanceStatus.STOPPED)
    tables = Tables.build((row,), (), (), 0)
    for illness in (Illness.LOST, None):
        after = tables.apply(hold(tables, row.id, Hold("why", "next", illness), later(1)))
        assert held_with(after.instances[row.id]) is illness
    assert held_with(row) is None
