"""What a list of alerts holds."""

from __future__ import annotations

from fnmatch import fnmatchcase

from swarmd.messages.alert import Alert, AlertBook
from swarmd.messages.replies import AlertList
from swarmd.messages.requests import ListAlerts


def select(book: AlertBook, request: ListAlerts) -> AlertList:
    """Those that fit, the newest first.

    Args:
        book: All alerts.
        request: What is asked for; empty filters fit everything.
    """
    fits = [each for each in (*book.resolved, *book.active) if _fits(each, request)]
    fits.sort(key=lambda each: (each.raised_at, each.id), reverse=True)
    return AlertList(items=tuple(fits[: request.limit]), total=len(fits))


def _fits(alert: Alert, request: ListAlerts) -> bool:
    return (
        (not request.state or alert.state in request.state)
        and (not request.type or alert.type in request.type)
        and (not request.severity or alert.severity in request.severity)
        and (request.subject is None or fnmatchcase(alert.subject, request.subject))
    )
