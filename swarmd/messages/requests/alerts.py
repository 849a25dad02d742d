"""Alerts: listing them, taking one over."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from swarmd.messages.enums import AlertSeverity, AlertState, AlertType
from swarmd.messages.requests.base import Limit, Request


class ListAlerts(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """List alerts, the newest first; those that go on unless states are named."""

    state: Annotated[tuple[AlertState, ...], Meta(description="Any of these.")] = (
        AlertState.ACTIVE,
        AlertState.ACKNOWLEDGED,
    )
    type: Annotated[tuple[AlertType, ...], Meta(description="Any of these.")] = ()
    severity: Annotated[tuple[AlertSeverity, ...], Meta(description="Any of these.")] = ()
    subject: Annotated[
        str | None, Meta(description="About this provider or owner/name; a glob.")
    ] = None
    limit: Limit = 200


class AcknowledgeAlert(Request, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take an alert over: it is told to no sink any more until it is resolved."""

    id: Annotated[str, Meta(description="Id or unique prefix.")]
    note: (
        Annotated[str, Meta(max_length=500, description="What is being done about it.")] | None
    ) = None
