"""The strategies. A new one is a file beside these and its line here."""

from __future__ import annotations

from swarmd.core.placement import (
    balanced,
    capabilities,
    cost,
    geographic,
    least_instances,
    resources,
)
from swarmd.core.placement.scoring import Strategy

STRATEGIES: tuple[Strategy, ...] = (
    balanced.STRATEGY,
    least_instances.STRATEGY,
    resources.STRATEGY,
    capabilities.STRATEGY,
    geographic.STRATEGY,
    cost.STRATEGY,
)
"""The first is the default."""

_BY_NAME = {strategy.name: strategy for strategy in STRATEGIES}


def strategy_named(name: str) -> Strategy:
    """The strategy of this name; the default one for a name that a newer version wrote."""
    return _BY_NAME.get(name, STRATEGIES[0])
