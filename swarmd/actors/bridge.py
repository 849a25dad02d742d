"""Where asyncio and the actors meet: ``ports.Commands`` on the socket's loop.

A request is told to the controller; its acceptance is seen in what is published, under the
operation id that was chosen here. So an answer depends on no actor's memory: if one is lost in
between, the request is sent again and found to be accepted already, or accepted now.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from swarmd.actors.base import CONTROLLER, REGISTRY, Directory
from swarmd.actors.controller import Submit
from swarmd.actors.published import News, Published
from swarmd.actors.registry import Decision, Transact
from swarmd.core import views, wishes
from swarmd.core.intake import Intake, decide
from swarmd.errors import DeadlineExceeded, SwarmError, Unavailable
from swarmd.messages import codec
from swarmd.messages.enums import EventType
from swarmd.messages.events import Event
from swarmd.messages.operation import Caller, Operation
from swarmd.messages.requests import Mutation
from swarmd.ports import Clock

ACCEPT_SECONDS = 30.0
"""How long a request may wait for its acceptance (DESIGN 7)."""

READY_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Chances:
    """Where ids and passwords come from."""

    new_id: Callable[[], str]
    new_password: Callable[[], str]


@dataclass(frozen=True, slots=True)
class RequestSettings:
    """What requests are judged by; replaced on reload."""

    operation_timeout: float
    default_provider: str
    insecure: bool


class Bridge:
    """Submitting, waiting and watching. All methods run on the loop.

    Args:
        settings: The settings now.
    """

    def __init__(
        self,
        *,
        directory: Directory,
        published: Published,
        clock: Clock,
        chances: Chances,
        node: str,
        settings: Callable[[], RequestSettings],
    ) -> None:
        self._directory = directory
        self._published = published
        self._clock = clock
        self._chances = chances
        self._node = node
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._expected: dict[str, tuple[asyncio.Future[str], Submit]] = {}
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._watchers: set[asyncio.Queue[Event | None]] = set()
        self._ready = asyncio.Event()
        published.listen(self._hear)

    # --- news --------------------------------------------------------------------------------

    def _hear(self, news: News) -> None:
        """On the registry's thread."""
        try:
            self._loop.call_soon_threadsafe(self._on_news, news)
        except RuntimeError:
            # The loop has closed: the daemon is ending and nobody listens any more.
            return

    def _on_news(self, news: News) -> None:
        for operation_id in news.operations:
            self._resolve(operation_id)
            operation = news.tables.operations.get(operation_id)
            if operation is None or operation.state.ended:
                for future in self._waiting.pop(operation_id, ()):
                    _set(future, None)
        again = news.restarted
        for event in news.events:
            again = again or (
                event.type is EventType.ACTOR_RESTARTED and event.target == CONTROLLER
            )
            for queue in tuple(self._watchers):
                queue.put_nowait(event)
        if again:
            for _, submit in tuple(self._expected.values()):
                self._directory.tell(CONTROLLER, submit)
        self._note_ready()

    def _note_ready(self) -> None:
        tables = self._published.tables
        if all(name in tables.views for name, each in tables.providers.items() if each.enabled):
            self._ready.set()

    def _resolve(self, operation_id: str) -> None:
        expected = self._expected.get(operation_id)
        if expected is not None:
            _set(expected[0], operation_id)

    # --- operations --------------------------------------------------------------------------

    async def submit(self, caller: Caller, request: Mutation) -> Operation:
        """Accept a request. See ``ports.Commands``."""
        await self._until_ready()
        settings = self._settings()
        intake = Intake(
            operation_id=self._chances.new_id(),
            instance_id=self._chances.new_id(),
            caller=caller,
            now=self._clock.now(),
            node=self._node,
            password=self._chances.new_password(),
            digest=digest_of(request),
            lasts=settings.operation_timeout,
            default_provider=settings.default_provider,
            insecure=settings.insecure,
        )
        decided = partial(decide, request=request, intake=intake)
        return await self._accept(intake.operation_id, decided)

    async def cancel(self, caller: Caller, operation_id: str) -> Operation:
        """Ask an operation to end."""
        found = views.find_operation(self._published.tables, operation_id)
        decided = partial(wishes.request_cancel, operation_id=found.id, caller=caller)
        return await self._accept(found.id, decided)

    async def _accept(
        self, operation_id: str, decided: Callable[[Any], wishes.Verdict]
    ) -> Operation:
        future: asyncio.Future[str] = self._loop.create_future()
        submit = Submit(
            operation_id,
            decided,
            refused=lambda error: self._from_thread(_fail, future, error),
            joined=lambda joined: self._from_thread(_set, future, joined),
        )
        self._expected[operation_id] = (future, submit)
        self._directory.tell(CONTROLLER, submit)
        try:
            async with asyncio.timeout(ACCEPT_SECONDS):
                accepted = await future
        except TimeoutError:
            raise DeadlineExceeded(
                f"the request was not accepted within {ACCEPT_SECONDS:g} s",
                next_step="Look at the daemon: swarmctl actors, swarmctl doctor.",
                details={"operation": operation_id},
            ) from None
        finally:
            self._expected.pop(operation_id, None)
        return self._operation(accepted)

    async def _until_ready(self) -> None:
        self._note_ready()
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            raise Unavailable(
                "the daemon is still getting ready",
                next_step="Ask again in a moment; swarmctl status shows what it waits for.",
            ) from None

    async def wait(self, operation_id: str, timeout: float | None) -> Operation:
        """Until the operation has ended, or the timeout (seconds)."""
        found = views.find_operation(self._published.tables, operation_id)
        if found.state.ended:
            return found
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.setdefault(found.id, set()).add(future)
        try:
            async with asyncio.timeout(timeout):
                await future
        except TimeoutError:
            return self._operation(found.id)
        finally:
            self._waiting.get(found.id, set()).discard(future)
        return self._operation(found.id)

    def _operation(self, operation_id: str) -> Operation:
        return views.find_operation(self._published.tables, operation_id)

    # --- decisions that are no operation -----------------------------------------------------

    async def transact(self, decision: Decision) -> Any:
        """Have the registry decide and write; the decision's value."""
        future: asyncio.Future[Any] = self._loop.create_future()

        def reply(value: Any, error: SwarmError | None) -> None:
            if error is not None:
                self._from_thread(_fail, future, error)
            else:
                self._from_thread(_set, future, value)

        self._directory.tell(REGISTRY, Transact(decision, reply))
        try:
            async with asyncio.timeout(ACCEPT_SECONDS):
                return await future
        except TimeoutError:
            raise DeadlineExceeded(
                f"nothing was written within {ACCEPT_SECONDS:g} s",
                next_step="Look at the daemon: swarmctl actors, swarmctl doctor.",
            ) from None

    # --- events ------------------------------------------------------------------------------

    def subscribe(self) -> AsyncIterator[Event]:
        """Every event published from now on; ends when the daemon does."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        # Registered at once, not at the first step of a generator: nothing is missed between.
        self._watchers.add(queue)
        return self._from_queue(queue)

    async def _from_queue(self, queue: asyncio.Queue[Event | None]) -> AsyncIterator[Event]:
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._watchers.discard(queue)

    def end_subscriptions(self) -> None:
        """At the daemon's end."""
        for queue in self._watchers:
            queue.put_nowait(None)

    def _from_thread(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            # The loop has closed: the daemon is ending and nobody waits any more.
            return


def digest_of(request: Mutation) -> str:
    """Of what a request asks for, without how its caller waits for it."""
    plain = msgspec.structs.replace(request, wait=True, timeout=None, idempotency_key=None)
    return hashlib.sha256(codec.encode_private(plain)).hexdigest()


def _set(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[Any], error: SwarmError) -> None:
    if not future.done():
        future.set_exception(error)
