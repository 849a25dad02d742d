"""The closed lists of words. Written out, never renumbered, never renamed."""

from __future__ import annotations

from enum import StrEnum


class InstanceStatus(StrEnum):
    """What the provider last observed, or what is being done right now (DESIGN 2)."""

    CREATING = "creating"
    CREATED = "created"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    UPDATING = "updating"
    MIGRATING = "migrating"
    RECOVERING = "recovering"
    DELETING = "deleting"
    DELETED = "deleted"
    ERROR = "error"
    UNKNOWN = "unknown"


class DesiredState(StrEnum):
    """What was asked for. A user's stop always wins over any automatic start."""

    RUNNING = "running"
    STOPPED = "stopped"
    DELETED = "deleted"


class HealthStatus(StrEnum):
    """What the probe last concluded."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    RECOVERING = "recovering"
    UNKNOWN = "unknown"


class ProbeKind(StrEnum):
    """How an instance is asked whether it answers."""

    SERVER = "server"
    HTTP = "http"
    TCP = "tcp"
    EXEC = "exec"
    NONE = "none"


class RecoveryAction(StrEnum):
    """What may be done about an unhealthy instance (seed 001)."""

    RESTART = "restart"
    RECREATE = "recreate"
    MIGRATE = "migrate"


class MigrationStatus(StrEnum):
    """The states of a migration (seed 001)."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"


class OperationState(StrEnum):
    """The states of an operation."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self not in (OperationState.PENDING, OperationState.RUNNING)


class OperationKind(StrEnum):
    """What an operation does to its instance."""

    CREATE = "create"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    UPDATE = "update"
    DELETE = "delete"
    UNDELETE = "undelete"
    PURGE = "purge"
    IMPORT = "import"


class Origin(StrEnum):
    """Whose wish an operation is: precedence when wishes meet (DESIGN 7).

    ``policy`` is what ``idle_timeout`` and ``max_age`` ask for.
    """

    USER = "user"
    RECOVERY = "recovery"
    POLICY = "policy"
    RECONCILE = "reconcile"


class BreakerState(StrEnum):
    """The states of a provider's circuit breaker (seed 000, section 4.4)."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class DaemonState(StrEnum):
    """The states of the daemon (DESIGN 2)."""

    INITIALIZING = "initializing"
    READY = "ready"
    DEGRADED = "degraded"
    FAILED = "failed"
    SHUTTING_DOWN = "shutting_down"


class Isolation(StrEnum):
    """What separates two instances of one provider."""

    NONE = "none"
    UID = "uid"
    SANDBOX = "sandbox"
    CONTAINER = "container"
    VM = "vm"


class AuthType(StrEnum):
    """How a person logs in to VS Code."""

    PASSWORD = "password"
    HASHED_PASSWORD = "hashed_password"
    NONE = "none"


class Transport(StrEnum):
    """The protocol of a published port."""

    TCP = "tcp"
    UDP = "udp"


class MetricsFormat(StrEnum):
    """How figures are told."""

    POINTS = "points"
    PROMETHEUS = "prometheus"


class AlertType(StrEnum):
    """What can be wrong (seed 000, section 6.3, and what is noticed at once)."""

    PROVIDER_UTILIZATION = "provider_utilization"
    UNHEALTHY_INSTANCES = "unhealthy_instances"
    FAILED_MIGRATIONS = "failed_migrations"
    OPERATION_LATENCY = "operation_latency"
    ERROR_RATE = "error_rate"
    PROVIDER_DOWN = "provider_down"
    INSTANCE_HELD = "instance_held"
    INSTANCE_LOST = "instance_lost"
    INSTANCE_STARVED = "instance_starved"
    DISK_FULL = "disk_full"


class AlertSeverity(StrEnum):
    """How bad it is."""

    WARNING = "warning"
    ERROR = "error"


class AlertState(StrEnum):
    """The states of an alert; it stays acknowledged until it is resolved."""

    ACTIVE = "active"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class AlertChange(StrEnum):
    """What happens to an alert: the ``state`` of its events."""

    RAISED = "raised"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class EventType(StrEnum):
    """What an event tells (seed 000, section 3.2, and DESIGN 6)."""

    INSTANCE_CREATED = "instance_created"
    INSTANCE_STARTED = "instance_started"
    INSTANCE_STOPPED = "instance_stopped"
    INSTANCE_UPDATED = "instance_updated"
    INSTANCE_DELETED = "instance_deleted"
    INSTANCE_PURGED = "instance_purged"
    INSTANCE_STATUS_CHANGED = "instance_status_changed"
    INSTANCE_HEALTH_CHANGED = "instance_health_changed"
    INSTANCE_KEPT = "instance_kept"
    INSTANCE_EXPIRING = "instance_expiring"
    OPERATION_STARTED = "operation_started"
    OPERATION_PROGRESS = "operation_progress"
    OPERATION_ENDED = "operation_ended"
    PROVIDER_ADDED = "provider_added"
    PROVIDER_REMOVED = "provider_removed"
    PROVIDER_UPDATED = "provider_updated"
    STRAY_FOUND = "stray_found"
    FILE_QUARANTINED = "file_quarantined"
    DAEMON_STATE_CHANGED = "daemon_state_changed"
    CONFIG_RELOADED = "config_reloaded"
    ALERT = "alert"
    ACTOR_RESTARTED = "actor_restarted"
    METRICS_COLLECTED = "metrics_collected"
