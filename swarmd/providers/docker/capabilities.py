"""What the provider can do at its engine, as the engine's own words and a probe tell."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from swarmd.errors import DeadlineExceeded, ProviderUnreachable, SwarmError
from swarmd.messages.enums import Isolation
from swarmd.messages.provider import (
    Capabilities,
    CpuLimits,
    InstanceLimits,
    MemoryLimits,
    StorageLimits,
)
from swarmd.providers.docker.context import SHORT, Context
from swarmd.providers.docker.engine import EngineVersion
from swarmd.providers.docker.options import DockerOptions

LEAST_MEMORY = 64 << 20
_PROBE_BYTES = 16 << 20

_FIELDS = (
    "name",
    "image",
    "provider",
    "workspace",
    "workspace_path",
    "network.ports",
    "network.enable_public_access",
    "env",
    "extensions",
    "auth.type",
    "auth.credentials",
    "labels",
    "metadata",
    "health.start_timeout",
    "protect",
)


def describe(context: Context, info: Mapping[str, Any], version: EngineVersion) -> Capabilities:
    """What instances can have and be there.

    Args:
        context: Options, and what the probe of volumes found.
        info: The engine's ``/info``.
        version: Its version.
    """
    options = context.options
    cores = float(info.get("NCPU") or 0)
    enforced = tuple(_enforced(context, info))
    limits = tuple(f"resources.{name}" for name in enforced)
    live = tuple(name for name in limits if name != "resources.storage")
    sizes = StorageLimits(size=1 << 62, persistent=True) if context.limits_storage else None
    return Capabilities(
        supports_live_resize=bool(live),
        supports_snapshotting=False,
        supports_multi_region=False,
        max_resources_per_instance=InstanceLimits(
            cpu=CpuLimits(cores=cores, limit=cores),
            memory=MemoryLimits(min=LEAST_MEMORY, max=int(info.get("MemTotal") or 0) or None),
            storage=sizes,
        ),
        isolation=Isolation.CONTAINER,
        config_fields=(*_FIELDS, *limits),
        live_fields=(
            "name",
            "provider",
            "labels",
            "metadata",
            "health",
            "idle_timeout",
            "max_age",
            "protect",
            *live,
        ),
        max_instances=options.max_instances,
        limits_enforced=enforced,
        tls=options.tls,
        tunnel=_tunnel(options),
        notes=tuple(_notes(context, info, version)),
    )


def _tunnel(options: DockerOptions) -> str | None:
    """Where ssh goes to reach what is published on the loopback of another host."""
    loopback = ipaddress.ip_address(options.publish_address).is_loopback
    return options.engine_login if loopback and not options.url_host else None


def _enforced(context: Context, info: Mapping[str, Any]) -> Iterator[str]:
    if info.get("CpuCfsQuota", True):
        yield "cpu"
    if info.get("MemoryLimit", True):
        yield "memory"
    if info.get("PidsLimit", True):
        yield "pids"
    if context.limits_storage:
        yield "storage"


def _notes(context: Context, info: Mapping[str, Any], version: EngineVersion) -> Iterator[str]:
    options = context.options
    name = "Podman" if version.podman else "Docker"
    yield f"{name} {version.version}, API {version.api}, at {options.engine}"
    if not context.limits_storage:
        yield (
            "storage is not limited: the engine's volumes lie on a filesystem without project "
            "quotas (xfs with pquota has them)"
        )
    if version.podman:
        yield "Podman's networks do not part their containers: instances can reach each other"
    if not info.get("SwapLimit", True):
        yield "the engine's kernel cannot limit swap: memory beyond the limit may be swapped out"
    if any("rootless" in str(option) for option in info.get("SecurityOptions") or ()):
        yield "the engine is rootless: what it can limit depends on its cgroup delegation"
    if options.allow_sudo:
        yield "allow_sudo: containers keep the rights that sudo needs"
    if options.tls:
        yield (
            "tls_key is copied into the containers, whose users can read it: use a key that "
            "serves for nothing else"
        )


def network_note(network: Mapping[str, Any], name: str) -> str | None:
    """What to say of a network in which containers reach each other; None if they do not."""
    options = network.get("Options") or {}
    closed = str(options.get("com.docker.network.bridge.enable_icc", "")).lower() == "false"
    if closed and network.get("Driver") == "bridge":
        return None
    return (
        f"the network {name} was not made by swarmd: in it, instances can reach each other's "
        "servers (their passwords still stand before them)"
    )


def volumes_are_limited(context: Context, version: EngineVersion) -> bool:
    """Whether the engine takes a size for a volume: tried out with one that is removed again.

    Podman takes any, and tells only at the first start that it cannot.
    """
    if version.podman:
        return False
    name = f"swarmd-probe-{context.node.id}-{context.name}"
    options = {"size": str(_PROBE_BYTES)}
    try:
        context.engine.create_volume(name, {}, options, SHORT)
        context.engine.remove_volume(name, SHORT)
    except (ProviderUnreachable, DeadlineExceeded):
        raise
    except SwarmError:
        return False
    return True
