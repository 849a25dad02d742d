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
from itertools import chain
from typing import Any, TypeVar

import msgspec

from swarmd.actors.base import CONTROLLER, REGISTRY, Directory
from swarmd.actors.controller import Submit
from swarmd.actors.published import News, Published
from swarmd.actors.registry import Transact
from swarmd.core import views, wishes
from swarmd.core.alerts.book import acknowledge
from swarmd.core.intake import Intake, decide
from swarmd.core.placement import Rules
from swarmd.core.tables import Change, Tables
from swarmd.errors import DeadlineExceeded, SwarmError, Unavailable
from swarmd.messages import codec
from swarmd.messages.alert import Alert
from swarmd.messages.enums import EventType
from swarmd.messages.events import Event
from swarmd.messages.operation import Caller, Operation
from swarmd.messages.requests import AcknowledgeAlert, Mutation
from swarmd.ports import Clock

Decided = TypeVar("Decided")

ACCEPT_SECONDS = 30.0
"""How long a request may wait for its acceptance (DESIGN 7)."""

READY_SECONDS = 15.0
_AGAIN_SECONDS = 2.0
_SOON_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Chances:
    """Where ids and passwords come from."""

    new_id: Callable[[], str]
    new_password: Callable[[], str]


@dataclass(frozen=True, slots=True, eq=False)
class _Expected:
    """A request whose acceptance has not been seen yet."""

    future: asyncio.Future[str]
    submit: Submit
    seen: Callable[[Operation], bool]


@dataclass(frozen=True, slots=True)
class RequestSettings:
    """What requests are judged by; replaced on reload."""

    operation_timeout: float
    rules: Rules


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
        self._expected: dict[str, list[_Expected]] = {}
        self._deciding: set[asyncio.Future[Any]] = set()
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
            operation = news.tables.operations.get(operation_id)
            self._resolve(operation_id, operation)
            if operation is None or operation.state.ended:
                for future in self._waiting.pop(operation_id, ()):
                    _set(future, None)
        again = False
        for event in news.events:
            # The registry takes the controller with it.
            restarted = event.type is EventType.ACTOR_RESTARTED
            again = again or (restarted and event.target in (CONTROLLER, REGISTRY))
            for queue in tuple(self._watchers):
                queue.put_nowait(event)
        if again:
            for expected in tuple(chain.from_iterable(self._expected.values())):
                self._directory.tell(CONTROLLER, expected.submit)
        if news.restarted:
            self._fail_decisions()
        self._note_ready()

    def _fail_decisions(self) -> None:
        """The registry that had them is no more, and nobody can tell what it wrote."""
        for future in tuple(self._deciding):
            lost = Unavailable(
                "a part of the daemon was started anew before this was answered",
                next_step="Look whether it was done; if not, ask for it again.",
            )
            _fail(future, lost)

    def _note_ready(self) -> None:
        tables = self._published.tables
        if all(name in tables.views for name, each in tables.providers.items() if each.enabled):
            self._ready.set()

    def _resolve(self, operation_id: str, operation: Operation | None) -> None:
        for expected in self._expected.get(operation_id, ()):
            if operation is None or expected.seen(operation):
                _set(expected.future, operation_id)

    def new_password(self) -> str:
        """A fresh one, for an instance that was found without its own."""
        return self._chances.new_password()

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
            rules=settings.rules,
        )
        decided = partial(decide, request=request, intake=intake)
        return await self._accept(intake.operation_id, decided, lambda _operation: True)

    async def cancel(self, caller: Caller, operation_id: str) -> Operation:
        """Ask an operation to end."""
        found = views.find_operation(self._published.tables, operation_id)
        decided = partial(wishes.request_cancel, operation_id=found.id, caller=caller)
        return await self._accept(found.id, decided, _is_ending)

    async def _accept(
        self,
        operation_id: str,
        decided: Callable[[Any], wishes.Verdict],
        seen: Callable[[Operation], bool],
    ) -> Operation:
        future: asyncio.Future[str] = self._loop.create_future()
        submit = Submit(
            operation_id,
            decided,
            refused=lambda error: self._from_thread(_fail, future, error),
            joined=lambda joined: self._from_thread(_set, future, joined),
        )
        expected = _Expected(future, submit, seen)
        self._expected.setdefault(operation_id, []).append(expected)
        try:
            async with asyncio.timeout(ACCEPT_SECONDS):
                while not future.done():
                    # Sent again it is the same: it may have been lost with an actor that died.
                    self._directory.tell(CONTROLLER, submit)
                    await asyncio.wait((future,), timeout=_AGAIN_SECONDS)
        except TimeoutError:
            raise DeadlineExceeded(
                f"the request was not accepted within {ACCEPT_SECONDS:g} s; it may still be",
                next_step=f"Look whether it was: swarmctl ops {operation_id}.",
                details={"operation": operation_id},
            ) from None
        finally:
            self._forget(operation_id, expected)
        return self._operation(future.result())

    def _forget(self, operation_id: str, expected: _Expected) -> None:
        several = self._expected[operation_id]
        several.remove(expected)
        if not several:
            del self._expected[operation_id]

    async def _until_ready(self) -> None:
        self._note_ready()
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            # One provider that hangs must not hold up the others: what needs it is refused
            # by its own state.
            self._ready.set()

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

    async def transact(self, decision: Callable[[Tables], tuple[Change, Decided]]) -> Decided:
        """Have the registry decide and write; the decision's value."""
        future: asyncio.Future[Decided] = self._loop.create_future()

        def reply(value: Any, error: SwarmError | None) -> None:
            if error is not None:
                self._from_thread(_fail, future, error)
            else:
                self._from_thread(_set, future, value)

        self._deciding.add(future)
        transact = Transact(decision, reply)
        try:
            async with asyncio.timeout(ACCEPT_SECONDS):
                # It may be just being started; what it was not told it has not done.
                while not self._directory.tell(REGISTRY, transact):  # noqa: ASYNC110
                    await asyncio.sleep(_SOON_SECONDS)
                return await future
        except TimeoutError:
            raise DeadlineExceeded(
                f"nothing was written within {ACCEPT_SECONDS:g} s; it may still be",
                next_step="Look at the daemon: swarmctl doctor, swarmctl actors.",
            ) from None
        finally:
            self._deciding.discard(future)

    async def acknowledge(self, caller: Caller, request: AcknowledgeAlert) -> Alert:
        """Take an alert over. See ``ports.Commands``."""
        now = self._clock.now()
        decided = partial(acknowledge, ref=request.id, by=caller.name, note=request.note, now=now)
        return await self.transact(decided)

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


def _is_ending(operation: Operation) -> bool:
    return operation.cancel_requested or operation.state.ended


def _set(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[Any], error: SwarmError) -> None:
    if not future.done():
        future.set_exception(error)
