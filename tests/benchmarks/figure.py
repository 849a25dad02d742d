"""One measured figure against its limit, and how it is shown."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured in one run.

    Args:
        name: What.
        value: How much, in ``unit``.
        unit: ``ms``, ``MB``, ``/s`` and so on.
        limit: What it may be at most, in ``unit`` (``at_least``: at least).
        baseline: What else was measured in the same run, in words with its figure; or nothing.
        at_least: Whether more is better.
    """

    name: str
    value: float
    unit: str
    limit: float
    baseline: str = ""
    at_least: bool = False

    @property
    def ratio(self) -> float:
        """The figure as a share of its limit; for ``at_least`` the limit as one of the figure."""
        return self.limit / self.value if self.at_least else self.value / self.limit

    @property
    def reached(self) -> bool:
        """Whether the limit is kept."""
        return self.ratio <= 1

    def __str__(self) -> str:
        word = "at least" if self.at_least else "at most"
        verdict = "ok" if self.reached else "MISSED"
        text = (
            f"{self.name}: {self.value:,.3g} {self.unit} "
            f"({word} {self.limit:,.3g} {self.unit}; {self.ratio:.2f} of the limit) {verdict}"
        )
        return f"{text}\n    {self.baseline}" if self.baseline else text


def seconds(work: Callable[[], object]) -> float:
    """How long it takes once."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def median_seconds(work: Callable[[], object], rounds: int) -> float:
    """How long it takes, the median of so many rounds."""
    return statistics.median(seconds(work) for _ in range(rounds))
