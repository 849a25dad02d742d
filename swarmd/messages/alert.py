"""Alerts: what somebody should look at, from when it was raised until it was resolved."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from swarmd.messages.enums import AlertChange, AlertSeverity, AlertState, AlertType

AlertKey = tuple[AlertType, str]
"""Type and target: of each there is at most one alert at a time."""


class Alert(Struct, frozen=True, kw_only=True):
    """One episode (seed 000, section 6.3).

    Args:
        id: The same in all that is told of this episode.
        type: What kind of thing is wrong.
        severity: How bad that is.
        state: active until somebody acknowledges it or it ends by itself.
        subject: What it is about, for people: a provider's name, ``owner/name``, a disk.
        target: The same for programs: a provider's name, an instance's id; empty: all.
        owner: The owner of the instance that it is about.
        message: One sentence: what is wrong, with the figures of the last look.
        details: ``value`` and ``threshold`` where there is a number, and what else helps.
        raised_at: When it began.
        acknowledged_at: When somebody took it over.
        acknowledged_by: Who.
        note: What they said.
        resolved_at: When it ended.
    """

    id: str
    type: AlertType
    severity: AlertSeverity
    state: AlertState
    subject: str
    message: str
    raised_at: datetime
    target: str = ""
    owner: str | None = None
    details: dict[str, Any] = {}
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    note: str | None = None
    resolved_at: datetime | None = None

    @property
    def key(self) -> AlertKey:
        """What it is about, as far as two of the same are concerned."""
        return self.type, self.target


class Notice(Struct, frozen=True, kw_only=True):
    """One alert that one sink is still to be told of, as it was at ``at``."""

    sink: str
    change: AlertChange
    alert: Alert
    at: datetime

    @property
    def key(self) -> tuple[str, str, AlertChange]:
        """Sink, alert and change: each is delivered once, but for a crash in between."""
        return self.sink, self.alert.id, self.change


class Move(Struct, frozen=True, kw_only=True, array_like=True):
    """A change of an alert, and the number that its event was given in the journal."""

    alert: str
    change: AlertChange
    seq: int


class AlertBook(Struct, frozen=True, kw_only=True):
    """``alerts.json``: everything about alerts that a restart must not forget.

    Args:
        active: Those that go on, oldest first; acknowledged or not.
        resolved: The last that ended, oldest first.
        outbox: What sinks have not taken yet, in order.
        moves: The last changes: what of them the journal lacks after a crash is told again.
    """

    active: tuple[Alert, ...] = ()
    resolved: tuple[Alert, ...] = ()
    outbox: tuple[Notice, ...] = ()
    moves: tuple[Move, ...] = ()
    version: int = 1


class SinkInfo(Struct, frozen=True, kw_only=True):
    """How a sink fares.

    Args:
        name: How it is called in the configuration.
        where: Where it leads, without anything secret.
        waiting: Alerts that it has not taken yet.
        failing_since: When it began to fail; None while it works.
        error: Its last failure.
        given_up: Alerts that it never took, since the daemon's start.
        insecure: Whether they leave the machine in the clear.
    """

    name: str
    where: str
    waiting: int = 0
    failing_since: datetime | None = None
    error: str | None = None
    given_up: int = 0
    insecure: bool = False
