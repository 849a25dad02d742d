"""Providers at run time: what the file says, what was said since, and what may be changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from swarmd.core.naming import nearest
from swarmd.core.placement import unknown_provider
from swarmd.core.tables import Change, EventDraft, ProviderView, Tables
from swarmd.errors import Conflict, ValidationError
from swarmd.messages.config import ProviderConfig
from swarmd.messages.enums import DesiredState, EventType, InstanceStatus, OperationState
from swarmd.messages.instance import Instance
from swarmd.messages.provider import ProviderRecord
from swarmd.messages.replies import Drain, DrainedInstance
from swarmd.messages.requests import (
    CordonProvider,
    DisableProvider,
    EnableProvider,
    RegisterProvider,
    RemoveProvider,
    Request,
    UpdateProvider,
)


def merge_records(
    configured: Sequence[ProviderConfig], saved: Sequence[ProviderRecord]
) -> tuple[ProviderRecord, ...]:
    """The providers of a start.

    The file says what a configured provider is; whether it was enabled, disabled or cordoned
    at run time is remembered. Registered ones are kept unless the file now has their name.
    """
    remembered = {record.name: record for record in saved}
    merged = [record_of(each, remembered.get(each.name)) for each in configured]
    names = {record.name for record in merged}
    kept = [record for record in saved if record.registered and record.name not in names]
    return tuple(merged + kept)


def record_of(configured: ProviderConfig, saved: ProviderRecord | None) -> ProviderRecord:
    """A configured provider, with what was switched at run time.

    What nobody switched follows the file, though all records were saved together.
    """
    kept = saved if saved is not None and not saved.registered else None
    switched = kept is not None and kept.switched
    return ProviderRecord(
        name=configured.name,
        type=configured.type,
        enabled=kept.enabled if kept is not None and switched else configured.enabled,
        cordoned=kept is not None and kept.cordoned,
        switched=switched,
        priority=configured.priority,
        region=configured.region or None,
        labels=dict(configured.labels),
        cost_per_hour=configured.cost_per_hour,
        max_parallel=configured.max_parallel,
        options=dict(configured.options),
    )


def reload_records(
    tables: Tables, configured: Sequence[ProviderConfig]
) -> tuple[Change, tuple[str, ...]]:
    """What a reloaded file changes about the providers, and the names it concerns."""
    before = tables.providers
    after = {each.name: each for each in merge_records(configured, tuple(before.values()))}
    gone = [name for name in before if name not in after]
    new = [name for name in after if name not in before]
    changed = [name for name in after if name in before and before[name] != after[name]]
    kinds = (
        (EventType.PROVIDER_ADDED, new, after),
        (EventType.PROVIDER_UPDATED, changed, after),
        (EventType.PROVIDER_REMOVED, gone, before),
    )
    events = tuple(
        EventDraft(kind, name, data=_facts(records[name]))
        for kind, names, records in kinds
        for name in names
    )
    if not events:
        return Change(), ()
    unseen = [*gone, *(name for name in changed if not after[name].enabled)]
    views: dict[str, ProviderView | None] = dict.fromkeys(unseen)
    strays = tuple(each for each in tables.strays if each.provider not in gone)
    change = Change(providers=tuple(after.values()), views=views, strays=strays, events=events)
    return change, (*new, *changed, *gone)


def administer(tables: Tables, request: Request, types: Sequence[str]) -> tuple[Change, str]:
    """What a request about a provider changes, and the provider's name.

    Args:
        tables: The tables now.
        request: One of the ``provider.*`` requests that change something.
        types: The installed provider types.

    Raises:
        ProviderNotFound: No such provider.
        Conflict: The name is taken, or it still has instances.
        ValidationError: An unknown type, or one that the file rules.
    """
    match request:
        case RegisterProvider():
            return _register(tables, request, types), request.name
        case RemoveProvider():
            return _remove(tables, request.name), request.name
        case UpdateProvider():
            record = _own(_known(tables, request.name), "update")
            return _change(tables, record, _updates(record, request)), request.name
        case EnableProvider():
            record = _known(tables, request.name)
            return _change(
                tables, record, {"enabled": True, "cordoned": False, "switched": True}
            ), request.name
        case DisableProvider():
            record = _known(tables, request.name)
            return _change(tables, record, {"enabled": False, "switched": True}), request.name
        case CordonProvider():
            record = _known(tables, request.name)
            return _change(tables, record, {"cordoned": True}), request.name
        case _:
            raise TypeError(type(request).__name__)


_AT_REST = (InstanceStatus.STOPPED, InstanceStatus.CREATED, InstanceStatus.DELETED)
_NAMED = 1000


def drains(instance: Instance) -> bool:
    """Whether draining its provider stops it: it runs, or something would start it there."""
    if instance.desired is DesiredState.DELETED:
        return False
    return instance.desired is DesiredState.RUNNING or instance.status not in _AT_REST


def told(provider: str, items: Sequence[DrainedInstance]) -> Drain:
    """What came of draining a provider.

    Args:
        provider: Its name.
        items: Each instance that ran there.
    """
    states = Counter(each.state for each in items if each.operation is not None)
    rest = sorted(items, key=lambda each: (each.state is OperationState.SUCCEEDED, each.ref))
    return Drain(
        provider=provider,
        begun=sum(states.values()),
        stopped=states[OperationState.SUCCEEDED],
        failed=states[OperationState.FAILED] + states[OperationState.CANCELLED],
        refused=sum(each.operation is None for each in items),
        items=tuple(rest[:_NAMED]),
    )


def _known(tables: Tables, name: str) -> ProviderRecord:
    record = tables.providers.get(name)
    if record is None:
        raise unknown_provider(name, tuple(tables.providers), field="name")
    return record


def _own(record: ProviderRecord, verb: str) -> ProviderRecord:
    """One that was registered at run time; those of the file are changed in the file."""
    if record.registered:
        return record
    raise ValidationError(
        f"provider {record.name} is configured in the configuration file: cannot {verb} it here",
        field="name",
        next_step="Change its [[providers]] table, then run swarmctl reload.",
    )


def _register(tables: Tables, request: RegisterProvider, types: Sequence[str]) -> Change:
    if request.name in tables.providers:
        raise Conflict(
            f"provider {request.name} exists already",
            field="name",
            next_step="Choose another name, or change it: swarmctl providers update.",
        )
    try:
        msgspec.convert({"name": request.name, "type": request.type}, type=ProviderConfig)
    except msgspec.ValidationError as error:
        raise ValidationError(
            f"{request.name!r} is no name for a provider",
            field="name",
            next_step="Use up to 40 lower-case letters, digits and hyphens, such as box-1.",
            details={"cause": str(error)},
        ) from error
    check_type(request.type, types, "type")
    record = ProviderRecord(
        name=request.name,
        type=request.type,
        enabled=request.enabled,
        priority=request.priority,
        region=request.region or None,
        labels=dict(request.labels),
        cost_per_hour=request.cost_per_hour,
        options=dict(request.options),
        registered=True,
    )
    return _with(tables, record, EventType.PROVIDER_ADDED)


def check_type(name: str, types: Sequence[str], field: str) -> None:
    """Refuse an unknown provider type with ``ValidationError``."""
    if name in types:
        return
    near = nearest(name, types)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise ValidationError(
        f"there is no provider type {name!r}",
        field=field,
        next_step=f"{hint}Installed types: {', '.join(sorted(types))}.",
    )


def _remove(tables: Tables, name: str) -> Change:
    record = _own(_known(tables, name), "remove")
    has = [row.ref for row in tables.instances.values() if row.provider == name]
    if has:
        raise Conflict(
            f"provider {name} still has {len(has)} instances",
            field="name",
            next_step=f"Delete them first: swarmctl rm --force {' '.join(sorted(has)[:3])}"
            + (" …" if len(has) > 3 else ""),
            details={"instances": sorted(has)[:20]},
        )
    event = EventDraft(EventType.PROVIDER_REMOVED, name, data=_facts(record))
    left = tuple(each for each in tables.providers.values() if each.name != name)
    return Change(providers=left, views={name: None}, events=(event,))


def _updates(record: ProviderRecord, request: UpdateProvider) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if request.priority is not None:
        changes["priority"] = request.priority
    if request.region is not None:
        changes["region"] = request.region or None
    if request.cost_per_hour is not msgspec.UNSET:
        changes["cost_per_hour"] = request.cost_per_hour
    if request.labels is not None:
        changes["labels"] = _patched(record.labels, request.labels)
    if request.options is not None:
        changes["options"] = _patched(record.options, request.options)
    return changes


def _patched(before: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**before, **patch}.items() if value is not None}


def _change(tables: Tables, record: ProviderRecord, changes: Mapping[str, Any]) -> Change:
    after = msgspec.structs.replace(record, **changes)
    change = _with(tables, after, EventType.PROVIDER_UPDATED)
    if not after.enabled:
        change = change.plus(Change(views={record.name: None}))
    return change


def _with(tables: Tables, record: ProviderRecord, kind: EventType) -> Change:
    others = tuple(each for each in tables.providers.values() if each.name != record.name)
    event = EventDraft(kind, record.name, data=_facts(record))
    return Change(providers=(*others, record), events=(event,))


def _facts(record: ProviderRecord) -> dict[str, Any]:
    return {
        "provider": record.name,
        "type": record.type,
        "enabled": record.enabled,
        "cordoned": record.cordoned,
    }
