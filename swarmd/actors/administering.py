"""Providers that come, change and go at run time; leases; strays, adopted or discarded."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from swarmd.actors.base import health_actor, provider_actor
from swarmd.actors.bridge import Bridge
from swarmd.actors.fleet import Fleet
from swarmd.actors.pools import Pool
from swarmd.actors.published import Published
from swarmd.actors.repeating import pause, repeated
from swarmd.actors.supervisor import Family
from swarmd.core import views
from swarmd.core.housekeeping import after_all_ends
from swarmd.core.idle.lease import keep, until_of
from swarmd.core.notes import event_of
from swarmd.core.providers import administer
from swarmd.core.strays import adopted
from swarmd.core.tables import Change, ProviderView, Tables
from swarmd.errors import Conflict, DeadlineExceeded, SwarmError
from swarmd.messages.enums import EventType, InstanceStatus
from swarmd.messages.instance import Instance, Reason, Stray
from swarmd.messages.operation import Caller
from swarmd.messages.provider import Observed, ProviderHealth, ProviderRecord
from swarmd.messages.replies import Done
from swarmd.messages.requests import (
    AdoptStray,
    DiscardStray,
    EnableProvider,
    KeepInstance,
    RegisterProvider,
    RemoveProvider,
    Request,
    UpdateProvider,
)
from swarmd.ports import Call, Clock

_CALL_SECONDS = 60.0


class Administrator:
    """All methods run on the socket's loop.

    Args:
        types: The installed provider types.
        check_options: Raises ``ConfigError`` for options that a type does not take.
        pool: For blocking provider calls.
    """

    def __init__(
        self,
        *,
        bridge: Bridge,
        fleet: Fleet,
        family: Family,
        published: Published,
        clock: Clock,
        node: str,
        types: Sequence[str],
        check_options: Callable[[str, dict[str, Any]], None],
        pool: Pool,
    ) -> None:
        self._bridge = bridge
        self._fleet = fleet
        self._family = family
        self._published = published
        self._clock = clock
        self._node = node
        self._types = types
        self._check_options = check_options
        self._pool = pool
        # One change of a provider's adapter at a time: two would start it twice.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def administer(self, caller: Caller, request: Request) -> object:
        """Carry out a request about a provider, a lease or a stray; the method's reply."""
        match request:
            case AdoptStray():
                return await self._adopt(caller, request)
            case DiscardStray():
                return await self._discard(request)
            case KeepInstance():
                return await self._keep(caller, request)
            case _:
                return await self._change_provider(request)

    # --- providers ---------------------------------------------------------------------------

    async def _change_provider(self, request: Request) -> object:
        if isinstance(request, RegisterProvider) and request.type in self._types:
            self._check_options(request.type, dict(request.options))

        def decide(tables: Tables) -> tuple[Change, str]:
            change, name = administer(tables, request, self._types)
            if isinstance(request, UpdateProvider) and change.providers is not None:
                record = next(each for each in change.providers if each.name == name)
                self._check_options(record.type, dict(record.options))
            return change, name

        name: str = await self._bridge.transact(decide)
        await self.follow(name, restart=isinstance(request, UpdateProvider))
        if isinstance(request, RemoveProvider):
            return Done()
        if isinstance(request, EnableProvider):
            self._fleet.look(name)
        return views.one_provider(self._published.tables, name)

    async def follow(self, name: str, *, restart: bool) -> None:
        """Have the running adapter follow what was written.

        Args:
            name: The provider's.
            restart: Make the adapter anew even if it runs.
        """
        async with self._turns[name]:
            if self._runs(name) and (restart or not self._wanted(name)):
                await self._stop(name)
            record = self._published.tables.providers.get(name)
            if record is not None and record.enabled and not self._runs(name):
                await self._start(record)

    def _wanted(self, name: str) -> bool:
        record = self._published.tables.providers.get(name)
        return record is not None and record.enabled and not self._given_up(name)

    def _given_up(self, name: str) -> bool:
        """Whether one of its actors died too often: enabling it again gives it new ones."""
        children = map(self._family.get, (provider_actor(name), health_actor(name)))
        return any(child is not None and child.state == "failed" for child in children)

    def _runs(self, name: str) -> bool:
        return self._fleet.lanes_of(name) is not None

    async def _start(self, record: ProviderRecord) -> None:
        try:
            self._fleet.start(record)
        except SwarmError as error:
            view = ProviderView(ProviderHealth(ok=False, message=error.message))
            await self._bridge.transact(lambda _: (Change(views={record.name: view}), None))
            raise

    async def _stop(self, name: str) -> None:
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()

        def then() -> None:
            loop.call_soon_threadsafe(stopped.set)

        self._fleet.stop(name, then)
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                await stopped.wait()
        except TimeoutError:
            raise DeadlineExceeded(
                f"provider {name} did not let go within {_CALL_SECONDS:g} s",
                next_step="Look at what it is doing: swarmctl ops, swarmctl doctor.",
            ) from None

    # --- leases ------------------------------------------------------------------------------

    async def _keep(self, caller: Caller, request: KeepInstance) -> Instance:
        found = views.find(self._published.tables, request.id, caller.name)
        now = self._clock.now()
        until = until_of(request, now)

        def decide(tables: Tables) -> tuple[Change, Instance]:
            change = keep(tables, found.id, until, caller, now)
            return change, change.instances[0]

        return await self._bridge.transact(decide)

    # --- strays ------------------------------------------------------------------------------

    def _stray(self, provider: str, stray_id: str) -> Stray:
        tables = self._published.tables
        views.one_provider(tables, provider)
        row = tables.instances.get(stray_id)
        if row is not None and row.provider == provider:
            raise Conflict(
                f"{stray_id} is {row.ref}, no stray",
                field="id",
                next_step="Use swarmctl rm to delete an instance.",
            )
        for stray in tables.strays:
            if stray.provider == provider and stray.id == stray_id:
                return stray
        raise Conflict(
            f"{stray_id} is no stray at provider {provider}",
            field="id",
            next_step="List the strays: swarmctl doctor.",
        )

    def _check_adoptable(self, stray: Stray) -> None:
        """Raises ``Conflict``: it is a copy of an instance, or another node's."""
        row = self._published.tables.instances.get(stray.id)
        if row is not None:
            raise Conflict(
                f"{stray.id} is a copy of {row.ref}, which is at provider {row.provider}",
                field="id",
                next_step="Remove the copy with its data:"
                f" swarmctl doctor discard {stray.id} {stray.provider}.",
            )
        if stray.node != self._node:
            raise Conflict(
                f"{stray.id} belongs to another node ({stray.node})",
                field="id",
                next_step="Adopt it there. If that node is gone for good, export its folder "
                "and import it here, or discard it.",
                details={"node": stray.node},
            )

    async def _adopt(self, caller: Caller, request: AdoptStray) -> Instance:
        stray = self._stray(request.provider, request.id)
        self._check_adoptable(stray)
        provider = self._fleet.reachable(request.provider)
        found = await self._pool.run(
            lambda: repeated(lambda: provider.get(stray.id), pause), _CALL_SECONDS
        )
        observed = found if isinstance(found, Observed) else None
        password = self._bridge.new_password()
        in_trash = observed is not None and observed.status is InstanceStatus.DELETED
        owner, now = request.owner or stray.owner or caller.name, self._clock.now()

        def decide(tables: Tables) -> tuple[Change, Instance]:
            name = request.name or stray.name or stray.id
            instance = adopted(
                observed,
                provider=request.provider,
                provider_type=tables.providers[request.provider].type,
                node=self._node,
                name=name,
                owner=owner,
                password=password,
                taken=stray.id in tables.instances
                or (observed is not None and not in_trash and (owner, name) in tables.names),
                now=after_all_ends(tables, stray.id, now),
            )
            left = tuple(each for each in tables.strays if each != stray)
            why = Reason(at=now, what="adopted", why=stray.reason, by=caller.name)
            change = Change(
                instances=(instance,),
                strays=left,
                events=(event_of(EventType.INSTANCE_CREATED, instance, adopted=True),),
                reasons=((instance.id, why),),
            )
            return change, instance

        return await self._bridge.transact(decide)

    async def _discard(self, request: DiscardStray) -> Done:
        stray = self._stray(request.provider, request.id)
        provider = self._fleet.reachable(request.provider)
        call = Call(deadline=time.monotonic() + _CALL_SECONDS, clock=time.monotonic)
        await self._pool.run(lambda: provider.discard(stray.id, call), _CALL_SECONDS)

        def decide(tables: Tables) -> tuple[Change, None]:
            return Change(strays=tuple(each for each in tables.strays if each != stray)), None

        await self._bridge.transact(decide)
        return Done()
