"""What telemetry tells whoever judges it."""

from __future__ import annotations

from dataclasses import dataclass

from swarmd.messages.telemetry import SwarmMetrics


@dataclass(frozen=True, slots=True)
class Collected:
    """A sample was taken."""

    metrics: SwarmMetrics
