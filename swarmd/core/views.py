"""What the tables look like to someone who asks: providers with counts, the status, lookups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from swarmd.core.naming import parse_ref, resolve
from swarmd.core.placement import Candidate, unknown_provider
from swarmd.core.tables import Tables
from swarmd.errors import InstanceNotFound, OperationNotFound, ValidationError
from swarmd.messages.enums import HealthStatus, InstanceStatus, MigrationStatus
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Operation
from swarmd.messages.provider import BreakerInfo, ProviderHealth, ProviderInfo, ProviderRecord
from swarmd.messages.replies import (
    HealthCounts,
    InstanceCounts,
    MigrationCounts,
    ProviderCount,
)
from swarmd.messages.requests import ListOperations

NOT_SEEN = ProviderHealth(ok=False, message="not asked yet")
DISABLED = ProviderHealth(ok=False, message="disabled")
_COUNTED = attrgetter("status", "health", "provider")


def find(tables: Tables, ref: str, caller: str, *, trash: bool = False) -> Instance:
    """The instance that a reference means; with ``trash`` also by its name in the trash.

    Raises:
        InstanceNotFound: None.
        ValidationError: A prefix that fits several.
    """
    try:
        return resolve(ref, caller=caller, by_id=tables.instances, by_name=tables.names)
    except InstanceNotFound as error:
        found = _in_trash(tables, ref, caller)
        if found is None:
            raise
        if not trash:
            raise InstanceNotFound(
                error.message,
                field=error.field,
                next_step=f"It is in the trash: swarmctl undelete {ref}.",
            ) from error
        return found


def find_deleted(tables: Tables, ref: str, caller: str) -> Instance:
    """The instance that a reference means, one of this name in the trash before all others.

    Raises:
        InstanceNotFound: None.
        ValidationError: A prefix that fits several.
    """
    return _in_trash(tables, ref, caller) or find(tables, ref, caller)


def _in_trash(tables: Tables, ref: str, caller: str) -> Instance | None:
    """The newest in the trash of this name: the caller's own, else that of the only owner."""
    owner, name = parse_ref(ref, caller).key or ("", "")
    rows = [row for row in tables.index.trash.rows if row.name == name]
    own = [row for row in rows if row.owner == owner]
    if not own and "/" not in ref and len({row.owner for row in rows}) == 1:
        own = rows
    return max(own, key=lambda row: row.deleted_at or row.updated_at, default=None)


def find_operation(tables: Tables, ref: str) -> Operation:
    """By id or unique prefix of at least four characters.

    Raises:
        OperationNotFound: None.
        ValidationError: The prefix fits several.
    """
    wanted = ref.strip().lower()
    if wanted in tables.operations:
        return tables.operations[wanted]
    fits = [each for each in tables.operations if len(wanted) >= 4 and each.startswith(wanted)]
    if len(fits) > 1:
        raise ValidationError(
            f"{ref!r} fits {len(fits)} operations", field="id", next_step="Give more of the id."
        )
    if not fits:
        raise OperationNotFound(
            f"there is no operation {ref!r}", field="id", next_step="List them: swarmctl ops."
        )
    return tables.operations[fits[0]]


def select_operations(
    tables: Tables, request: ListOperations, target: str | None
) -> tuple[Operation, ...]:
    """Newest first; ``target`` is the id of the instance that the request names, if it does."""
    known = tables.operations
    some = [known[each] for each in dict.fromkeys(request.id) if each in known]
    fits = [
        operation
        for operation in (some if request.id else known.values())
        if (target is None or operation.target == target)
        and (not request.state or operation.state in request.state)
        and (not request.kind or operation.kind in request.kind)
    ]
    newest = sorted(fits, key=lambda operation: operation.id, reverse=True)
    return tuple(newest[: request.limit])


