"""What the provider can do here, as the probe of the host found out (DESIGN 2)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from swarmd.messages.enums import Isolation
from swarmd.messages.provider import (
    Capabilities,
    CpuLimits,
    InstanceLimits,
    MemoryLimits,
    StorageLimits,
)
from swarmd.providers.local.cgroup_probe import Found, read_memberships, read_mounts
from swarmd.providers.local.options import LocalOptions
from swarmd.providers.shared.account import OWNER

LEAST_MEMORY = 64 << 20

_FIELDS = (
    "name",
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


def describe(options: LocalOptions, groups: Found, data: Path) -> Capabilities:
    """Look at the host.

    Args:
        options: The provider's options.
        groups: What the probe of the control groups found.
        data: The DATA folder, for its disk.
    """
    limits = tuple(f"resources.{name}" for name in groups.enforced)
    cores = float(len(os.sched_getaffinity(0)))
    memory = host_memory()
    own_uids = os.geteuid() == 0 and options.run_as == OWNER
    return Capabilities(
        supports_live_resize=bool(limits),
        supports_snapshotting=False,
        supports_multi_region=False,
        max_resources_per_instance=InstanceLimits(
            cpu=CpuLimits(cores=cores, limit=cores),
            memory=MemoryLimits(min=LEAST_MEMORY, max=memory),
            storage=StorageLimits(size=shutil.disk_usage(data).total, persistent=True),
        ),
        isolation=Isolation.UID if own_uids else Isolation.NONE,
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
            *limits,
        ),
        max_instances=options.max_instances,
        limits_enforced=groups.enforced,
        tls=options.tls,
        notes=tuple(_notes(options, groups)),
    )


def host_memory() -> int:
    """Memory that instances can have: the host's, or what our own control group leaves."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([total, *_group_limits()])


def _group_limits() -> Iterator[int]:
    own = read_memberships(_read("/proc/self/cgroup"))
    for mount in read_mounts(_read("/proc/self/mountinfo")):
        if mount.version == 2:
            file = mount.path / own.get("", "/").lstrip("/") / "memory.max"
        elif "memory" in mount.controllers:
            file = mount.path / own.get("memory", "/").lstrip("/") / "memory.limit_in_bytes"
        else:
            continue
        text = _read(str(file)).strip()
        if text.isdigit():
            yield int(text)


def _read(file: str) -> str:
    try:
        return Path(file).read_text()
    except OSError:
        return ""


def _notes(options: LocalOptions, groups: Found) -> Iterator[str]:
    yield from groups.notes
    yield "storage is not limited: an instance can use the disk that its folder lies on"
    yield (
        "network.ports takes container_port 8080, the server's own, to choose its host_port; "
        "whatever else a process of the instance opens is a port of this host already"
    )
    yield (
        "the port of a stopped instance is kept from other instances only: any process of this "
        "host can listen there, and gets what a browser with an old address sends"
    )
    if options.tls:
        yield (
            "tls_key is read by the instances' account, so whoever works in an instance can read "
            "it too: use a key that serves for nothing else"
        )
    if not groups.enforced:
        yield (
            "without control groups, a process that empties its environment and detaches itself, "
            "or that forks and exits without end, can outlive a stop"
        )
    defaults = (("cpu", options.cpu), ("memory", options.memory), ("pids", options.pids))
    for name, value in defaults:
        if value is not None and name not in groups.enforced:
            yield f"the option {name} has no effect here: it cannot be enforced"
