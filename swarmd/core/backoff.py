"""How long to wait before trying again: capped exponential growth with jitter.

Full jitter spreads many callers best (AWS Architecture Blog, "Exponential Backoff And
Jitter", 2015) and serves retries of remote calls; equal jitter keeps half of the wait as a
floor and serves restarts of one thing that keeps failing.
"""

from __future__ import annotations

from typing import Literal

Jitter = Literal["full", "equal", "none"]

_MAX_DOUBLINGS = 64
"""Beyond this every sensible cap has long been reached, and a float would overflow."""


def ceiling(attempt: int, *, base: float, cap: float) -> float:
    """The longest wait of an attempt, in seconds: ``base * 2**attempt``, at most ``cap``."""
    return float(min(cap, base * 2 ** min(max(attempt, 0), _MAX_DOUBLINGS)))


def delay(
    attempt: int, *, base: float, cap: float, chance: float, jitter: Jitter = "full"
) -> float:
    """Seconds to wait after a failed attempt.

    Args:
        attempt: Failures before this one: 0 after the first.
        base: Longest wait after the first failure, in seconds.
        cap: Longest wait at all, in seconds.
        chance: A random number in [0, 1).
        jitter: ``full`` gives 0 to the ceiling, ``equal`` half of it to all of it,
            ``none`` the ceiling itself.
    """
    most = ceiling(attempt, base=base, cap=cap)
    match jitter:
        case "full":
            return most * chance
        case "equal":
            return most / 2 + most / 2 * chance
        case "none":
            return most
