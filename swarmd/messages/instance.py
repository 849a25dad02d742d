"""The instance: one VS Code server with a workspace, an owner, a wish and an observation.

Structs are frozen and their containers are replaced, never changed: a record handed to a
reader stays what it was.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from swarmd.messages.activity import Idle
from swarmd.messages.enums import (
    AuthType,
    DesiredState,
    HealthStatus,
    InstanceStatus,
    ProbeKind,
    Transport,
)
from swarmd.messages.secret import Location, Secret
from swarmd.messages.units import Duration, Size, Storage

Cores = Annotated[float, Meta(gt=0, description="Cores, fractions allowed: 0.5.")]
PidCount = Annotated[int, Meta(ge=16, description="Processes and threads.")]
PortNumber = Annotated[int, Meta(ge=1, le=65535)]


class Resources(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one instance may use. What is left out is the provider's default."""

    cpu: Cores | None = None
    memory: Annotated[Size | None, Meta(description='Memory: "512m", "2g".')] = None
    storage: Annotated[Storage | None, Meta(description='Disk: "10g"; a number is GiB.')] = None
    pids: PidCount | None = None


class PortSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A port of the instance and where it is reached (seed 000, section 7.2)."""

    container_port: PortNumber
    host_port: Annotated[int, Meta(ge=0, le=65535, description="0 = any free one.")] = 0
    protocol: Transport = Transport.TCP


class Network(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the instance is reached."""

    ports: Annotated[tuple[PortSpec, ...], Meta(description="Published ports.")] = ()
    enable_public_access: Annotated[
        bool, Meta(description="Listen beyond loopback; needs TLS or insecure = true.")
    ] = False


