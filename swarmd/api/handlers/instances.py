"""Instances: what reads them, and what changes them by an operation."""

from __future__ import annotations

from functools import partial

import msgspec

from swarmd.api.call import Call, handles
from swarmd.api.handlers.operations import carry_out, public
from swarmd.core.selection import pick_fields
from swarmd.errors import InstanceNotFound
from swarmd.messages.enums import DesiredState, InstanceStatus
from swarmd.messages.health import InstanceHealth
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Operation
from swarmd.messages.replies import Credentials, InstancePage, StatsList, Story
from swarmd.messages.requests import (
    CreateInstance,
    CredentialsInstance,
    DeleteInstance,
    GetInstance,
    HealthInstance,
    ImportInstance,
    KeepInstance,
    ListInstances,
    Mutation,
    RecoverInstance,
    RestartInstance,
    StartInstance,
    StatsInstance,
    StopInstance,
    UndeleteInstance,
    UpdateInstance,
    WhyInstance,
)


@handles(GetInstance)
def get_instance(call: Call, request: GetInstance) -> Instance:
    """``instance.get``."""
    return call.query.instance(call.caller, request.id)


@handles(ListInstances)
def list_instances(call: Call, request: ListInstances) -> InstancePage:
    """``instance.list``: whole records, or the fields that were asked for."""
    page = call.query.instances(call.caller, request)
    fields = request.fields
    items = tuple(pick_fields(item, fields) for item in page.items) if fields else page.items
    return InstancePage(items=items, total=page.total, next_cursor=page.next_cursor)


@handles(CredentialsInstance)
def credentials(call: Call, request: CredentialsInstance) -> Credentials:
    """``instance.credentials``: the one reply with a password."""
    instance = call.query.instance(call.caller, request.id)
    password = call.query.password(call.caller, instance.id)
    return Credentials(id=instance.id, url=instance.url, password=password)


@handles(WhyInstance)
async def why(call: Call, request: WhyInstance) -> Story:
    """``instance.why``: its story is read from a file, off the loop."""
    instance = call.query.instance(call.caller, request.id)
    items = await call.from_disk(partial(call.query.story, call.caller, instance.id))
    return Story(
        id=instance.id,
        ref=instance.ref,
        items=items,
        idle=instance.idle,
        keep_until=instance.keep_until,
    )


@handles(KeepInstance)
async def keep(call: Call, request: KeepInstance) -> Instance:
    """``instance.keep``: answers with the instance as it is kept now."""
    instance = call.query.instance(call.caller, request.id)
    named = msgspec.structs.replace(request, id=instance.id)
    await call.commands.administer(call.caller, named)
    return call.query.instance(call.caller, instance.id)


@handles(StatsInstance)
async def stats(call: Call, request: StatsInstance) -> StatsList:
    """``instance.stats``."""
    if request.measured:
        return StatsList(items=call.query.measured(call.caller, request.id))
    return StatsList(items=await call.commands.stats(call.caller, request.id))


@handles(HealthInstance)
async def health(call: Call, request: HealthInstance) -> InstanceHealth:
    """``instance.health``: asked now."""
    instance = call.query.instance(call.caller, request.id)
    return await call.commands.health(call.caller, instance.id)


@handles(
    CreateInstance,
    StartInstance,
    StopInstance,
    RestartInstance,
    RecoverInstance,
    UndeleteInstance,
    UpdateInstance,
    ImportInstance,
)
async def change(call: Call, request: Mutation) -> Instance | Operation:
    """Every change but delete: answers with the instance as it is afterwards.

    A retry (idempotency key) may come when the instance is gone, and so may the end of a wait:
    then the answer is the operation, which tells what was done.
    """
    operation = await carry_out(call, request)
    if not request.wait or call.is_notification:
        return public(operation)
    return _find(call, operation.target) or public(operation)


@handles(DeleteInstance)
async def delete(call: Call, request: DeleteInstance) -> Instance | Operation:
    """``instance.delete``: answers with the record in the trash, or as it was if it is gone."""
    before = _find(call, request.id)
    operation = await carry_out(call, request)
    if not request.wait or call.is_notification:
        return public(operation)
    if (in_trash := _find(call, operation.target)) is not None:
        return in_trash
    if before is None:
        return public(operation)
    return msgspec.structs.replace(
        before, desired=DesiredState.DELETED, status=InstanceStatus.DELETED, url=None
    )


def _find(call: Call, ref: str) -> Instance | None:
    """The instance if there is one; it may have gone since it was asked for."""
    try:
        return call.query.instance(call.caller, ref)
    except InstanceNotFound:
        return None
