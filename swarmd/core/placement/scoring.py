"""What a strategy is: a name, and a score for each provider that takes the instance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from swarmd.core.placement.asking import Candidate
from swarmd.messages.instance import InstanceConfig
from swarmd.messages.provider import Capabilities, InstanceLimits


@dataclass(frozen=True, slots=True)
class Score:
    """What a provider is given: the higher the sum of the parts, the better.

    Args:
        parts: What it is made of, by name.
        note: What the numbers do not say.
        known: If not, there is nothing to go by, and it comes after all that are known.
    """

    parts: Mapping[str, float]
    note: str = ""
    known: bool = True

    @property
    def total(self) -> float:
        """The sum, rounded: two that are equal but for the order of their sums are equal."""
        return round(sum(self.parts.values(), 0.0), 9)


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to choose.

    Args:
        name: As ``[placement] strategy`` names it.
        prefers: What it prefers, in words.
        score: Of one provider for one instance.
        weighs_region: Another region is no refusal: the score tells.
    """

    name: str
    prefers: str
    score: Callable[[Candidate, InstanceConfig], Score]
    weighs_region: bool = False


def free_share(candidate: Candidate) -> float:
    """The share of instances that are free; 1 if there is no limit (seed 000, section 4.2).

    Of the provider's most, or of the owner's if less is left of that.
    """
    caps = candidate.info.capabilities
    if caps is None:
        return 1.0
    limits = (
        (caps.max_instances, candidate.info.instances),
        (caps.max_instances_per_user, candidate.owned),
    )
    return min([1.0, *((most - has) / most for most, has in limits if most)])


def sizes(caps: Capabilities, config: InstanceConfig) -> Iterator[tuple[str, float, float | None]]:
    """Of cpu, memory and storage: the name, the most of one instance, what is asked for.

    What the provider does not limit is left out.
    """
    limits, wanted = caps.max_resources_per_instance, config.resources
    most = {"cpu": most_cores(limits), "memory": limits.memory.max}
    most["storage"] = limits.storage.size if limits.storage is not None else None
    for name, limit in most.items():
        if limit:
            asked = getattr(wanted, name)
            yield name, float(limit), None if asked is None else float(asked)


def most_cores(limits: InstanceLimits) -> float:
    """The most cores of one instance."""
    return limits.cpu.cores if limits.cpu.limit is None else limits.cpu.limit
