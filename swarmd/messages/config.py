"""The configuration file as Structs: every key, its type, its default, its comment.

A new key is one field here; ``config.example.toml`` is checked against it by a test.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from swarmd.messages.enums import RecoveryAction
from swarmd.messages.units import Duration, Size


class DaemonConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Places and rhythms of the daemon."""

    state_dir: Annotated[str, Meta(description="Control data, the daemon's alone.")] = ""
    data_dir: Annotated[str, Meta(description="Folders of local instances.")] = ""
    server_dir: Annotated[str, Meta(description="The managed code-server.")] = ""
    socket: Annotated[str, Meta(description="The Unix socket.")] = ""
    default_provider: Annotated[
        str,
        Meta(
            description="Where instances go if not said, if it takes them; empty: where the "
            "strategy of [placement] has them."
        ),
    ] = "local"
    load_state_on_startup: Annotated[
        bool, Meta(description="false: set the records aside and adopt what carries our marks.")
    ] = True
    auto_save_interval: Annotated[
        Duration, Meta(description="How often swarm-state.json is written.")
    ] = Duration(60)
    reconcile_interval: Annotated[
        Duration, Meta(description="How often wish and reality are compared.")
    ] = Duration(60)
    observe_interval: Annotated[
        Duration, Meta(description="How often each provider is asked what runs.")
    ] = Duration(5)
    insecure: Annotated[bool, Meta(description="Allow public access to instances without TLS.")] = (
        False
    )


class AccessConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may use the socket."""

    socket_group: Annotated[
        str, Meta(description="Group that may connect; empty: the daemon's user and root.")
    ] = ""


class InstancesConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for instances everywhere."""

    start_timeout: Annotated[
        Duration, Meta(description="From start to the first answer of the server.")
    ] = Duration(60)
    stop_grace: Annotated[Duration, Meta(description="From SIGTERM to SIGKILL.")] = Duration(10)
    operation_timeout: Annotated[
        Duration, Meta(description="The most that one operation may take.")
    ] = Duration(600)
    lock_timeout: Annotated[
        Duration, Meta(description="How long one operation may wait behind another.")
    ] = Duration(30)
    trash_retention: Annotated[
        Duration, Meta(description="How long a deleted instance can be undeleted.")
    ] = Duration(86400)
    idle_timeout: Annotated[
        Duration, Meta(description="Stop what nobody used for so long; 0: never.")
    ] = Duration(0)
    max_age: Annotated[Duration, Meta(description="Stop what runs for so long; 0: never.")] = (
        Duration(0)
    )
    operations_kept: Annotated[
        int, Meta(ge=10, description="Ended operations kept in the list.")
    ] = 1000
    story_length: Annotated[int, Meta(ge=10, description="Reasons kept per instance.")] = 200


class PlacementConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where instances go for which neither a provider is named nor the default one fits."""

    strategy: Annotated[
        str,
        Meta(
            description="How a provider is chosen: balanced, least_instances, resources, "
            "capabilities, geographic or cost."
        ),
    ] = "balanced"
    fallback: Annotated[
        bool,
        Meta(description="Try the next provider where one fails to make an instance."),
    ] = True


class HealthConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The health of instances, and what is done about it (seed 001, Health Monitor)."""

    enabled: Annotated[bool, Meta(description="false: nothing is probed.")] = True
    check_interval: Annotated[Duration, Meta(description="Between two probes of an instance.")] = (
        Duration(30)
    )
    timeout: Annotated[Duration, Meta(description="For one probe.")] = Duration(5)
    grace: Annotated[Duration, Meta(description="After a start: failed probes do not count.")] = (
        Duration(30)
    )
    failures: Annotated[
        int, Meta(ge=1, le=1000, description="Failed probes in a row until it is unhealthy.")
    ] = 3
    successes: Annotated[
        int, Meta(ge=1, le=1000, description="Good probes in a row until it is healthy again.")
    ] = 1
    degraded_latency: Annotated[
        Duration, Meta(description="Degraded if the p95 of the last 5 probes takes longer.")
    ] = Duration(1)
    degraded_share: Annotated[
        float, Meta(gt=0, le=1, description="Degraded above this share of memory or disk.")
    ] = 0.9
    history_size: Annotated[
        int, Meta(ge=1, le=10000, description="Entries of the history kept per instance.")
    ] = 100
    auto_recover: Annotated[
        bool, Meta(description="false: what is unhealthy is shown and left alone.")
    ] = True
    recovery_actions: Annotated[
        tuple[RecoveryAction, ...], Meta(description="What may be done, in this order.")
    ] = (RecoveryAction.RESTART, RecoveryAction.RECREATE, RecoveryAction.MIGRATE)
    max_recovery_attempts: Annotated[
        int, Meta(ge=1, le=1000, description="Automatic starts until it is held for a human.")
    ] = 3
    stable_time: Annotated[
        Duration, Meta(description="After so long without a failure, attempts are forgiven.")
    ] = Duration(600)
    max_parallel: Annotated[
        int, Meta(ge=1, le=64, description="Recoveries at once at one provider.")
    ] = 4


class BreakerConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a provider that fails is left alone for a while, and for how long."""

    failures: Annotated[
        int, Meta(ge=1, le=1000, description="So many within the window open its breaker.")
    ] = 5
    window: Annotated[
        Duration, Meta(description="How long a failure counts; so long without an answer opens it.")
    ] = Duration(30)
    pause: Annotated[
        Duration, Meta(description="Until it is asked again; doubles each time, with jitter.")
    ] = Duration(5)
    longest_pause: Annotated[Duration, Meta(description="The most that a pause grows to.")] = (
        Duration(30)
    )


class TelemetryConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the daemon measures of itself and of its instances (seed 000, section 6.1)."""

    enabled: Annotated[bool, Meta(description="false: nothing is measured.")] = True
    interval: Annotated[Duration, Meta(description="Between two samples.")] = Duration(60)
    files: Annotated[
        int,
        Meta(ge=1, le=10000, description="Files of 144 samples kept; 100 at 60s are ten days."),
    ] = 100
    listen: Annotated[
        str,
        Meta(
            description="Where Prometheus may fetch /metrics: 127.0.0.1:9464; empty: nowhere. "
            "Whoever reaches it reads it."
        ),
    ] = ""


class WebhookConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[alerting.webhooks]]`` table: who is told of alerts over HTTP."""

    name: Annotated[
        str,
        Meta(pattern="^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$", description="How it is called."),
    ]
    url: Annotated[
        str,
        Meta(
            description='Where alerts are posted, or "file:/path", "env:NAME" or "credential:NAME" '
            "(of systemd) if the URL itself is a secret."
        ),
    ]
    token: Annotated[
        str,
        Meta(
            description='What proves who we are, as "file:/path", "env:NAME" or "credential:NAME": '
            "never the token itself."
        ),
    ] = ""
    header: Annotated[
        str,
        Meta(
            pattern="^[A-Za-z0-9-]{1,100}$",
            description="The header that carries it; in Authorization it stands behind Bearer.",
        ),
    ] = "Authorization"
    timeout: Annotated[Duration, Meta(description="For one attempt.")] = Duration(10)
    deadline: Annotated[
        Duration, Meta(description="How long an alert that is not taken is offered again.")
    ] = Duration(3600)
    insecure: Annotated[
        bool, Meta(description="Send to http:// beyond this machine, in the clear.")
    ] = False


class AlertingConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody is to be told of, and how (seed 000, section 6.3)."""

    enabled: Annotated[bool, Meta(description="false: nothing is judged and nobody is told.")] = (
        True
    )
    provider_utilization: Annotated[
        float, Meta(gt=0, le=1, description="Share of a provider's instances that is taken.")
    ] = 0.8
    unhealthy_instances: Annotated[
        float, Meta(gt=0, le=1, description="Share of all instances that is unhealthy.")
    ] = 0.2
    failed_migrations: Annotated[
        float, Meta(gt=0, le=1, description="Share of all migrations that failed.")
    ] = 0.2
    operation_latency: Annotated[
        Duration, Meta(description="The p95 of operations in the window.")
    ] = Duration(30)
    error_rate: Annotated[
        float, Meta(gt=0, le=1, description="Share of operations in the window that failed.")
    ] = 0.1
    window: Annotated[
        Duration, Meta(description="How far back operations are looked at for these two.")
    ] = Duration(600)
    min_operations: Annotated[
        int, Meta(ge=1, le=100000, description="With fewer in the window these two say nothing.")
    ] = 5
    margin: Annotated[
        float,
        Meta(ge=0, le=0.9, description="A threshold's alert ends this share of it below it."),
    ] = 0.1
    raise_after: Annotated[
        Duration, Meta(description="A threshold must be passed for so long.")
    ] = Duration(60)
    resolve_after: Annotated[
        Duration, Meta(description="What has no threshold must be over for so long.")
    ] = Duration(30)
    resolved_kept: Annotated[
        int, Meta(ge=1, le=10000, description="Resolved alerts kept in the list.")
    ] = 200
    log: Annotated[bool, Meta(description="Write alerts to the daemon's log.")] = True
    command: Annotated[
        tuple[str, ...],
        Meta(description="argv of a program that gets each alert as JSON on its standard input."),
    ] = ()
    command_timeout: Annotated[Duration, Meta(description="For one run of it.")] = Duration(10)
    command_env: Annotated[
        tuple[str, ...],
        Meta(description="Further names of the daemon's environment that it gets."),
    ] = ()
    webhooks: Annotated[
        tuple[WebhookConfig, ...], Meta(description="Who is told over HTTP, each in order.")
    ] = ()


class JournalConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The journal of events."""

    retention: Annotated[Duration, Meta(description="How long events are kept.")] = Duration(604800)
    max_size: Annotated[Size, Meta(description="Disk for all segments together.")] = Size(256 << 20)
    segment_size: Annotated[Size, Meta(description="Disk of one segment.")] = Size(8 << 20)


class LoggingConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The daemon's own log, on stderr."""

    level: Annotated[
        str, Meta(pattern="^(debug|info|warning|error)$", description="Least level shown.")
    ] = "info"
    format: Annotated[str, Meta(pattern="^(json|text)$", description="json or text.")] = "json"


class TuiConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The terminal app: ``swarmctl tui`` and ``swarmctl web`` read it, the daemon does not."""

    theme: Annotated[
        str, Meta(description="dark, light, contrast, or one of Textual's: nord, gruvbox, ….")
    ] = "dark"
    refresh: Annotated[
        float, Meta(gt=0, le=60, description="Times a second that what happens is shown.")
    ] = 10.0
    columns: Annotated[
        tuple[str, ...],
        Meta(description="Columns of the table of instances, in this order; empty: all there is."),
    ] = ()
    keymap: Annotated[
        dict[str, str], Meta(description='Other keys: "instance.stop" = "ctrl+s"; ? names them.')
    ] = {}
    read_only: Annotated[bool, Meta(description="Refuse everything that changes something.")] = (
        False
    )


class ProviderConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One ``[[providers]]`` table: a name, a type, and the type's own options."""

    name: Annotated[
        str,
        Meta(pattern="^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$", description="How it is called."),
    ]
    type: Annotated[str, Meta(description="local or docker.")]
    enabled: Annotated[bool, Meta(description="false: no actor is started for it.")] = True
    priority: Annotated[float, Meta(description="Higher is preferred.")] = 0.0
    region: Annotated[
        str, Meta(description="Where it is: eu-west; what stands before the first - is its area.")
    ] = ""
    labels: Annotated[
        dict[str, str], Meta(description="What an instance can ask of its provider: gpu = yes.")
    ] = {}
    cost_per_hour: (
        Annotated[
            float,
            Meta(
                ge=0, description="What the largest instance there costs an hour, in any currency."
            ),
        ]
        | None
    ) = None
    max_parallel: Annotated[
        int, Meta(ge=1, le=64, description="Operations at once at this provider.")
    ] = 8
    options: Annotated[dict[str, Any], Meta(description="The type's own options.")] = {}


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file. Without a file the defaults work: one local provider."""

    daemon: DaemonConfig = DaemonConfig()
    access: AccessConfig = AccessConfig()
    instances: InstancesConfig = InstancesConfig()
    placement: PlacementConfig = PlacementConfig()
    health: HealthConfig = HealthConfig()
    breaker: BreakerConfig = BreakerConfig()
    telemetry: TelemetryConfig = TelemetryConfig()
    alerting: AlertingConfig = AlertingConfig()
    journal: JournalConfig = JournalConfig()
    logging: LoggingConfig = LoggingConfig()
    tui: TuiConfig = TuiConfig()
    providers: tuple[ProviderConfig, ...] = (ProviderConfig(name="local", type="local"),)


class Places(Struct, frozen=True, kw_only=True):
    """The directories and the socket, resolved (DESIGN 8)."""

    state: str
    data: str
    server: str
    socket: str
    config_file: str | None = None
