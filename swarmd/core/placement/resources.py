"""``resources``: the most that is left of cpu, memory and disk (seed 000, section 2.5)."""

from __future__ import annotations

from swarmd.core.placement.asking import Candidate
from swarmd.core.placement.scoring import Score, Strategy, sizes
from swarmd.messages.instance import InstanceConfig


def _score(candidate: Candidate, config: InstanceConfig) -> Score:
    """The share that no instance has asked for, once this one is there too.

    Of the cores the provider has; of memory and storage as much as one instance may have, which
    is all that a provider tells of them. Below 0 more was asked for than there is.
    """
    caps = candidate.info.capabilities
    if caps is None:
        return Score({})
    parts: dict[str, float] = dict.fromkeys(("cpu", "memory", "storage"), 1.0)
    taken = {"cpu": candidate.cpu, "memory": candidate.memory, "storage": candidate.storage}
    for name, most, asked in sizes(caps, config):
        whole = caps.max_resources_per_instance.cpu.cores if name == "cpu" else most
        parts[name] = (whole - taken[name] - (asked or 0.0)) / (whole or most)
    return Score(parts)


STRATEGY = Strategy(
    "resources", "the largest share of cores, memory and disk that nobody asked for", _score
)
