"""Measuring: taking samples, keeping them, telling of them over time (seed 000, section 6)."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pykka

from swarmd.actors.base import TELEMETRY, Context
from swarmd.actors.published import Published
from swarmd.actors.supervisor import Child, Family
from swarmd.actors.tally import Counted, Tally
from swarmd.actors.telemetry import Telemetry
from swarmd.actors.ticker import Rhythms
from swarmd.core.telemetry.aggregation import Aggregation
from swarmd.core.telemetry.collecting import collect
from swarmd.core.telemetry.operations import Counts
from swarmd.core.telemetry.window import window_of
from swarmd.errors import SwarmError, Unavailable
from swarmd.messages.config import TelemetryConfig
from swarmd.messages.enums import MetricsFormat
from swarmd.messages.events import Event
from swarmd.messages.requests import DaemonMetrics
from swarmd.messages.telemetry import MetricsReport, ProcessMetrics, SwarmMetrics
from swarmd.messages.units import Duration
from swarmd.ports import Store

log = logging.getLogger("swarmd.telemetry")

Render = Callable[[SwarmMetrics, str], tuple[bytes, str]]
"""A sample whose operations are totals, and what is accepted, as a text and its type."""

_SLOWEST_TICK = 1.0
_PAGE = 1000
_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


class Metering:
    """The telemetry actor, what outlives it, and what is asked of it. Thread-safe.

    Args:
        settings: ``[telemetry]`` now.
        health: Tells whether the health of instances is watched.
        render: Makes a text for Prometheus.
    """

    def __init__(
        self,
        *,
        context: Context,
        family: Family,
        rhythms: Rhythms,
        published: Published,
        store: Store,
        settings: Callable[[], TelemetryConfig],
        health: Callable[[], bool],
        render: Render,
    ) -> None:
        self._context = context
        self._family = family
        self._rhythms = rhythms
        self._published = published
        self._store = store
        self._settings = settings
        self._health = health
        self._render = render
        self._tally = Tally(context.clock, published.tables.seq)
        # Held while a sample is taken and kept: who looks then would miss it.
        self._sampling = threading.Lock()

    def child(self) -> Child | None:
        """How the actor is started; None if telemetry is switched off."""
        if not self._settings().enabled:
            return None
        self._make_up_for_crash()
        self._published.listen(self._tally.hear)
        self.retime()

        def factory(generation: int) -> pykka.ActorRef[Any]:
            return Telemetry.start(
                self._context, TELEMETRY, generation, is_due=self.is_due, take=self.take
            )

        return Child(TELEMETRY, factory)

    def retime(self) -> None:
        """The interval may have changed."""
        settings = self._settings()
        if settings.enabled:
            self._rhythms.set(TELEMETRY, min(_SLOWEST_TICK, settings.interval))

    # --- taking ------------------------------------------------------------------------------

    def is_due(self) -> bool:
        """Whether it is time for the next sample."""
        return self._tally.age() >= self._settings().interval

    def take(self) -> SwarmMetrics:
        """Take a sample and keep it. If that fails, the next one has its operations."""
        with self._sampling:
            counted = self._tally.take()
            try:
                metrics = self._sample(counted, counted.operations)
                self._store.keep_metrics(metrics)
            except BaseException:
                self._tally.give_back(counted)
                raise
            return metrics

    def _sample(self, counted: Counted, operations: Counts) -> SwarmMetrics:
        return collect(
            self._published.tables,
            now=counted.at,
            seconds=counted.seconds,
            operations=operations,
            health=self._health(),
            process=self._process(),
            journal=self._published.journal,
            seq=counted.seq,
        )

    def _process(self) -> ProcessMetrics:
        directory, children = self._context.directory, self._family.all()
        return ProcessMetrics(
            rss_bytes=int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_SIZE,
            cpu_seconds=round(time.process_time(), 3),
            threads=len(os.listdir("/proc/self/task")),  # noqa: PTH208
            descriptors=len(os.listdir("/proc/self/fd")) - 1,  # noqa: PTH208
            mailboxes=sum(directory.depth(child.name) for child in children),
            restarts=sum(child.restarts for child in children),
        )

    def _make_up_for_crash(self) -> None:
        """The journal tells which operations ended after the last sample that was written."""
        try:
            last = self._store.last_metrics()
            if last is None:
                missed: Iterable[Event] = self._newest()
            else:
                missed = self._since(last) if last.journal == self._published.journal else ()
            self._tally.make_up_for(missed, self._published.tables)
        except SwarmError as error:
            log.warning("what ended before the start is not counted: %s", error)

    @property
    def _patience(self) -> timedelta:
        """What ended longer than this without a sample was not to be measured."""
        return timedelta(seconds=2 * self._settings().interval + 60)

    def _since(self, last: SwarmMetrics) -> Iterator[Event]:
        after, late = last.seq, last.timestamp + self._patience
        while events := self._store.history(after, _PAGE)[1]:
            yield from (event for event in events if event.at <= late)
            if events[-1].at > late:
                return
            after = events[-1].seq

    def _newest(self) -> Iterator[Event]:
        """A first daemon that was killed before its first sample was written."""
        _, events = self._store.history(max(0, self._published.tables.seq - _PAGE), _PAGE)
        return (event for event in events if event.at >= events[-1].at - self._patience)

    # --- telling -----------------------------------------------------------------------------

    def report(self, request: DaemonMetrics) -> MetricsReport:
        """What was measured, and what is right now. Reads files.

        Raises:
            Unavailable: Telemetry is switched off.
            ValidationError: The time that is asked for.
        """
        self._check_enabled()
        with self._sampling:
            counted = self._tally.peek()
        window = window_of(request, counted.at)
        report = MetricsReport(
            since=window.since,
            until=window.until,
            step=Duration(window.step),
            interval=self._settings().interval,
        )
        if request.format is MetricsFormat.PROMETHEUS:
            return msgspec.structs.replace(report, text=self.text("")[0].decode())
        aggregation = Aggregation(window)
        kept = self._store.metrics(window.since, window.until)
        earlier = (sample for sample in kept if sample.timestamp < counted.at)
        for sample in itertools.chain(earlier, (self._sample(counted, counted.operations),)):
            aggregation.add(sample)
        points, total = aggregation.points(), aggregation.total()
        return msgspec.structs.replace(report, points=points, total=total)

    def text(self, accept: str) -> tuple[bytes, str]:
        """The figures of now for Prometheus, and the type of the text.

        Args:
            accept: What is accepted, as HTTP has it; empty: the plain format.
        """
        self._check_enabled()
        counted = self._tally.peek()
        return self._render(self._sample(counted, self._tally.totals), accept)

    def _check_enabled(self) -> None:
        if not self._settings().enabled:
            raise Unavailable(
                "nothing is measured",
                field="telemetry.enabled",
                next_step="Set telemetry.enabled = true in the configuration, then restart swarmd.",
            )