def provider_info(
    tables: Tables, record: ProviderRecord, counts: Mapping[str, int]
) -> ProviderInfo:
    """One provider with its health, its capabilities and its instances counted."""
    view = tables.views.get(record.name)
    health = view.health if view else NOT_SEEN
    return ProviderInfo(
        name=record.name,
        type=record.type,
        enabled=record.enabled,
        cordoned=record.cordoned,
        priority=record.priority,
        registered=record.registered,
        instances=counts.get(record.name, 0),
        health=health if record.enabled else DISABLED,
        capabilities=view.capabilities if view else None,
        options=dict(record.options),
        region=record.region,
        labels=dict(record.labels),
        cost_per_hour=record.cost_per_hour,
        breaker=tables.breakers.get(record.name, BreakerInfo()),
    )


def provider_infos(tables: Tables, owner: str | None = None) -> tuple[ProviderInfo, ...]:
    """All of them, by name; ``owner`` counts only that one's instances."""
    counts = Counter(
        row.provider for row in tables.instances.values() if owner is None or row.owner == owner
    )
    return tuple(
        provider_info(tables, record, counts) for _, record in sorted(tables.providers.items())
    )


@dataclass(slots=True)
class _Sums:
    """Of the instances of one provider."""

    count: int = 0
    owned: int = 0
    cpu: float = 0.0
    memory: int = 0
    storage: int = 0


def candidates(tables: Tables, owner: str) -> tuple[Candidate, ...]:
    """All providers, by name, as placement sees them for a new instance of this owner."""
    sums = {name: _Sums() for name in tables.providers}
    for row in tables.instances.values():
        if (of := sums.get(row.provider)) is None:
            continue
        wanted = row.config.resources
        of.count += 1
        of.owned += row.owner == owner
        of.cpu += wanted.cpu or 0.0
        of.memory += wanted.memory or 0
        of.storage += wanted.storage or 0
    return tuple(
        Candidate(
            info=provider_info(tables, record, {name: sums[name].count}),
            owned=sums[name].owned,
            cpu=sums[name].cpu,
            memory=sums[name].memory,
            storage=sums[name].storage,
        )
        for name, record in sorted(tables.providers.items())
    )


def one_provider(tables: Tables, name: str) -> ProviderInfo:
    """One provider. Raises ``ProviderNotFound``."""
    if name not in tables.providers:
        raise unknown_provider(name, tuple(tables.providers), field="name")
    return next(info for info in provider_infos(tables) if info.name == name)


def _provider_counts(tables: Tables, by_provider: Mapping[str, int]) -> tuple[ProviderCount, ...]:
    infos = (
        provider_info(tables, record, by_provider) for _, record in sorted(tables.providers.items())
    )
    return tuple(
        ProviderCount(
            name=info.name,
            type=info.type,
            enabled=info.enabled,
            cordoned=info.cordoned,
            ok=info.health.ok,
            instance_count=info.instances,
            capabilities=info.capabilities,
        )
        for info in infos
    )


def counts(tables: Tables, *, health: bool) -> dict[str, Any]:
    """The counted parts of the status (seed 000, section 5.1).

    Args:
        tables: The tables now.
        health: Whether the health of instances is watched.
    """
    by_status: Counter[InstanceStatus] = Counter()
    by_health: Counter[HealthStatus] = Counter()
    by_provider: Counter[str] = Counter()
    # One pass for all three, at C's speed: there are thousands of rows and few combinations.
    for (status, health_status, provider), count in Counter(
        map(_COUNTED, tables.instances.values())
    ).items():
        by_status[status] += count
        by_health[health_status] += count
        by_provider[provider] += count
    return {
        "providers": _provider_counts(tables, by_provider),
        "instances": InstanceCounts(
            total=len(tables.instances),
            by_status={status: by_status.get(status, 0) for status in InstanceStatus},
            by_provider={
                name: by_provider.get(name, 0)
                for name in sorted(tables.providers.keys() | by_provider.keys())
            },
        ),
        "health": HealthCounts(
            enabled=health, by_status={status: by_health.get(status, 0) for status in HealthStatus}
        ),
        "migrations": MigrationCounts(enabled=False, by_status=dict.fromkeys(MigrationStatus, 0)),
        "operations_running": sum(len(ids) for ids in tables.active.values()),
        "strays": len(tables.strays),
    }
