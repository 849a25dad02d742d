"""What instances use: the engine's own counts, and what their volumes hold."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from swarmd.errors import SwarmError
from swarmd.messages.instance import Instance, InstanceStats
from swarmd.providers.docker.container import storage_of
from swarmd.providers.docker.context import SHORT, Context
from swarmd.providers.docker.looking import Looker, Seen
from swarmd.providers.docker.marks import volume_name
from swarmd.providers.docker.room import left_for

_DISK_AGE = 300.0
"""Seconds that a count of the volumes is good for: the engine walks through all of them."""

_DISK_AGE_NEW = 30.0
"""The same as long as an instance runs whose volume was not there yet."""

_DISK_SECONDS = 60.0


class Usage:
    """Asks and remembers."""

    def __init__(self, context: Context, looker: Looker) -> None:
        self._context = context
        self._looker = looker
        self._lock = threading.Lock()
        self._disk: Mapping[str, int] = {}
        self._counted = float("-inf")
        self._uncounted = False

    def refresh(self) -> None:
        """Count what the volumes hold, if the last count is old."""
        now = self._context.clock.monotonic()
        with self._lock:
            if now - self._counted < (_DISK_AGE_NEW if self._uncounted else _DISK_AGE):
                return
            self._counted, self._uncounted = now, False
        sizes = self._context.engine.volume_sizes(_DISK_SECONDS)
        with self._lock:
            self._disk = sizes

    def of(self, instances: Sequence[Instance]) -> Sequence[InstanceStats]:
        """Those of these that run; asked one by one, the list of containers once."""
        wanted = {instance.id: instance for instance in instances}
        running = [
            seen
            for seen in self._looker.containers()
            if seen.id in wanted and seen.state == "running"
        ]
        found = (self._one(seen, wanted[seen.id]) for seen in running)
        return [stats for stats in found if stats is not None]

    def _one(self, seen: Seen, instance: Instance) -> InstanceStats | None:
        try:
            raw = self._context.engine.stats(seen.ref, SHORT)
        except SwarmError:
            return None  # it ended meanwhile: there is nothing to tell
        with self._lock:
            disk = self._disk.get(volume_name(seen.id))
            self._uncounted |= disk is None
        raw = raw if self._context.counts else {}
        cpu = raw.get("cpu_stats") or {}
        nanoseconds = (cpu.get("cpu_usage") or {}).get("total_usage")
        memory = raw.get("memory_stats") or {}
        return InstanceStats(
            id=seen.id,
            cpu_seconds=None if nanoseconds is None else nanoseconds / 1e9,
            memory_bytes=memory_used(memory),
            memory_limit_bytes=memory.get("limit"),
            pids=(raw.get("pids_stats") or {}).get("current"),
            disk_bytes=disk,
            disk_limit_bytes=None if disk is None else self._disk_limit(instance, disk),
            taken_at=self._context.clock.now(),
        )

    def _disk_limit(self, instance: Instance, taken: int) -> int | None:
        """Its volume's size where volumes have one, or what it takes and what is left on the disk.

        The latter where the engine is on this host, and asked each time: a disk can be full at
        any moment.
        """
        context = self._context
        left = None if context.root is None else left_for(instance, context.root)
        limits = [] if left is None else [taken + left]
        if context.limits_storage:
            limits.append(storage_of(instance.config, context.options))
        return min(limits, default=None)


def memory_used(memory: Mapping[str, Any]) -> int | None:
    """Memory without the page cache, as ``docker stats`` counts it on cgroup v1 and v2."""
    usage = memory.get("usage")
    if usage is None:
        return None
    detail = memory.get("stats") or {}
    cache = detail.get("total_inactive_file", detail.get("inactive_file", 0))
    return int(usage) - int(cache) if cache < usage else int(usage)
