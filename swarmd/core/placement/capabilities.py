"""``capabilities``: the provider that can do most (seed 000, section 2.5)."""

from __future__ import annotations

from swarmd.core.placement.asking import Candidate
from swarmd.core.placement.scoring import Score, Strategy
from swarmd.messages.enums import Isolation
from swarmd.messages.instance import InstanceConfig

_LIMITS = ("cpu", "memory", "storage", "pids")
_ISOLATION = tuple(Isolation)
"""From none to a machine of its own."""


def _score(candidate: Candidate, _config: InstanceConfig) -> Score:
    """How well it isolates, the share of limits that it enforces, and of what else it can do.

    That it can do what is asked for is a matter of the filters.
    """
    caps = candidate.info.capabilities
    if caps is None:
        return Score({})
    can = (
        caps.supports_live_resize,
        caps.supports_snapshotting,
        caps.supports_multi_region,
        caps.exec,
        caps.logs,
        caps.export,
        caps.tls,
    )
    enforced = sum(name in caps.limits_enforced for name in _LIMITS)
    return Score(
        {
            "isolation": _ISOLATION.index(caps.isolation) / (len(_ISOLATION) - 1),
            "limits": enforced / len(_LIMITS),
            "features": sum(can) / len(can),
        }
    )


STRATEGY = Strategy(
    "capabilities", "the strongest isolation, the most limits enforced, the most features", _score
)