class Auth(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a person logs in. Without credentials a password is made at creation."""

    type: AuthType = AuthType.PASSWORD
    credentials: Annotated[Secret | None, Meta(description="The password, or its argon2 hash.")] = (
        None
    )


class HealthCheck(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a start and its health are judged. What is left out is the default of ``[health]``.

    ``server`` asks code-server's ``/healthz``; ``http`` another path of it; ``tcp`` only
    connects; ``exec`` runs a command, whose exit code 0 is the answer; ``none`` never asks.
    """

    start_timeout: Annotated[
        Duration | None, Meta(description="From start to first answer; default [instances].")
    ] = None
    probe: Annotated[ProbeKind, Meta(description="server, http, tcp, exec or none.")] = (
        ProbeKind.SERVER
    )
    path: Annotated[
        Annotated[str, Meta(pattern=r"^/[^\s]*$")] | None,
        Meta(description="Of an http probe; a status below 400 is well."),
    ] = None
    command: Annotated[tuple[str, ...], Meta(description="Of an exec probe: argv, no shell.")] = ()
    interval: Annotated[Duration | None, Meta(description="Between two probes.")] = None
    timeout: Annotated[Duration | None, Meta(description="For one probe.")] = None
    failures: Annotated[
        Annotated[int, Meta(ge=1, le=1000)] | None,
        Meta(description="Failed probes in a row until it is unhealthy."),
    ] = None
    successes: Annotated[
        Annotated[int, Meta(ge=1, le=1000)] | None,
        Meta(description="Good probes in a row until it is healthy again."),
    ] = None
    grace: Annotated[
        Duration | None, Meta(description="After a start: failed probes do not count.")
    ] = None
    recover: Annotated[bool | None, Meta(description="Whether it is recovered by itself.")] = None


class InstanceConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a user asks for (seed 000, section 7.2).

    Every field takes effect at every provider or is refused by name.
    """

    name: Annotated[str, Meta(description="Unique among the owner's instances.")]
    image: Annotated[str | None, Meta(description="Container image; container providers.")] = None
    provider: Annotated[str | None, Meta(description="Where it runs; default: chosen.")] = None
    region: Annotated[str | None, Meta(description="Region of the provider.")] = None
    provider_labels: Annotated[
        dict[str, str], Meta(description="Labels that its provider must have: gpu=yes.")
    ] = {}
    workspace: Annotated[
        Location | None,
        Meta(description="A host path below the configured roots or a git URL; default: managed."),
    ] = None
    workspace_path: Annotated[
        str | None, Meta(description="The folder that VS Code opens, inside the instance.")
    ] = None
    resources: Resources = Resources()
    network: Network = Network()
    env: Annotated[dict[str, str], Meta(description="Environment of the instance.")] = {}
    extensions: Annotated[tuple[str, ...], Meta(description="Marketplace ids or .vsix files.")] = ()
    auth: Auth = Auth()
    labels: Annotated[dict[str, str], Meta(description="For filters: team=red.")] = {}
    metadata: Annotated[dict[str, str], Meta(description="Free notes, kept as they are.")] = {}
    health: HealthCheck = HealthCheck()
    idle_timeout: Annotated[
        Duration | None,
        Meta(description="Stop it when nobody used it for so long; 0: never."),
    ] = None
    max_age: Annotated[
        Duration | None, Meta(description="Stop it so long after its start; 0: never.")
    ] = None
    protect: Annotated[bool, Meta(description="Refuse delete until switched off.")] = False
    swarm: Annotated[str | None, Meta(description="The swarm it belongs to.")] = None


class Failure(Struct, frozen=True, kw_only=True):
    """Why something is in error: the wire's error, kept on a record."""

    type: str
    message: str
    details: dict[str, Any] = {}


class Instance(Struct, frozen=True, kw_only=True):
    """The record of one instance (DESIGN 2).

    ``revision`` counts changes of the wish and serves ``if_revision``; ``observation`` counts
    what was seen; ``epoch`` is raised at every change of node or provider and whenever a
    running step was abandoned, so that a late result is told from a current one.
    ``keep_until`` is when its lease ends. ``idle`` is filled in where it is shown, and only while
    it runs; no record has it.
    """

    id: str
    name: str
    owner: str
    config: InstanceConfig
    provider: str
    provider_type: str
    desired: DesiredState
    status: InstanceStatus
    created_at: datetime
    updated_at: datetime
    node: str
    health: HealthStatus = HealthStatus.UNKNOWN
    shared_with: tuple[str, ...] = ()
    url: str | None = None
    metadata: dict[str, str] = {}
    epoch: int = 1
    revision: int = 1
    observation: int = 0
    last_error: Failure | None = None
    restart_required: tuple[str, ...] = ()
    started_at: datetime | None = None
    deleted_at: datetime | None = None
    keep_until: datetime | None = None
    idle: Idle | None = None
    version: int = 1

    @property
    def ref(self) -> str:
        """The name that is unique on this daemon: ``owner/name``."""
        return f"{self.owner}/{self.name}"


class InstanceStats(Struct, frozen=True, kw_only=True):
    """What an instance uses right now. ``None`` = the provider cannot tell.

    ``disk_limit_bytes`` is what its disk use is held against: its quota, or, where the disk it
    lies on holds less, its use and what is left there. ``cpu_cores`` is how many cores it used
    since it was measured before; only what was measured over time knows that.
    """

    id: str
    cpu_seconds: float | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    pids: int | None = None
    disk_bytes: int | None = None
    disk_limit_bytes: int | None = None
    cpu_cores: float | None = None
    taken_at: datetime


class Reason(Struct, frozen=True, kw_only=True):
    """One line of an instance's story: when, what, why, on whose wish."""

    at: datetime
    what: str
    why: str
    by: str
    operation: str | None = None


class Stray(Struct, frozen=True, kw_only=True):
    """Something at a provider that bears our labels but that no record explains."""

    id: str
    provider: str
    name: str | None
    owner: str | None
    epoch: int
    found_at: datetime
    reason: str
    node: str = ""
    running: bool = False
    bytes: int | None = None


def replace(record: Instance, **changes: Any) -> Instance:
    """A copy with these fields changed."""
    return msgspec.structs.replace(record, **changes)
