"""What a provider measures of an instance, as health looks at it."""

from __future__ import annotations

from swarmd.core.health.facts import Usage
from swarmd.messages.instance import InstanceStats


def usage_of(stats: InstanceStats) -> Usage:
    """The same figures; what a provider cannot tell stays unknown."""
    return Usage(
        memory_bytes=stats.memory_bytes,
        memory_limit_bytes=stats.memory_limit_bytes,
        disk_bytes=stats.disk_bytes,
        disk_limit_bytes=stats.disk_limit_bytes,
    )
