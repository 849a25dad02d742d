"""The one writer of the state.

Others send a decision: a pure function from the newest tables to a ``Change``. The registry
runs it, hands what is durable to the store's writer thread and goes on; once the writer
reports it on disk the change is published, and then its sender gets the answer. So a caller
reads its own writes, two decisions never see the same old state, and nobody's mailbox waits
for a disk.

If a write fails (a full disk), everything not yet on disk is forgotten: the senders get the
error, and the tables are those that were last published.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from swarmd.actors.base import REGISTRY, Context, Start, SwarmActor, Tick
from swarmd.actors.owed import Owed
from swarmd.actors.published import News, Published
from swarmd.core.tables import Change, EventDraft, Tables
from swarmd.errors import InternalError, SwarmError
from swarmd.messages.events import Event
from swarmd.messages.provider import ProviderRecord
from swarmd.ports import Batch, Store

log = logging.getLogger("swarmd.registry")

_MOST_HELD_BACK = 64
_PAY_SECONDS = 5.0

Decision = Callable[[Tables], tuple[Change, Any]]
"""From the newest tables to what is to be written and what the sender wants to know."""

Reply = Callable[[Any, SwarmError | None], None]
"""Called on the registry's thread with the decision's value, or with why nothing was written."""


def no_reply(_value: Any, _error: SwarmError | None) -> None:
    """For a sender that sees the outcome in what is published."""


@dataclass(frozen=True, slots=True)
class Transact:
    """Decide and write."""

    decide: Decision
    reply: Reply = no_reply


@dataclass(frozen=True, slots=True)
class Durable:
    """The writer's report on one batch."""

    number: int
    generation: int
    error: Exception | None


@dataclass(slots=True)
class _Pending:
    number: int
    change: Change
    written: Change
    events: tuple[Event, ...]
    value: Any
    reply: Reply
    durable: bool


