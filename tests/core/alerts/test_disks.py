"""The daemon's own disks: the doctor's measure, with a margin."""

from __future__ import annotations

import pytest

from swarmd.core.alerts.disks import judge
from swarmd.core.doctor import Disk
from swarmd.messages.alert import AlertKey
from swarmd.messages.enums import AlertType

GIB = 1 << 30
FULL: AlertKey = (AlertType.DISK_FULL, "state")


def disk(free: float, total: float = 10.0, problem: str | None = None) -> Disk:
    return Disk("state", "/var/lib/swarmd", int(free * GIB), int(total * GIB), problem)


@pytest.mark.parametrize(
    ("seen", "raised", "stays"),
    [
        (disk(0.5), True, True),
        (disk(1.0), False, True),
        (disk(1.2), False, False),
        (disk(40, 1000), True, True),  # 5 % of a large disk
        (disk(52, 1000), False, True),
        (disk(60, 1000), False, False),
        (disk(0.1, problem="it is not there"), False, False),
    ],
)
def test_nearly_full(seen: Disk, raised: bool, stays: bool) -> None:
    assert (FULL in judge([seen], set(), margin=0.1).conditions) is raised
    assert (FULL in judge([seen], {FULL}, margin=0.1).conditions) is stays


def test_what_cannot_be_looked_at_changes_nothing() -> None:
    sight = judge([disk(0, problem="it is not there")], {FULL}, margin=0.1)
    assert sight.unsure == {FULL}


def test_the_alert_tells_how_much_is_left() -> None:
    [found] = judge([disk(0.25)], set(), margin=0.1).conditions.values()
    told = "The disk of state is nearly full: 256m of 10.0 GiB free (/var/lib/swarmd)"
    assert found.message == told
    assert (found.details["value"], found.details["threshold"]) == (GIB // 4, GIB)
