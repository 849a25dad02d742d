"""What was measured last, and the cores that were used in between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from swarmd.actors.measures import Measures, rated
from swarmd.messages.instance import InstanceStats

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def measured(seconds: float, cpu: float | None, name: str = "i1") -> InstanceStats:
    return InstanceStats(id=name, cpu_seconds=cpu, taken_at=AT + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("before", "now", "cores"),
    [
        (None, measured(10, 5.0), None),
        (measured(0, 1.0), measured(10, 6.0), 0.5),
        (measured(0, 6.0), measured(10, 1.0), None),
        (measured(10, 1.0), measured(10, 2.0), None),
        (measured(0, None), measured(10, 2.0), None),
        (measured(0, 1.0), measured(10, None), None),
    ],
    ids=["first", "half a core", "another life", "no time", "not known before", "not known"],
)
def test_the_cores_between_two_measurements(
    before: InstanceStats | None, now: InstanceStats, cores: float | None
) -> None:
    assert rated(now, before).cpu_cores == cores


def test_the_latest_is_told_and_what_is_gone_forgotten() -> None:
    known = {"i1", "i2"}
    measures = Measures(lambda: known)
    measures.note([measured(0, 1.0), measured(0, 1.0, "i2")])
    measures.note([measured(10, 3.0)])
    assert [each.cpu_cores for each in measures.of(["i1", "i2", "i3"])] == [0.2, None]
    known.remove("i2")
    measures.note([measured(20, 3.0)])
    assert [each.id for each in measures.of(["i1", "i2"])] == ["i1"]
