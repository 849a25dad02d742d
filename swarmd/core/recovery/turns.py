"""How many instances of a provider are being brought back: only so many may be at once."""

from __future__ import annotations

from swarmd.core.recovery.again import is_automatic
from swarmd.core.tables import Tables


def under_way(tables: Tables, provider: str) -> int:
    """Automatic starts and restarts of this provider's instances, begun or about to begin."""
    count = 0
    for target in tables.active:
        row = tables.instances.get(target)
        if row is not None and row.provider == provider:
            count += any(is_automatic(each) for each in tables.active_of(target))
    return count
