"""``least_instances``: the fewest instances (seed 000, section 2.5)."""

from __future__ import annotations

from swarmd.core.placement.asking import Candidate
from swarmd.core.placement.scoring import Score, Strategy
from swarmd.messages.instance import InstanceConfig


def _score(candidate: Candidate, _config: InstanceConfig) -> Score:
    return Score({"instances": -float(candidate.info.instances)})


STRATEGY = Strategy("least_instances", "the fewest instances", _score)
