"""The way of an operation: its steps, how it begins, what the record shows meanwhile.

An operation is a short list of provider calls. Every step may be run again: after a crash of
the daemon the operation goes on with the step that its record names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from swarmd.core.lifecycle import reach
from swarmd.errors import SwarmError
from swarmd.messages import codec
from swarmd.messages.enums import (
    DesiredState,
    InstanceStatus,
    OperationKind,
    OperationState,
    Origin,
)
from swarmd.messages.instance import Instance, InstanceConfig
from swarmd.messages.operation import Operation, Progress
from swarmd.messages.provider import Observed


class Step(StrEnum):
    """A provider call on an operation's way."""

    VALIDATE = "validate"
    CREATE = "create"
    IMPORT = "import"
    START = "start"
    STOP = "stop"
    RENEW = "renew"
    UPDATE = "update"
    TRASH = "trash"
    RESTORE = "restore"
    PURGE = "purge"
    UNDO = "undo"


_DURING = {
    Step.CREATE: InstanceStatus.CREATING,
    Step.IMPORT: InstanceStatus.CREATING,
    Step.START: InstanceStatus.STARTING,
    Step.STOP: InstanceStatus.STOPPING,
    Step.UPDATE: InstanceStatus.UPDATING,
    Step.TRASH: InstanceStatus.DELETING,
    Step.PURGE: InstanceStatus.DELETING,
    Step.UNDO: InstanceStatus.DELETING,
}
PLACEMENT = "placement"
"""Among the arguments of a creation: which providers were tried, where it is, what is next."""

STARTING = (OperationKind.CREATE, OperationKind.IMPORT, OperationKind.START)
_WISHING = (Origin.USER, Origin.POLICY)
"""Whose operations change what is desired: what a rule has stopped is to stay so."""

