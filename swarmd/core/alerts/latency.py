"""Histograms of several samples together, and what can be read from them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from swarmd.messages.telemetry import Histogram


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """All of them as one; those with other buckets than the first are left out."""
    total: Histogram | None = None
    for each in histograms:
        if total is None:
            total = each
        elif each.bounds == total.bounds:
            total = Histogram(
                bounds=total.bounds,
                counts=tuple(a + b for a, b in zip(total.counts, each.counts, strict=True)),
                sum=total.sum + each.sum,
                min=min((x for x in (total.min, each.min) if x is not None), default=None),
                max=max((x for x in (total.max, each.max) if x is not None), default=None),
            )
    return total if total is not None else Histogram()


def quantile(histogram: Histogram, share: float) -> float | None:
    """Seconds below which this share of all lies; None if there are none.

    Within the bucket where it falls durations are taken to be spread evenly, as
    ``histogram_quantile`` of Prometheus has it; never outside of what was really seen.

    Args:
        histogram: What was counted.
        share: 0.95 for the p95.
    """
    if not histogram.count:
        return None
    highest = histogram.max if histogram.max is not None else histogram.bounds[-1]
    edges = (0.0, *histogram.bounds, max(highest, histogram.bounds[-1]))
    rank, before = share * histogram.count, 0
    found = highest
    for (low, high), count in zip(pairwise(edges), histogram.counts, strict=True):
        if count and before + count >= rank:
            found = low + (high - low) * (rank - before) / count
            break
        before += count
    return max(min(found, highest), histogram.min or 0.0)
