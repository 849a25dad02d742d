"""``balanced``: seed 000, section 4.2, with units. The default."""

from __future__ import annotations

from swarmd.core.placement.asking import Candidate
from swarmd.core.placement.scoring import Score, Strategy, free_share, sizes
from swarmd.messages.instance import InstanceConfig


def _score(candidate: Candidate, config: InstanceConfig) -> Score:
    """Free share of instances, headroom of what is asked for, priority.

    What a provider does not limit has all of its headroom: 1. What is not asked for counts at
    no provider.
    """
    parts = {"capacity": free_share(candidate)}
    caps, wanted = candidate.info.capabilities, config.resources
    for name in ("cpu", "memory", "storage"):
        if getattr(wanted, name) is not None:
            parts[name] = 1.0
    if caps is not None:
        for name, most, asked in sizes(caps, config):
            if asked is not None:
                parts[name] = (most - asked) / most
    parts["priority"] = candidate.info.priority
    return Score(parts)


STRATEGY = Strategy(
    "balanced", "room for instances, headroom of what is asked for, and priority", _score
)
