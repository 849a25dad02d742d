"""What the ``data`` of each event carries, for people who read ``rpc.discover``."""

from __future__ import annotations

from typing import Final

from swarmd.messages.enums import EventType

_INSTANCE = "name, status, provider: the instance as it is now"
_OPERATION = "kind, state: the operation as it is now"

EVENT_DATA: Final[dict[EventType, str]] = {
    EventType.INSTANCE_CREATED: f"{_INSTANCE}; {_OPERATION}; adopted: true if it was a stray",
    EventType.INSTANCE_STARTED: f"{_INSTANCE}; {_OPERATION}",
    EventType.INSTANCE_STOPPED: f"{_INSTANCE}; {_OPERATION}",
    EventType.INSTANCE_UPDATED: f"{_INSTANCE}; {_OPERATION}",
    EventType.INSTANCE_DELETED: f"{_INSTANCE}; {_OPERATION}; it is in the trash now",
    EventType.INSTANCE_PURGED: f"{_INSTANCE}; {_OPERATION}; its data is gone",
    EventType.INSTANCE_STATUS_CHANGED: f"{_INSTANCE}; before: the status until now; why: the cause",
    EventType.INSTANCE_HEALTH_CHANGED: f"{_INSTANCE}; health, before: now and until now; illness: "
    "what is wrong, or null; why: the same in words",
    EventType.INSTANCE_KEPT: f"{_INSTANCE}; until: when its lease ends, or null",
    EventType.INSTANCE_EXPIRING: f"{_INSTANCE}; until: when its max_age stops it; why",
    EventType.OPERATION_STARTED: f"{_OPERATION}; {_INSTANCE}",
    EventType.OPERATION_PROGRESS: f"{_OPERATION}; message; fraction: 0 to 1, or null",
    EventType.OPERATION_ENDED: f"{_OPERATION}; reason; error: type and message, if it failed",
    EventType.PROVIDER_ADDED: "provider, type, enabled, cordoned",
    EventType.PROVIDER_REMOVED: "provider, type, enabled, cordoned",
    EventType.PROVIDER_UPDATED: "provider; what changed: enabled and cordoned; or ok and "
    "message; or breaker: closed, open or half_open, with failures, retry_at and message",
    EventType.STRAY_FOUND: "provider; the event's target is the stray's id",
    EventType.FILE_QUARANTINED: "file: what could not be read and was set aside; cause",
    EventType.DAEMON_STATE_CHANGED: "state: the daemon's state now; reasons",
    EventType.CONFIG_RELOADED: "applied, restart_required: the keys that changed",
    EventType.METRICS_COLLECTED: "instances, running, unhealthy: counts; operations, failed: "
    "of those that ended in the seconds since the sample before",
    EventType.ALERT: "id: the alert's; state: raised, acknowledged or resolved; type, severity, "
    "subject, message, details; by and note, if acknowledged",
    EventType.ACTOR_RESTARTED: "restarts: how often by now; cause: what it died of",
}
