"""What an engine's figures become, without an engine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from swarmd.messages.instance import Resources
from swarmd.messages.units import Storage
from swarmd.providers.docker.marks import volume_name
from swarmd.providers.docker.options import DockerOptions
from swarmd.providers.docker.usage import Usage
from tests.core.samples import NOW, config, instance

ROW = instance(1, config=config(resources=Resources(storage=Storage(5 << 30))))


def figures(*, limited: bool, sizes: dict[str, int]) -> Any:
    """What is told of an instance that runs."""
    engine = SimpleNamespace(
        volume_sizes=lambda _seconds: sizes,
        stats=lambda _ref, _seconds: {"memory_stats": {"usage": 7, "limit": 70}},
    )
    clock = SimpleNamespace(now=lambda: NOW, monotonic=lambda: 1.0)
    context = SimpleNamespace(
        engine=engine, clock=clock, counts=True, limits_storage=limited, options=DockerOptions()
    )
    seen = SimpleNamespace(id=ROW.id, ref="c1", state="running")
    usage = Usage(cast(Any, context), cast(Any, SimpleNamespace(containers=lambda: [seen])))
    usage.refresh()
    [found] = usage.of([ROW])
    return found


@pytest.mark.parametrize(
    ("limited", "sizes", "expected"),
    [
        (True, {volume_name(ROW.id): 11}, (11, 5 << 30)),
        (False, {volume_name(ROW.id): 11}, (11, None)),
        (True, {}, (None, None)),
    ],
)
def test_the_disk_has_a_limit_where_volumes_have_a_size(
    limited: bool, sizes: dict[str, int], expected: tuple[int | None, int | None]
) -> None:
    found = figures(limited=limited, sizes=sizes)
    assert (found.disk_bytes, found.disk_limit_bytes) == expected
    assert (found.memory_bytes, found.memory_limit_bytes) == (7, 70)
