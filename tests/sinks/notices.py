"""Notices for the tests of sinks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from swarmd.messages.alert import Alert, Notice
from swarmd.messages.enums import AlertChange, AlertSeverity, AlertState, AlertType

AT = datetime(2026, 1, 1, tzinfo=UTC)


def notice(number: int = 1, change: AlertChange = AlertChange.RAISED, **more: Any) -> Notice:
    alert = Alert(
        id=f"a{number}",
        type=AlertType.PROVIDER_DOWN,
        severity=AlertSeverity.ERROR,
        state=AlertState.ACTIVE,
        subject="box",
        target="box",
        message="Provider box does not work: no engine",
        details={"reason": "no engine"},
        raised_at=AT,
    )
    fields: dict[str, Any] = {"sink": "ops", "change": change, "alert": alert, "at": AT}
    return Notice(**(fields | more))
