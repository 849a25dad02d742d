"""What instances use, and when they were used: figures that change without an event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from swarmd.messages.activity import Idle
from swarmd.messages.instance import InstanceStats

IDLE_FIELDS: Final = ("id", "idle")
"""What is asked of ``instance.list`` beside the figures."""

_FULL: Final = 0.9
"""From this share of its memory on an instance is degraded, unless the settings say otherwise."""


@dataclass(frozen=True, slots=True)
class Use:
    """One instance; None where nobody can tell.

    Args:
        cores: How many it used since it was measured before.
        memory: Bytes.
        limit: Bytes that it may have.
        last_used: When somebody used it last.
    """

    cores: float | None = None
    memory: int | None = None
    limit: int | None = None
    last_used: datetime | None = None

    @property
    def tight(self) -> bool:
        """Whether it uses nearly all of the memory that it may have."""
        return bool(self.memory and self.limit and self.memory >= _FULL * self.limit)


NOTHING: Final = Use()


def uses_of(stats: Iterable[InstanceStats], items: Iterable[Mapping[str, Any]]) -> dict[str, Use]:
    """What is known of each, by id.

    Args:
        stats: What was measured.
        items: Of ``instance.list``, with ``IDLE_FIELDS``.

    Raises:
        msgspec.ValidationError: They are not what this version knows.
    """
    measured = {each.id: each for each in stats}
    used = {
        str(item["id"]): msgspec.convert(item["idle"], Idle) for item in items if item.get("idle")
    }
    return {
        each: _use(measured.get(each), used.get(each)) for each in measured.keys() | used.keys()
    }


def _use(stats: InstanceStats | None, idle: Idle | None) -> Use:
    last = idle.last_used if idle is not None else None
    if stats is None:
        return Use(last_used=last)
    return Use(stats.cpu_cores, stats.memory_bytes, stats.memory_limit_bytes, last)