class Registry(SwarmActor):
    """See the module's docstring.

    Args:
        providers_of: The providers that the saved ones and the configuration make together.
    """

    def __init__(
        self,
        context: Context,
        name: str,
        generation: int,
        *,
        store: Store,
        published: Published,
        providers_of: Callable[[Sequence[ProviderRecord]], Sequence[ProviderRecord]],
    ) -> None:
        super().__init__(context, name, generation)
        self._store = store
        self._providers_of = providers_of
        self._published = published
        self._working = published.tables
        self._pending: deque[_Pending] = deque()
        self._deferred: list[Transact] = []
        self._failure: SwarmError | None = None
        self._owed = Owed()
        self._tried = -_PAY_SECONDS
        self._number = 0

    def handle(self, message: Any) -> None:
        """Deal with one message."""
        match message:
            case Start():
                self._begin()
            case Transact():
                self._transact(message)
            case Durable():
                self._reported(message)
            case Tick():
                self._publish_ready()
                self._pay_now(message.now)

    def _begin(self) -> None:
        """After a restart: what an earlier registry handed over may have been written."""
        if self.generation == 1:
            return
        self._store.resume()
        state = self._store.reload()
        before = self._published.tables
        providers = self._providers_of(state.providers)
        fresh = Tables.build(
            state.instances, state.operations, providers, state.last_seq, state.alerts
        )
        kept = Change(
            views=dict(before.views),
            breakers=dict(before.breakers),
            strays=before.strays,
            ailments=dict(before.ailments),
        )
        self._working = fresh.apply(kept)
        # What the one before had written but not told: watchers must not miss an event.
        _, missed = self._store.history(before.seq, max(0, state.last_seq - before.seq))
        operations = tuple(self._working.operations)
        self._published.publish(News(self._working, tuple(missed), operations, restarted=True))

    def _transact(self, message: Transact) -> None:
        if self._failure is not None:
            self._deferred.append(message)
            return
        try:
            change, value = message.decide(self._working)
        except SwarmError as error:
            message.reply(None, error)
            return
        except Exception as error:
            log.exception("a decision failed")
            message.reply(None, InternalError(f"{type(error).__name__}: {error}"))
            return
        self._take(change, value, message.reply, pay=change.durable)

    def _take(self, change: Change, value: Any, reply: Reply, *, pay: bool) -> None:
        events = self._stamp(change.events)
        self._working = self._working.apply(change)
        # What needs no disk is not made to fail by a full one.
        written = self._owed.pay(self._published.tables, change) if pay else change
        self._number += 1
        pending = _Pending(self._number, change, written, events, value, reply, not written.durable)
        self._pending.append(pending)
        if pending.durable:
            self._publish_ready()
        else:
            self._submit(self._number, written, events)

    def _submit(self, number: int, change: Change, events: tuple[Event, ...]) -> None:
        directory, generation = self.context.directory, self.generation

        def done(error: Exception | None) -> None:
            directory.tell(REGISTRY, Durable(number, generation, error))

        self._store.submit(batch_of(change, events), done)

    def _stamp(self, drafts: tuple[EventDraft, ...]) -> tuple[Event, ...]:
        now, first = self.context.clock.now(), self._working.seq + 1
        return tuple(
            Event(
                seq=first + offset,
                journal=self._published.journal,
                at=now,
                type=draft.type,
                target=draft.target,
                ref=draft.ref,
                owner=draft.owner,
                operation=draft.operation,
                caller=draft.caller,
                correlation=draft.correlation,
                data=dict(draft.data),
            )
            for offset, draft in enumerate(drafts)
        )

    def _reported(self, report: Durable) -> None:
        pending = next((each for each in self._pending if each.number == report.number), None)
        if pending is None or report.generation != self.generation:
            return
        if report.error is not None:
            self._failed(pending, report.error)
            return
        pending.durable = True
        self._publish_ready()

    def _publish_ready(self) -> None:
        """Publish what is on disk, once per drained mailbox."""
        waiting = any(not each.durable for each in self._pending)
        if waiting and not self.actor_inbox.empty() and len(self._pending) < _MOST_HELD_BACK:
            # More reports are on their way: one publication will do for all of them.
            return
        self._publish_prefix()

    def _publish_prefix(self) -> None:
        """Publish what is on disk, in order, up to the first that is not; then answer."""
        ready: list[_Pending] = []
        while self._pending and self._pending[0].durable:
            ready.append(self._pending.popleft())
        if not ready:
            return
        tables = self._published.tables
        for each in ready:
            tables = tables.apply(each.change)
        if self._failure is None and any(each.written.durable for each in ready):
            # Only a write that went well shows that the disk takes writes again.
            self._published.write_error = None
        events = tuple(event for each in ready for event in each.events)
        operations = tuple(op.id for each in ready for op in each.change.operations)
        self._published.publish(News(tables, events, operations))
        for each in ready:
            each.reply(each.value, None)

    def _failed(self, pending: _Pending, error: Exception) -> None:
        told = error if isinstance(error, SwarmError) else InternalError(str(error))
        if self._failure is None:
            log.error("the state cannot be written: %s", told)
        self._failure = told
        self._published.write_error = told.message
        self._publish_prefix()
        self._owed.add(pending.written)
        self._pending.remove(pending)
        pending.reply(None, told)
        if not any(not each.durable for each in self._pending):
            self._begin_anew(told)

    def _pay_now(self, now: float) -> None:
        """Without a next change: write what is owed by itself."""
        idle = not self._pending and self._failure is None
        if self._owed and idle and now - self._tried >= _PAY_SECONDS:
            self._tried = now
            self._take(Change(), None, no_reply, pay=True)

    def _begin_anew(self, told: SwarmError) -> None:
        """Every batch of the failed group has been reported: go back to what is on disk."""
        forgotten, self._pending = list(self._pending), deque()
        for each in forgotten:
            each.reply(None, told)
        self._working = self._published.tables
        self._failure = None
        self._store.resume()
        deferred, self._deferred = self._deferred, []
        for message in deferred:
            self._transact(message)


def batch_of(change: Change, events: tuple[Event, ...]) -> Batch:
    """The durable part of a change."""
    return Batch(
        operations=change.operations,
        instances=change.instances,
        events=events,
        reasons=change.reasons,
        drop_instances=change.drop_instances,
        drop_operations=change.drop_operations,
        providers=change.providers,
        alerts=change.alerts,
    )
