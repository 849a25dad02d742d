"""How figures and times are written: short, and of one width."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from swarmd.errors import SwarmError
from swarmd.messages.enums import HealthStatus, InstanceStatus, OperationState
from tui.model.text import clean_lines

_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "m"))

STATUS_TONES: Final[dict[str, str]] = {
    InstanceStatus.RUNNING: "good",
    InstanceStatus.STOPPED: "dim",
    InstanceStatus.CREATED: "dim",
    InstanceStatus.DELETED: "dim",
    InstanceStatus.ERROR: "bad",
    InstanceStatus.UNKNOWN: "warn",
}
"""What is on its way is ``busy``."""

HEALTH_TONES: Final[dict[str, str]] = {
    HealthStatus.HEALTHY: "good",
    HealthStatus.DEGRADED: "warn",
    HealthStatus.UNHEALTHY: "bad",
    HealthStatus.RECOVERING: "busy",
    HealthStatus.UNKNOWN: "dim",
}

STATE_TONES: Final[dict[str, str]] = {
    OperationState.PENDING: "dim",
    OperationState.RUNNING: "busy",
    OperationState.SUCCEEDED: "good",
    OperationState.FAILED: "bad",
    OperationState.CANCELLED: "warn",
}


def told(error: SwarmError, between: str = "\n") -> str:
    """What went wrong, and what to do about it.

    Args:
        error: That.
        between: What stands between the two.
    """
    return clean_lines(between.join(filter(None, (error.message, error.next_step))))


def tone_of_status(status: InstanceStatus) -> str:
    """The colour of a status, by name."""
    return STATUS_TONES.get(status, "busy")


def span(seconds: float) -> str:
    """A time span in its two largest units: ``3d 4h``, ``5m 2s``, ``12s``.

    Args:
        seconds: How long; less than nothing is nothing.
    """
    left = max(0, int(seconds))
    for at, (size, unit) in enumerate(_UNITS):
        if left >= size:
            less, small = (*_UNITS, (1, "s"))[at + 1]
            rest = left % size // less
            return f"{left // size}{unit} {rest}{small}" if rest else f"{left // size}{unit}"
    return f"{left}s"


def duration(seconds: float | None) -> str:
    """A latency: ``12 ms``, ``1.5 s``; a dash for none."""
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2g} s"


def since(moment: datetime | None, now: datetime) -> str:
    """How long ago; a dash for never."""
    return "-" if moment is None else span((now - moment).total_seconds())


def clock(moment: datetime | None) -> str:
    """The time of day here, to the second; a dash for never."""
    return "-" if moment is None else f"{moment.astimezone():%H:%M:%S}"


def size(count: float | None) -> str:
    """Bytes with a unit: ``512M``, ``1.5G``; a dash for what nobody can tell."""
    if count is None:
        return "-"
    value = float(count)
    for unit in ("B", "K", "M", "G", "T"):
        if value < 1000 or unit == "T":
            digits = 0 if unit in "BKM" or value >= 100 else 1
            return f"{value:.{digits}f}{unit}"
        value /= 1024
    raise AssertionError(count)


def share(part: float | None, whole: float | None) -> str:
    """A share in per cent; a dash where there is no whole."""
    return "-" if part is None or not whole else f"{part / whole:.0%}"
