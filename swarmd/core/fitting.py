"""Whether an operation fits the record that it is about, as it is now."""

from __future__ import annotations

from swarmd.core.course import fits_trash, in_trash
from swarmd.core.tables import Tables
from swarmd.errors import Conflict
from swarmd.messages.enums import (
    DesiredState,
    OperationKind,
    Origin,
)
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Operation

_KEPT = frozenset({DesiredState.RUNNING, DesiredState.STOPPED})
_DOWN = frozenset({DesiredState.STOPPED, DesiredState.DELETED})
_AUTOMATIC = {
    OperationKind.CREATE: _KEPT,
    OperationKind.IMPORT: _KEPT,
    OperationKind.UPDATE: _KEPT,
    OperationKind.UNDELETE: _KEPT,
    OperationKind.START: frozenset({DesiredState.RUNNING}),
    OperationKind.RESTART: frozenset({DesiredState.RUNNING}),
    OperationKind.STOP: _DOWN,
    OperationKind.DELETE: frozenset({DesiredState.DELETED}),
    OperationKind.PURGE: frozenset({DesiredState.DELETED}),
}
"""What has to be desired for an operation that no user asked for."""

_RUNS = frozenset({DesiredState.RUNNING})
"""The same for what a rule asks for, which is a stop: it wins over no user's wish."""


def holder_of(tables: Tables, owner: str, name: str) -> str | None:
    """The id of what has this name, or is on its way out of the trash to bear it."""
    held = tables.names.get((owner, name))
    if held is not None:
        return held
    for target in tables.active:
        instance = tables.instances.get(target)
        if instance is None or instance.owner != owner:
            continue
        for operation in tables.active_of(target):
            if operation.kind is OperationKind.UNDELETE and _new_name(operation, instance) == name:
                return target
    return None


def _new_name(operation: Operation, instance: Instance) -> str:
    name: str = operation.arguments.get("name") or instance.name
    return name


def check_record(tables: Tables, operation: Operation, instance: Instance) -> None:
    """Refuse what the record forbids: the trash, protection, another revision.

    Raises:
        Conflict: It says which, and the way out.
    """
    if operation.origin is not Origin.USER:
        _check_wanted(operation, instance)
    if in_trash(instance) and not fits_trash(operation):
        raise _in_trash(operation, instance)
    if operation.kind is OperationKind.UNDELETE:
        _check_undelete(tables, operation, instance)
    if operation.origin is not Origin.USER:
        return
    if operation.kind is OperationKind.DELETE and instance.config.protect:
        first = f"swarmctl undelete {instance.id}, then " if in_trash(instance) else ""
        raise Conflict(
            f"{instance.ref} is protected",
            field="config.protect",
            next_step=f"Switch it off first: {first}swarmctl update {instance.ref} --no-protect.",
        )
    _check_revision(operation, instance)


def _check_wanted(operation: Operation, instance: Instance) -> None:
    """What nobody asked for must lead to what is desired now: a user's stop always wins."""
    by_rule = operation.origin is Origin.POLICY
    if instance.desired not in (_RUNS if by_rule else _AUTOMATIC[operation.kind]):
        raise Conflict(
            f"{operation.kind} of {instance.ref} is not wanted: it is to be {instance.desired}",
            next_step=f"See what happened: swarmctl why {instance.ref}.",
            details={"desired": str(instance.desired)},
        )


def _in_trash(operation: Operation, instance: Instance) -> Conflict:
    way = f"Take it out first: swarmctl undelete {instance.id}."
    if operation.kind is OperationKind.DELETE:
        way = f"Remove it with its data, for good: swarmctl rm --force {instance.id}."
    return Conflict(f"{instance.ref} is in the trash", field="id", next_step=way)


def _check_undelete(tables: Tables, operation: Operation, instance: Instance) -> None:
    if not in_trash(instance):
        raise Conflict(
            f"{instance.ref} is not in the trash",
            field="id",
            next_step="See what is there: swarmctl ls --trash.",
        )
    name = _new_name(operation, instance)
    if holder_of(tables, instance.owner, name) not in (None, instance.id):
        raise Conflict(
            f"{instance.owner}/{name} exists already",
            field="name",
            next_step=f"Give it another name: swarmctl undelete {instance.id} --name NEW.",
        )


def _check_revision(operation: Operation, instance: Instance) -> None:
    wanted = operation.arguments.get("if_revision")
    if wanted is not None and wanted != instance.revision:
        raise Conflict(
            f"{instance.ref} is at revision {instance.revision}, not {wanted}",
            field="if_revision",
            next_step=f"Read it again (swarmctl get {instance.ref}) and repeat the change.",
            details={"revision": instance.revision},
        )
