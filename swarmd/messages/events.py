"""Events: what happened, in order, kept in the journal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from swarmd.messages.enums import DesiredState, EventType, HealthStatus, InstanceStatus


class Event(Struct, frozen=True, kw_only=True):
    """One fact. ``seq`` grows by one per event within one ``journal``."""

    seq: int
    journal: str
    at: datetime
    type: EventType
    target: str | None = None
    ref: str | None = None
    owner: str | None = None
    operation: str | None = None
    caller: str | None = None
    correlation: str | None = None
    data: dict[str, Any] = {}


class TableRow(Struct, frozen=True, kw_only=True, array_like=True):
    """One instance in the table snapshot that opens a journal segment."""

    id: str
    owner: str
    name: str
    provider: str
    desired: DesiredState
    status: InstanceStatus
    health: HealthStatus


class PastRow(Struct, frozen=True, kw_only=True):
    """One instance at a moment that has passed, as far as events tell it."""

    id: str
    owner: str
    name: str
    provider: str
    status: InstanceStatus
    health: HealthStatus

    @property
    def ref(self) -> str:
        """The name that is unique on a daemon."""
        return f"{self.owner}/{self.name}"
