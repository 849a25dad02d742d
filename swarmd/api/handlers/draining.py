"""Draining a provider: cordoned, then one ordinary stop for each instance that runs there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress

from swarmd.api.call import Call, handles
from swarmd.api.handlers.operations import tell_started
from swarmd.core.providers import drains, told
from swarmd.errors import OperationNotFound, SwarmError
from swarmd.messages.enums import OperationState
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Operation
from swarmd.messages.replies import Drain, DrainedInstance
from swarmd.messages.requests import (
    CordonProvider,
    DrainProvider,
    ListInstances,
    StopInstance,
)

_AT_ONCE = 64
_PAGE = 1000


@handles(DrainProvider)
async def drain(call: Call, request: DrainProvider) -> Drain:
    """``provider.drain``: the stops are a user's, so that nothing starts what was stopped.

    Once instances can be migrated, those that may are moved to another provider instead.
    """
    # Cordoned first: what is placed from now on is not placed here.
    await call.commands.administer(call.caller, CordonProvider(name=request.name))
    chosen = [each for each in _all_at(call, request.name) if drains(each)]
    turns = asyncio.Semaphore(_AT_ONCE)

    async def stop(instance: Instance) -> DrainedInstance:
        async with turns:
            return await _begin(call, instance)

    begun = await asyncio.gather(*map(stop, chosen))
    if request.wait and not call.is_notification:
        await _wait(call, begun, request.timeout)
    return told(request.name, [_as_it_is(call, each) for each in begun])


def _all_at(call: Call, provider: str) -> Iterator[Instance]:
    cursor: str | None = None
    while True:
        request = ListInstances(provider=provider, limit=_PAGE, cursor=cursor)
        page = call.query.instances(call.caller, request)
        yield from page.items
        if page.next_cursor is None:
            return
        cursor = page.next_cursor


async def _begin(call: Call, instance: Instance) -> DrainedInstance:
    try:
        request = StopInstance(id=instance.id, wait=False)
        operation = await call.commands.submit(call.caller, request)
    except SwarmError as error:
        return DrainedInstance(id=instance.id, ref=instance.ref, message=error.message)
    tell_started(call, operation)
    return _of(instance.id, instance.ref, operation)


async def _wait(call: Call, begun: list[DrainedInstance], timeout: float | None) -> None:
    """Until all have ended, or the time is over: each is looked at again afterwards."""
    waits = [_ended(call, each.operation) for each in begun if each.operation is not None]
    with call.link.abandonable(), suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            await asyncio.gather(*waits)


async def _ended(call: Call, operation_id: str) -> None:
    with suppress(OperationNotFound):  # it has ended, so long ago that it is no longer kept
        await call.commands.wait(operation_id, None)


def _as_it_is(call: Call, begun: DrainedInstance) -> DrainedInstance:
    if begun.operation is None:
        return begun
    try:
        operation = call.query.operation(call.caller, begun.operation)
    except OperationNotFound:
        return begun
    return _of(begun.id, begun.ref, operation)


def _of(instance_id: str, ref: str, operation: Operation) -> DrainedInstance:
    message = operation.error.message if operation.error is not None else ""
    if not message and operation.state is not OperationState.SUCCEEDED:
        message = operation.reason
    return DrainedInstance(
        id=instance_id, ref=ref, operation=operation.id, state=operation.state, message=message
    )
