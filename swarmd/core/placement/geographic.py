"""``geographic``: the nearest region, then the emptiest (seed 000, section 2.5)."""

from __future__ import annotations

from swarmd.core.placement.asking import Candidate
from swarmd.core.placement.regions import is_in, is_near
from swarmd.core.placement.scoring import Score, Strategy
from swarmd.messages.instance import InstanceConfig


def _score(candidate: Candidate, config: InstanceConfig) -> Score:
    """2 for the region itself, 1 for its area; the emptiest decides among equals.

    An empty provider adds 1 and a busier one less, but always more than nothing: no emptiness
    makes up for a region.
    """
    emptiness = 1.0 / (1 + candidate.info.instances)
    wanted = config.region
    if wanted is None:
        return Score({"region": 0.0, "emptiness": emptiness})
    if is_in(wanted, candidate.info):
        return Score({"region": 2.0, "emptiness": emptiness})
    if is_near(wanted, candidate.info):
        return Score({"region": 1.0, "emptiness": emptiness}, f"in the same area as {wanted}")
    return Score({"region": 0.0, "emptiness": emptiness}, f"not near {wanted}")


STRATEGY = Strategy(
    "geographic",
    "the region that is asked for, else the same area, else the fewest instances",
    _score,
    weighs_region=True,
)