_WISHED = {
    OperationKind.START: DesiredState.RUNNING,
    OperationKind.RESTART: DesiredState.RUNNING,
    OperationKind.STOP: DesiredState.STOPPED,
    OperationKind.UNDELETE: DesiredState.STOPPED,
    OperationKind.DELETE: DesiredState.DELETED,
    OperationKind.PURGE: DesiredState.DELETED,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step ended: what the provider then saw, or the error.

    ``provider`` tells who carried it out: a creation has the same steps at each that it tries.
    """

    operation_id: str
    step: Step
    observed: Observed | None = None
    url: str | None = None
    restart_required: tuple[str, ...] = ()
    error: SwarmError | None = None
    provider: str | None = None


def wished(operation: Operation, desired: DesiredState) -> DesiredState:
    """The desired state under an operation: what its user wishes, if a user or a rule does.

    Who cancels a start does not want it to run: nothing automatic starts it again.
    """
    if operation.origin not in _WISHING:
        return desired
    if operation.cancel_requested and operation.kind in STARTING:
        return DesiredState.STOPPED if desired is DesiredState.RUNNING else desired
    return _WISHED.get(operation.kind, desired)


def all_wished(operations: Iterable[Operation], desired: DesiredState) -> DesiredState:
    """The desired state under several operations, one behind the other: the last wish counts."""
    for operation in operations:
        desired = wished(operation, desired)
    return desired


def in_trash(instance: Instance) -> bool:
    """Whether it lies in the trash, or is just being taken out of it."""
    return instance.status is InstanceStatus.DELETED


def fits_trash(operation: Operation) -> bool:
    """Whether an operation can have to do with what lies in the trash."""
    forced = operation.kind is OperationKind.DELETE and bool(operation.arguments.get("force"))
    return forced or operation.kind in (OperationKind.UNDELETE, OperationKind.PURGE)


def first_step(operation: Operation, instance: Instance) -> Step:
    """Where an operation begins: what lies in the trash runs no more."""
    if in_trash(instance) and operation.kind is OperationKind.DELETE:
        return Step.PURGE
    return {
        OperationKind.CREATE: Step.VALIDATE,
        OperationKind.IMPORT: Step.VALIDATE,
        OperationKind.START: Step.START,
        OperationKind.STOP: Step.STOP,
        OperationKind.RESTART: Step.STOP,
        OperationKind.UPDATE: Step.VALIDATE,
        OperationKind.DELETE: Step.STOP,
        OperationKind.UNDELETE: Step.RESTORE,
        OperationKind.PURGE: Step.PURGE,
    }[operation.kind]


def next_step(operation: Operation, instance: Instance, done: Step) -> Step | None:
    """What follows a step that went well; None at the end."""
    kind, arguments = operation.kind, operation.arguments
    if done is Step.VALIDATE:
        return {OperationKind.CREATE: Step.CREATE, OperationKind.IMPORT: Step.IMPORT}.get(
            kind, Step.UPDATE
        )
    if done in (Step.CREATE, Step.IMPORT):
        return Step.START if instance.desired is DesiredState.RUNNING else None
    if done is Step.UPDATE:
        return Step.STOP if arguments.get("restart") and instance.restart_required else None
    if done is Step.STOP and kind is OperationKind.RESTART and arguments.get("recreate"):
        return Step.RENEW
    if done is Step.RENEW or (
        done is Step.STOP and kind in (OperationKind.RESTART, OperationKind.UPDATE)
    ):
        return Step.START if instance.desired is DesiredState.RUNNING else None
    if done is Step.STOP and kind is OperationKind.DELETE:
        return Step.PURGE if arguments.get("force") else Step.TRASH
    return None


def before_step(operation: Operation, step: Step) -> InstanceStatus:
    """What the instance was when a step was entered that its provider was not asked for."""
    began = InstanceStatus(operation.arguments["was"])
    if operation.kind in (OperationKind.CREATE, OperationKind.IMPORT):
        return InstanceStatus.CREATED if step is Step.START else began
    after_stop = step in (Step.RENEW, Step.TRASH) or (
        step in (Step.START, Step.PURGE)
        and operation.kind in (OperationKind.RESTART, OperationKind.UPDATE, OperationKind.DELETE)
    )
    return InstanceStatus.STOPPED if after_stop else began


def begin(operation: Operation, instance: Instance, now: datetime) -> tuple[Operation, Instance]:
    """Enter the first step; the record as it is now is what a failure goes back to."""
    found = {"was": instance.status.value, "revision": instance.revision}
    running = msgspec.structs.replace(
        operation,
        state=OperationState.RUNNING,
        started_at=now,
        arguments={**operation.arguments, **found},
    )
    instance = msgspec.structs.replace(instance, desired=wished(operation, instance.desired))
    return enter(running, instance, first_step(running, instance), now)


def enter(
    operation: Operation, instance: Instance, step: Step, now: datetime
) -> tuple[Operation, Instance]:
    """Go on to a step."""
    entered = msgspec.structs.replace(operation, step=step.value, progress=Progress())
    return entered, during(entered, instance, now)


def during(operation: Operation, instance: Instance, now: datetime) -> Instance:
    """The record while the operation's step runs. What lies in the trash stays there."""
    instance = moved(operation, instance, now)
    status = _DURING.get(Step(operation.step or ""))
    if status is None or status is instance.status or in_trash(instance):
        return instance
    return reach(instance, status, now=now)


def moved(operation: Operation, instance: Instance, now: datetime) -> Instance:
    """The record at the provider where its creation is tried now, under an epoch of its own."""
    at = operation.arguments.get(PLACEMENT, {}).get("at")
    if at is None or at["provider"] == instance.provider:
        return instance
    return reach(
        instance,
        InstanceStatus.CREATING,
        now=now,
        provider=at["provider"],
        provider_type=at["type"],
        epoch=instance.epoch + 1,
    )


def config_during(operation: Operation, instance: Instance) -> InstanceConfig:
    """The configuration that the provider is shown: an update's new one while it runs."""
    if operation.kind is OperationKind.UPDATE and "config" in operation.arguments:
        return codec.convert(operation.arguments["config"], InstanceConfig)
    return instance.config
