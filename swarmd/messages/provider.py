"""Providers as people see them: what is configured, what each can do, how each does."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from swarmd.messages.enums import BreakerState, InstanceStatus, Isolation
from swarmd.messages.instance import InstanceConfig


class CpuLimits(Struct, frozen=True, kw_only=True):
    """Cores of the provider, and the most that one instance may have."""

    cores: float
    limit: float | None = None


class MemoryLimits(Struct, frozen=True, kw_only=True):
    """Least and most memory of one instance, in bytes."""

    min: int
    max: int | None = None


class StorageLimits(Struct, frozen=True, kw_only=True):
    """Most disk of one instance, in bytes, and whether it outlives a stop."""

    size: int
    persistent: bool


class InstanceLimits(Struct, frozen=True, kw_only=True):
    """The most that one instance may have (seed 001)."""

    cpu: CpuLimits
    memory: MemoryLimits
    storage: StorageLimits | None = None


class Capabilities(Struct, frozen=True, kw_only=True):
    """What a provider can do, as its probe of the host found out (seed 001, DESIGN 2).

    ``config_fields`` are the dotted paths of ``InstanceConfig`` that take effect here; any
    other field that a user sets is refused by name. ``live_fields`` change without a restart.
    ``limits_enforced`` names those of cpu, memory, storage and pids that the host enforces;
    ``tunnel`` is where ssh goes (``user@host``, or ``ssh://user@host:port``) if its instances
    answer only on their own host's loopback;
    ``notes`` says in words what cannot be done here and why.
    """

    supports_live_resize: bool
    supports_snapshotting: bool
    supports_multi_region: bool
    max_resources_per_instance: InstanceLimits
    isolation: Isolation
    config_fields: tuple[str, ...]
    live_fields: tuple[str, ...] = ()
    supported_regions: tuple[str, ...] = ()
    max_instances_per_user: int = 0
    max_instances: int = 0
    limits_enforced: tuple[str, ...] = ()
    exec: bool = True
    logs: bool = True
    export: bool = True
    tls: bool = False
    tunnel: str | None = None
    notes: tuple[str, ...] = ()


class ProviderRecord(Struct, frozen=True, kw_only=True):
    """What was configured, or registered and changed at run time (``providers.json``).

    ``switched`` tells that ``enabled`` was said at run time: then the file no longer says it.
    """

    name: str
    type: str
    enabled: bool = True
    cordoned: bool = False
    priority: float = 0.0
    max_parallel: int = 8
    options: dict[str, Any] = {}
    registered: bool = False
    switched: bool = False
    region: str | None = None
    labels: dict[str, str] = {}
    cost_per_hour: float | None = None


class ProviderHealth(Struct, frozen=True, kw_only=True):
    """Whether the provider itself works, and what it says of itself.

    ``next_step`` is what to do where it does not; the message may have it as well. ``latency`` is
    how many seconds it took to tell what is there, when that was asked last.
    """

    ok: bool
    message: str = ""
    next_step: str | None = None
    version: str | None = None
    checked_at: datetime | None = None
    latency: float | None = None


class BreakerInfo(Struct, frozen=True, kw_only=True):
    """The circuit breaker of a provider: unless it is closed, nothing but looks is sent there.

    ``failures`` are the provider's own within the last ``breaker.window``, or those that opened
    it; ``retry_at`` is when it is asked again by itself; ``last_error`` is the last of them.
    """

    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    opened_at: datetime | None = None
    retry_at: datetime | None = None
    last_error: str | None = None


class ProviderInfo(Struct, frozen=True, kw_only=True):
    """One provider in a reply. ``options`` never holds a secret."""

    name: str
    type: str
    enabled: bool
    cordoned: bool
    priority: float
    registered: bool
    instances: int
    health: ProviderHealth
    capabilities: Capabilities | None = None
    options: dict[str, Any] = {}
    region: str | None = None
    labels: dict[str, str] = {}
    cost_per_hour: float | None = None
    breaker: BreakerInfo = BreakerInfo()


class Address(Struct, frozen=True, kw_only=True):
    """Where an instance answers: a host and a port. Known to its provider alone (DESIGN 7)."""

    host: str
    port: int
    tls: bool = False

    @property
    def reachable(self) -> str:
        """The host to connect to: a wildcard address is reached at loopback."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104


class Observed(Struct, frozen=True, kw_only=True):
    """What a provider sees of one instance.

    ``status`` is one of created, running, stopped, deleted (in the trash), error. ``complete``
    is false while its creation has not come to an end. ``name`` and ``owner`` are what the
    provider's own marks say. ``config`` is what it was made with; only ``get`` fills it.
    ``unchanged`` is the answer of a start or a stop that found it so already, and did nothing.
    """

    id: str
    epoch: int
    status: InstanceStatus
    node: str
    name: str | None = None
    owner: str | None = None
    complete: bool = True
    address: Address | None = None
    started_at: datetime | None = None
    exit: str | None = None
    bytes: int | None = None
    config: InstanceConfig | None = None
    unchanged: bool = False
