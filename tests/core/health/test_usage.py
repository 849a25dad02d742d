"""A provider's figures as health looks at them."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.core.health.facts import Usage
from swarmd.core.health.usage import usage_of
from swarmd.messages.instance import InstanceStats
from tests.core.samples import NOW


@pytest.mark.parametrize(
    ("figures", "memory", "disk"),
    [
        ({}, None, None),
        ({"memory_bytes": 5}, None, None),
        ({"memory_bytes": 5, "memory_limit_bytes": 10}, 0.5, None),
        ({"disk_bytes": 9, "disk_limit_bytes": 10}, None, 0.9),
        ({"disk_bytes": 0, "disk_limit_bytes": 0}, None, 1.0),
        (
            {"memory_bytes": 0, "memory_limit_bytes": 1, "disk_bytes": 3, "disk_limit_bytes": 2},
            0,
            1.5,
        ),
    ],
)
def test_shares_of_what_is_known(
    figures: dict[str, Any], memory: float | None, disk: float | None
) -> None:
    stats = InstanceStats(id="i1", taken_at=NOW, cpu_seconds=7.0, pids=3, **figures)
    usage = usage_of(stats)
    assert usage == Usage(**figures)
    assert (usage.memory_share, usage.disk_share) == (memory, disk)
