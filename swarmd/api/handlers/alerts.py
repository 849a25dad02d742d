"""Alerts: list them, take one over."""

from __future__ import annotations

from swarmd.api.call import Call, handles
from swarmd.messages.alert import Alert
from swarmd.messages.replies import AlertList
from swarmd.messages.requests import AcknowledgeAlert, ListAlerts


@handles(ListAlerts)
def list_alerts(call: Call, request: ListAlerts) -> AlertList:
    """``alert.list``."""
    return call.query.alerts(call.caller, request)


@handles(AcknowledgeAlert)
async def acknowledge(call: Call, request: AcknowledgeAlert) -> Alert:
    """``alert.acknowledge``."""
    return await call.commands.acknowledge(call.caller, request)
