"""``cost``: the cheapest (seed 000, section 2.5)."""

from __future__ import annotations

from swarmd.core.placement.asking import Candidate
from swarmd.core.placement.scoring import Score, Strategy, sizes
from swarmd.messages.instance import InstanceConfig


def _score(candidate: Candidate, config: InstanceConfig) -> Score:
    """What the instance would cost an hour: ``cost_per_hour`` times its size, less is better.

    ``cost_per_hour`` is that of the largest instance there; the size is the share of it that is
    asked for, of cpu or memory whichever is larger. What asks for neither may take all of it.
    """
    price, caps = candidate.info.cost_per_hour, candidate.info.capabilities
    if price is None:
        return Score({}, "its cost_per_hour is not known", known=False)
    shares = [
        asked / most
        for name, most, asked in (sizes(caps, config) if caps is not None else ())
        if asked is not None and name != "storage"
    ]
    size = max(shares, default=1.0)
    return Score({"cost": -price * size or 0.0}, f"{price * size:g} an hour")


STRATEGY = Strategy("cost", "the lowest cost_per_hour for what is asked for", _score)
