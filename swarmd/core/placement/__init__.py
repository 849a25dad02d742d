"""At which provider a new instance is made, or why at none (issue 4, part 5).

The order: what the request or its configuration names; else ``daemon.default_provider`` if it
takes the instance; else whom the strategy gives the highest score. ``filters.py`` says who takes
it, each strategy has a file of its own, ``strategies.py`` lists them.
"""

from swarmd.core.placement.asking import Ask, Candidate, Rules
from swarmd.core.placement.choosing import place, told
from swarmd.core.placement.filters import refusal, unknown_provider
from swarmd.core.placement.strategies import STRATEGIES, strategy_named

__all__ = [
    "STRATEGIES",
    "Ask",
    "Candidate",
    "Rules",
    "place",
    "refusal",
    "strategy_named",
    "told",
    "unknown_provider",
]
