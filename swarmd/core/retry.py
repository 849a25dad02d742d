"""Whether a call that did not get through is made again, and after which pause (DESIGN 7).

tenacity would do it around the call, with its own chance and clock; here are only the decision and
its defaults, on ``core/backoff``.
"""

from __future__ import annotations

from swarmd.core.backoff import delay
from swarmd.core.course import Step
from swarmd.errors import ProviderUnreachable, SwarmError

RETRIES = 3
BASE, CAP = 0.5, 30.0
_SLOW_SECONDS = 5.0
"""What failed only after so long is not asked again at once: it would hang as long again."""


def is_repeatable(step: Step) -> bool:
    """Whether a step is safe to repeat: all are, by (id, epoch); an archive is not read twice."""
    return step is not Step.IMPORT


def pause_after(failures: int, error: SwarmError, took: float, chance: float) -> float | None:
    """Seconds until the call is made again; None: it is not.

    Args:
        failures: Failed attempts so far, this one included.
        error: What this one ended with. Only a provider that did not answer is asked again: an
            answer stays the same.
        took: Seconds that it took.
        chance: A random number in [0, 1).
    """
    if failures > RETRIES or took >= _SLOW_SECONDS or not isinstance(error, ProviderUnreachable):
        return None
    return delay(failures - 1, base=BASE, cap=CAP, chance=chance, jitter="full")
