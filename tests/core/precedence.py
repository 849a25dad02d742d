"""Operations of every kind, origin and step under way, to be met by another wish."""

from __future__ import annotations

from typing import Any

import msgspec

from swarmd.core.course import Step, begin
from swarmd.core.tables import Change
from swarmd.core.wishes import (
    Verdict,
    accept,
)
from swarmd.errors import SwarmError
from swarmd.messages.enums import (
    DesiredState,
    InstanceStatus,
    OperationKind,
    OperationState,
    Origin,
)
from swarmd.messages.operation import Operation
from tests.core.desk import (
    ANA,
    CREATE,
    DELETE,
    IMPORT,
    PURGE,
    RESTART,
    START,
    STOP,
    UNDELETE,
    UPDATE,
    Desk,
    update_arguments,
)
from tests.core.samples import config, instance, make_id

WEB = make_id(1)

FOUND = {
    START: (InstanceStatus.STOPPED, DesiredState.RUNNING),
    STOP: (InstanceStatus.RUNNING, DesiredState.STOPPED),
    RESTART: (InstanceStatus.RUNNING, DesiredState.RUNNING),
    UPDATE: (InstanceStatus.RUNNING, DesiredState.RUNNING),
    CREATE: (InstanceStatus.ERROR, DesiredState.RUNNING),
    IMPORT: (InstanceStatus.ERROR, DesiredState.RUNNING),
    DELETE: (InstanceStatus.RUNNING, DesiredState.DELETED),
    UNDELETE: (InstanceStatus.DELETED, DesiredState.STOPPED),
    PURGE: (InstanceStatus.ERROR, DesiredState.DELETED),
}
"""The status and the wish under which an operation of a kind is begun."""

STEPS = {
    START: (Step.START,),
    STOP: (Step.STOP,),
    RESTART: (Step.STOP, Step.START),
    UPDATE: (Step.VALIDATE, Step.UPDATE, Step.STOP, Step.START),
    CREATE: (Step.VALIDATE, Step.CREATE, Step.START, Step.UNDO),
    IMPORT: (Step.VALIDATE, Step.IMPORT, Step.START, Step.UNDO),
    DELETE: (Step.STOP, Step.TRASH),
    UNDELETE: (Step.RESTORE,),
    PURGE: (Step.PURGE,),
}


def under_way(kind: OperationKind, step: Step, origin: Origin, **arguments: Any) -> Desk:
    """A desk where an operation of this kind and origin is in this step."""
    status, desired = FOUND[kind]
    desk = Desk(instance(1, status=status, desired=desired))
    record = desk.record()
    running = Operation(
        id=make_id(50),
        kind=kind,
        target=record.id,
        target_ref=record.ref,
        owner="ana",
        state=OperationState.PENDING,
        origin=origin,
        caller=ANA,
        created_at=desk.now,
        arguments={"force": False} | (update_arguments(config()) if kind is UPDATE else {}),
    )
    running = msgspec.structs.replace(running, arguments={**running.arguments, **arguments})
    running, record = begin(running, record, desk.now)
    running = msgspec.structs.replace(running, step=step.value)
    desk.apply(Change(operations=(running,), instances=(record,)))
    return desk


def attempt(desk: Desk, kind: OperationKind, **values: Any) -> Verdict | SwarmError:
    """The verdict about a wish, or why there is none."""
    try:
        return accept(desk.tables, desk.wish(kind, **values), WEB)
    except SwarmError as error:
        return error
