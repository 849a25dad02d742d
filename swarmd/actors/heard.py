"""What a health monitor is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from swarmd.messages.health import InstanceHealth
from swarmd.messages.instance import InstanceStats
from swarmd.ports import Answer


@dataclass(frozen=True, slots=True)
class CheckNow:
    """Ask one instance now; ``reply`` gets what was found, on this actor's thread."""

    instance_id: str
    reply: Callable[[InstanceHealth], None]


@dataclass(frozen=True, slots=True)
class Noticed:
    """An operation of an instance has ended, or its status has changed.

    Args:
        used: What uses it, if that is what there is to notice.
    """

    instance_id: str
    used: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """An instance of this life was asked, and answered, or did not.

    Args:
        instance_id: Whom.
        life: When it was started that was asked.
        answer: What came of it.
    """

    instance_id: str
    life: datetime | None
    answer: Answer


@dataclass(frozen=True, slots=True)
class Restored:
    """What the store kept of these; None: nothing."""

    kept: dict[str, InstanceHealth | None]


@dataclass(frozen=True, slots=True)
class Measured:
    """What those that run use."""

    stats: Sequence[InstanceStats]
