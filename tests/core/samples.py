"""Records and observations for the tests of the core."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from swarmd.messages.enums import DesiredState, InstanceStatus, Isolation
from swarmd.messages.instance import Instance, InstanceConfig
from swarmd.messages.provider import (
    Capabilities,
    CpuLimits,
    InstanceLimits,
    MemoryLimits,
    Observed,
    ProviderHealth,
    ProviderInfo,
    StorageLimits,
)

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
OBSERVED = (
    InstanceStatus.CREATED,
    InstanceStatus.DELETED,
    InstanceStatus.ERROR,
    InstanceStatus.RUNNING,
    InstanceStatus.STOPPED,
)
"""What a provider can say of an instance."""
NODE = "node-a"


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def make_id(number: int) -> str:
    """A ULID-like id: 26 characters of Crockford's base 32, lower case."""
    return f"01k{number:023d}"


def config(name: str = "web", **values: Any) -> InstanceConfig:
    return InstanceConfig(name=name, **values)


def instance(number: int = 1, **values: Any) -> Instance:
    name = values.pop("name", "web")
    defaults: dict[str, Any] = {
        "id": make_id(number),
        "name": name,
        "owner": "ana",
        "config": config(name),
        "provider": "local",
        "provider_type": "local",
        "desired": DesiredState.RUNNING,
        "status": InstanceStatus.RUNNING,
        "created_at": NOW,
        "updated_at": NOW,
        "node": NODE,
    }
    return Instance(**defaults | values)


def observed(number: int = 1, **values: Any) -> Observed:
    defaults: dict[str, Any] = {
        "id": make_id(number),
        "epoch": 1,
        "status": InstanceStatus.RUNNING,
        "node": NODE,
    }
    return Observed(**defaults | values)


FIELDS = (
    "workspace",
    "workspace_path",
    "resources.memory",
    "resources.cpu",
    "resources.storage",
    "network",
    "env",
    "extensions",
    "auth",
)


def caps(**values: Any) -> Capabilities:
    defaults: dict[str, Any] = {
        "supports_live_resize": False,
        "supports_snapshotting": False,
        "supports_multi_region": False,
        "isolation": Isolation.NONE,
        "config_fields": FIELDS,
        "max_resources_per_instance": InstanceLimits(
            cpu=CpuLimits(cores=4, limit=2),
            memory=MemoryLimits(min=64 << 20, max=2 << 30),
            storage=StorageLimits(size=10 << 30, persistent=True),
        ),
    }
    return Capabilities(**defaults | values)


def provider(name: str = "local", **values: Any) -> ProviderInfo:
    defaults: dict[str, Any] = {
        "name": name,
        "type": "local",
        "enabled": True,
        "cordoned": False,
        "priority": 0.0,
        "registered": False,
        "instances": 0,
        "health": ProviderHealth(ok=True),
        "capabilities": caps(),
    }
    return ProviderInfo(**defaults | values)
