"""The daemon's own log as a receiver."""

from __future__ import annotations

import logging

from swarmd.messages.alert import Notice
from swarmd.messages.enums import AlertChange, AlertSeverity
from swarmd.ports import Endurance

log = logging.getLogger("swarmd.alerts")


class LogSink:
    """One line for each."""

    name = "log"
    where = "the daemon's log"
    insecure = False
    endurance = Endurance(seconds=0.0, attempts=1)

    def deliver(self, notice: Notice) -> None:
        """Write it, as loud as it is bad."""
        alert, level = notice.alert, logging.INFO
        if notice.change is AlertChange.RAISED:
            level = logging.ERROR if alert.severity is AlertSeverity.ERROR else logging.WARNING
        log.log(level, "alert %s %s (%s): %s", notice.change, alert.type, alert.id, alert.message)

    def close(self) -> None:
        """It holds nothing."""
