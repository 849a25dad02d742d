"""What the daemon measures of itself and of what it runs (seed 000, section 6.1)."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from swarmd.messages.enums import OperationKind
from swarmd.messages.replies import HealthCounts, InstanceCounts, MigrationCounts
from swarmd.messages.units import Duration

LATENCY_BOUNDS: tuple[float, ...] = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
)  # fmt: skip
"""Seconds: the upper bounds of a histogram's buckets, the last of which has none."""


class Histogram(Struct, frozen=True, kw_only=True):
    """Durations, counted by how long they took; never a list of them.

    Args:
        bounds: Seconds: the upper bound of each bucket but the last.
        counts: How many fell into each bucket; one more than there are bounds.
        sum: Seconds of all together.
        min: Seconds of the shortest; None if there was none.
        max: Seconds of the longest; None if there was none.
    """

    bounds: tuple[float, ...] = LATENCY_BOUNDS
    counts: tuple[int, ...] = (0,) * (len(LATENCY_BOUNDS) + 1)
    sum: float = 0.0
    min: float | None = None
    max: float | None = None

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)


class OperationMetrics(Struct, frozen=True, kw_only=True):
    """Operations of one kind that ended since the sample before.

    ``refused`` are those of ``failed`` that nothing but the request itself was to blame for.
    """

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    refused: int = 0
    latency: Histogram = Histogram()


class ProviderMetrics(Struct, frozen=True, kw_only=True):
    """One provider in a sample.

    ``utilization`` is the share of ``max_instances`` that is taken; 0 if that is unlimited (0).
    """

    type: str
    enabled: bool
    ok: bool
    instance_count: int
    max_instances: int
    utilization: float


class ProcessMetrics(Struct, frozen=True, kw_only=True):
    """The daemon's own process.

    ``cpu_seconds`` is its processor time since its start, ``mailboxes`` the messages that wait
    in all actors together, ``restarts`` how often one of them was started anew.
    """

    rss_bytes: int = 0
    cpu_seconds: float = 0.0
    threads: int = 0
    descriptors: int = 0
    mailboxes: int = 0
    restarts: int = 0


class SwarmMetrics(Struct, frozen=True, kw_only=True):
    """One sample (seed 000, section 6.1).

    Counts of instances, health and migrations are those of ``timestamp``; ``operations`` has
    what ended in the ``seconds`` before it, so that samples can be added up: it holds what the
    ``journal`` tells up to its event ``seq`` and no sample before it held.
    """

    timestamp: datetime
    seconds: float
    providers: dict[str, ProviderMetrics]
    instances: InstanceCounts
    health: HealthCounts
    migrations: MigrationCounts
    operations: dict[OperationKind, OperationMetrics]
    process: ProcessMetrics = ProcessMetrics()
    journal: str = ""
    seq: int = 0
    version: int = 1


class Figure(Struct, frozen=True, kw_only=True):
    """One figure over some samples: ``last`` is that of the newest."""

    min: float
    mean: float
    max: float
    last: float


class MetricsPoint(Struct, frozen=True, kw_only=True):
    """The samples from ``at`` on, for one step.

    ``samples`` is how many there are: with none of them nothing is known, and there is no
    figure. ``seconds`` is the time in which ``operations`` ended. Figures have names such as
    ``instances.total``, ``instances.status.running``, ``instances.provider.local``,
    ``health.unhealthy``, ``migrations.failed``, ``providers.local.utilization`` and
    ``process.rss_bytes``.
    """

    at: datetime
    samples: int
    seconds: float = 0.0
    figures: dict[str, Figure] = {}
    operations: dict[OperationKind, OperationMetrics] = {}


class MetricsReport(Struct, frozen=True, kw_only=True):
    """What was measured from ``since`` (a whole step) until ``until``.

    ``total`` is all of it as one point. With ``format: "prometheus"`` there are no points but a
    ``text`` in Prometheus' exposition format: the figures of now, and counters since the start
    of the daemon.
    """

    since: datetime
    until: datetime
    step: Duration
    interval: Duration
    points: tuple[MetricsPoint, ...] = ()
    total: MetricsPoint | None = None
    text: str | None = None
