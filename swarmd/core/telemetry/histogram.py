"""Durations as histograms: counted, added up, asked for their quantiles."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from swarmd.messages.telemetry import Histogram


def observe(histogram: Histogram, seconds: float) -> Histogram:
    """One more duration. It falls into the first bucket whose bound is not below it."""
    counts = list(histogram.counts)
    counts[bisect_left(histogram.bounds, seconds)] += 1
    return Histogram(
        bounds=histogram.bounds,
        counts=tuple(counts),
        sum=histogram.sum + seconds,
        min=seconds if histogram.min is None else min(histogram.min, seconds),
        max=seconds if histogram.max is None else max(histogram.max, seconds),
    )


def merge(one: Histogram, other: Histogram) -> Histogram:
    """Both together; the order does not matter."""
    return merged((one, other))


def merged(histograms: Sequence[Histogram]) -> Histogram:
    """All of them together, in whatever order; thousands of them at once.

    Histograms of other versions may have other bounds: those that all have are kept, and there
    the counts stay exact.
    """
    if not histograms:
        return Histogram()
    bounds = histograms[0].bounds
    if any(each.bounds != bounds for each in histograms):
        common = set(bounds).intersection(*(each.bounds for each in histograms))
        bounds = tuple(sorted(common))
        histograms = [coarsen(each, bounds) for each in histograms]
    return Histogram(
        bounds=bounds,
        counts=tuple(map(sum, zip(*(each.counts for each in histograms), strict=True))),
        sum=sum(each.sum for each in histograms),
        min=min((each.min for each in histograms if each.min is not None), default=None),
        max=max((each.max for each in histograms if each.max is not None), default=None),
    )


def coarsen(histogram: Histogram, bounds: tuple[float, ...]) -> Histogram:
    """The same with fewer bounds, all of which it has."""
    below = dict(zip(histogram.bounds, accumulate(histogram.counts), strict=False))
    cumulative = [*(below[bound] for bound in bounds), histogram.count]
    counts = tuple(now - before for before, now in zip([0, *cumulative], cumulative, strict=False))
    return Histogram(
        bounds=bounds, counts=counts, sum=histogram.sum, min=histogram.min, max=histogram.max
    )


def quantile(histogram: Histogram, share: float) -> float | None:
    """The duration that this share of all does not exceed, in seconds; None if there is none.

    Within its bucket it is interpolated, as Prometheus' ``histogram_quantile`` does it, between
    the shortest and the longest that were seen.

    Args:
        histogram: Of what.
        share: From 0 to 1.
    """
    count = histogram.count
    if not count or histogram.min is None or histogram.max is None:
        return None
    rank, before = share * count, 0
    for number, inside in enumerate(histogram.counts):
        if inside and before + inside >= rank:
            lower, upper = bucket(histogram, number)
            return lower + (upper - lower) * max(0.0, rank - before) / inside
        before += inside
    return histogram.max


def bucket(histogram: Histogram, number: int) -> tuple[float, float]:
    """Between which durations those of a bucket lie, as far as is known."""
    shortest, longest = histogram.min or 0.0, histogram.max or 0.0
    bounds = histogram.bounds
    lower = max(shortest, bounds[number - 1]) if number else shortest
    upper = min(longest, bounds[number]) if number < len(bounds) else longest
    return lower, upper
