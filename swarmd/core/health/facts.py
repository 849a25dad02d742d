"""What health is concluded from, and the conclusion: plain values."""

from __future__ import annotations

import math
from dataclasses import dataclass

from swarmd.messages.enums import HealthStatus, Origin
from swarmd.messages.health import Check, Illness


@dataclass(frozen=True, slots=True)
class Usage:
    """What an instance uses. None = nobody can tell.

    Args:
        memory_bytes: Memory in use.
        memory_limit_bytes: The most that it may have.
        disk_bytes: What its workspace takes.
        disk_limit_bytes: The room for it, or all of the disk that it lies on.
        cpu_share: Of the cores that it may have, 1 = all of them.
    """

    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    disk_bytes: int | None = None
    disk_limit_bytes: int | None = None
    cpu_share: float | None = None

    @property
    def memory_share(self) -> float | None:
        """Memory in use, as a share of its limit."""
        return _share(self.memory_bytes, self.memory_limit_bytes)

    @property
    def disk_share(self) -> float | None:
        """Disk in use, as a share of its room; of no room at all everything is in use."""
        if self.disk_bytes is not None and self.disk_limit_bytes == 0:
            return 1.0
        return _share(self.disk_bytes, self.disk_limit_bytes)


def _share(used: int | None, limit: int | None) -> float | None:
    return used / limit if used is not None and limit else None


@dataclass(frozen=True, slots=True)
class Seen:
    """What the last look at the provider showed.

    Args:
        provider_ok: Whether it answered.
        provider_message: What it, or the error, said.
        present: Whether its list has the instance; None: not looked yet.
        runs: Whether the list shows it running; None: the list lacks it.
        at: When the look began, monotonic seconds.
        busy: Whose operation is under way on the instance, if one is.
        exit: How the instance ended, in the provider's words.
    """

    provider_ok: bool = True
    provider_message: str = ""
    present: bool | None = None
    runs: bool | None = None
    at: float = math.inf
    busy: Origin | None = None
    exit: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is concluded of one instance.

    Args:
        status: Its health.
        illness: What is wrong, if something is that has a name.
        details: The same in words, the same ones as long as nothing changes.
        checks: The four questions (seed 001, Health Checks), always in this order: exists,
            status, responds, resources.
    """

    status: HealthStatus
    illness: Illness | None
    details: str
    checks: tuple[Check, ...]
