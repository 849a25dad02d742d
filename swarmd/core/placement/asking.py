"""What placement looks at: the providers as they are now, what is asked for, and the rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from swarmd.messages.instance import InstanceConfig
from swarmd.messages.provider import Capabilities, ProviderInfo


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says about placing.

    Args:
        default_provider: ``daemon.default_provider``; may name none that exists.
        strategy: The name of a strategy.
        fallback: Whether the next of the ranking is tried where one fails.
        insecure: Whether public access without TLS is allowed.
        watched: Whether health is watched; what stops unused instances hangs on that.
    """

    default_provider: str = ""
    strategy: str = "balanced"
    fallback: bool = True
    insecure: bool = False
    watched: bool = True


@dataclass(frozen=True, slots=True)
class Candidate:
    """A provider as placement sees it.

    Args:
        info: The provider, with its instances counted, those in the trash too.
        owned: How many of them are the owner's.
        cpu: Cores that its instances asked for, together.
        memory: Bytes, likewise.
        storage: Bytes, likewise.
    """

    info: ProviderInfo
    owned: int = 0
    cpu: float = 0.0
    memory: int = 0
    storage: int = 0

    @property
    def name(self) -> str:
        """The provider's name."""
        return self.info.name


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to every filter.

    Args:
        weighs_region: The strategy weighs the region, so that no other one is refused.
        able: What each provider can do, by name: a refusal says who could.
        unheard: Providers that were not heard of since the daemon's start, and may take it all
            the same: they say so themselves when it is their turn.
    """

    config: InstanceConfig
    insecure: bool = False
    weighs_region: bool = False
    able: Mapping[str, Capabilities] = field(default_factory=dict)
    unheard: AbstractSet[str] = frozenset()


def abilities(candidates: Sequence[Candidate]) -> dict[str, Capabilities]:
    """What each of those can do whose capabilities are known."""
    return {
        each.name: each.info.capabilities
        for each in candidates
        if each.info.capabilities is not None
    }
