"""Drives operations: submits decisions to the registry, steps to the providers.

Level-triggered: what has to run stands in the published tables. ``_drive`` looks at an
operation there and sends out the step that it is in, unless that step is under way already.
A controller that starts anew, a provider that lost its mailbox and a daemon that was killed
all come back by the same way: every operation that has not ended is driven again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from swarmd.actors.base import (
    REGISTRY,
    ActorRestarted,
    Context,
    Start,
    SwarmActor,
    Tick,
    provider_actor,
)
from swarmd.actors.lanes import Lanes
from swarmd.actors.provider import Looked, LookNow, RunStep, StepEnded, StepProgress
from swarmd.actors.published import Published
from swarmd.actors.reconciler import Reconciler
from swarmd.actors.registry import Transact
from swarmd.actors.underway import Sent, UnderWay
from swarmd.core import housekeeping
from swarmd.core.notes import event_of
from swarmd.core.steps import Outcome, Step, abandon, config_during, settle
from swarmd.core.tables import Change, Tables
from swarmd.core.turns import late
from swarmd.core.wishes import Verdict
from swarmd.errors import DeadlineExceeded, OperationCancelled, SwarmError, Unavailable
from swarmd.messages.config import HealthConfig
from swarmd.messages.enums import EventType, OperationState
from swarmd.messages.instance import Instance
from swarmd.messages.operation import Operation, Progress

log = logging.getLogger("swarmd.controller")

_RETRY_SECONDS = 1.0
_HOMELESS_SECONDS = 10.0
"""How long a step waits for a provider that is just being started anew."""


@dataclass(frozen=True, slots=True)
class Submit:
    """Accept a wish.

    ``decide`` gives a ``Verdict`` or raises; ``refused`` tells a refusal, ``joined`` that
    another operation answers it.
    """

    operation_id: str
    decide: Callable[[Tables], Verdict]
    refused: Callable[[SwarmError], None]
    joined: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the controller needs of the configuration; replaced on reload."""

    reconcile_interval: float
    trash_retention: float
    operation_timeout: float
    operations_kept: int
    lock_timeout: float = 30.0
    health: HealthConfig = HealthConfig()


@dataclass(frozen=True, slots=True)
class NewSettings:
    """The configuration was reloaded."""

    settings: Settings


Settling = Callable[[Tables, Outcome, Any], Change]
"""What an outcome changes: ``settle`` or, for a step that was given up, ``abandon``."""


@dataclass(frozen=True, slots=True)
class _Accepted:
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class _Settled:
    outcome: Outcome
    how: Settling
    error: SwarmError | None


class Controller(SwarmActor):
    """See the module's docstring."""

    def __init__(
        self,
        context: Context,
        name: str,
        generation: int,
        *,
        published: Published,
        lanes_of: Callable[[str], Lanes | None],
        reconciler: Callable[[Callable[[Verdict], None]], Reconciler],
        settings: Settings,
    ) -> None:
        super().__init__(context, name, generation)
        self._published = published
        self._lanes_of = lanes_of
        self._settings = settings
        self._reconciler = reconciler(lambda verdict: self._tell_self(_Accepted(verdict)))
        self._under_way = UnderWay()
        self._began = context.clock.now()
        self._resumed: frozenset[str] = frozenset()
        self._retries: list[tuple[float, Outcome, Settling]] = []
        self._homeless: dict[str, float] = {}

    def handle(self, message: Any) -> None:
        """Deal with one message."""
        match message:
            case Start():
                self._begin()
            case Submit():
                self._submit(message)
            case _Accepted():
                self._accepted(message.verdict)
            case Tick():
                self._tick(message.now)
            case ActorRestarted():
                self._drive_again(message.name)
            case NewSettings():
                self._settings = message.settings
            case _:
                self._hear(message)

    def _hear(self, message: Any) -> None:
        """What a provider's actor, or the registry about one of its steps, tells."""
        match message:
            case StepEnded():
                self._step_ended(replace(message.outcome, provider=message.provider))
            case _Settled():
                self._settled(message)
            case StepProgress():
                self._progress(message)
            case Looked():
                self._reconciler.looked(
                    message,
                    every=self._settings.reconcile_interval,
                    trash_retention=self._settings.trash_retention,
                    lasts=self._settings.operation_timeout,
                    health=self._settings.health,
                )

    # --- beginning ---------------------------------------------------------------------------

    def _begin(self) -> None:
        """What an earlier life left: tidy records that a crash cut apart, go on with the rest."""
        now = self.context.clock.now()
        active = self._published.tables.active
        log.info("%d instances have operations under way", len(active))
        self._resumed = frozenset(each for waiting in active.values() for each in waiting)

        def decide(tables: Tables) -> tuple[Change, None]:
            return housekeeping.tidy(tables, now), None

        self._transact(decide, lambda _value, _error: self._tell_self(_Accepted(Verdict(""))))
        for name in self._published.tables.providers:
            # What a provider told before this controller was there is asked for again.
            self.context.directory.tell(provider_actor(name), LookNow())

    def _drive_all(self) -> None:
        for waiting in tuple(self._published.tables.active.values()):
            self._drive(waiting[0])

    def _drive_again(self, name: str) -> None:
        """A provider's actor is back: what was in its mailbox is sent again."""
        self._under_way.forget_those_at(name)
        self._drive_all()

    # --- accepting ---------------------------------------------------------------------------

    def _submit(self, message: Submit) -> None:
        def decide(tables: Tables) -> tuple[Change, Verdict]:
            verdict = message.decide(tables)
            return verdict.change, verdict

        def reply(verdict: Verdict | None, error: SwarmError | None) -> None:
            if verdict is None:
                message.refused(error or Unavailable("refused"))
                return
            if verdict.joined:
                message.joined(verdict.operation_id)
            self._tell_self(_Accepted(verdict))

        self._transact(decide, reply)

    def _accepted(self, verdict: Verdict) -> None:
        for operation_id in verdict.cancel:
            self._cancel(operation_id)
        self._drive_all()

    def _cancel(self, operation_id: str) -> None:
        sent = self._under_way.cancel(operation_id)
        lanes = None if sent is None else self._lanes_of(sent.provider)
        if sent is not None and lanes is not None:
            # The same step may run on behalf of a controller that died: it ends as well.
            lanes.cancel(sent.target)

    # --- driving -----------------------------------------------------------------------------

    def _drive(self, operation_id: str) -> None:
        tables = self._published.tables
        operation = tables.operations.get(operation_id)
        if operation is None or operation.state is not OperationState.RUNNING:
            self._homeless.pop(operation_id, None)
            return
        if self._under_way.of(operation_id, operation.step) is not None:
            if operation.cancel_requested:
                self._cancel(operation_id)
            return
        instance = tables.instances.get(operation.target)
        if instance is not None and operation.step is not None:
            config = config_during(operation, instance)
            self._send(operation, msgspec.structs.replace(instance, config=config))

    def _send(self, operation: Operation, instance: Instance) -> None:
        step = Step(operation.step or "")
        deadline = self._deadline_of(operation)
        sent = Sent(step.value, instance.provider, instance.id, deadline)
        if operation.cancel_requested and step is not Step.UNDO:
            sent.cancelled.set()
        self._under_way.put(operation.id, sent)
        run = RunStep(
            operation_id=operation.id,
            step=step,
            instance=instance,
            deadline=deadline,
            cancelled=sent.cancelled,
            force=bool(operation.arguments.get("force")),
            upload=operation.arguments.get("upload"),
        )
        if self.context.directory.tell(provider_actor(instance.provider), run):
            self._homeless.pop(operation.id, None)
        elif not self._may_wait(operation.id, instance.provider):
            error = Unavailable(
                f"provider {instance.provider} is not driven by this daemon now",
                next_step=f"Enable it: swarmctl providers enable {instance.provider}.",
            )
            self._tell_self(StepEnded(instance.provider, Outcome(operation.id, step, error=error)))

    def _may_wait(self, operation_id: str, provider: str) -> bool:
        """Whether a provider that has no actor is about to get one; then it is tried again."""
        record = self._published.tables.providers.get(provider)
        since = self._homeless.setdefault(operation_id, time.monotonic())
        waits = record is not None and record.enabled
        if waits and time.monotonic() - since < _HOMELESS_SECONDS:
            self._under_way.forget(operation_id)
            return True
        del self._homeless[operation_id]
        return False

    def _deadline_of(self, operation: Operation) -> float:
        """Monotonic seconds.

        An undo has time of its own: it must not be cut off as well. So has an operation that
        an earlier life of the daemon left: it could do nothing while there was none.
        """
        resumed = operation.id in self._resumed
        if operation.step == Step.UNDO.value or operation.deadline is None or resumed:
            return time.monotonic() + self._settings.operation_timeout
        left = (operation.deadline - self.context.clock.now()).total_seconds()
        return time.monotonic() + max(0.0, left)

    # --- settling ----------------------------------------------------------------------------

    def _step_ended(self, outcome: Outcome) -> None:
        sent = self._under_way.ended(outcome)
        if sent is not None:
            self._reconciler.step_ended(sent.target, outcome)
            sent.note_end()
        self._write(outcome, settle)

    def _write(self, outcome: Outcome, how: Settling) -> None:
        now = self.context.clock.now()

        def decide(tables: Tables) -> tuple[Change, None]:
            return how(tables, outcome, now), None

        def reply(_value: Any, error: SwarmError | None) -> None:
            self._tell_self(_Settled(outcome, how, error))

        self._transact(decide, reply)

    def _settled(self, message: _Settled) -> None:
        """Go on; what could not be written (a full disk) is written later: it has happened."""
        if message.error is not None:
            log.warning("an outcome could not be written yet: %s", message.error)
            again = time.monotonic() + _RETRY_SECONDS
            self._retries.append((again, message.outcome, message.how))
            return
        outcome = message.outcome
        if self._under_way.ended(outcome) is not None:
            self._under_way.forget(outcome.operation_id)
        self._drive_all()

    def _progress(self, message: StepProgress) -> None:
        def decide(tables: Tables) -> tuple[Change, None]:
            operation = tables.operations.get(message.operation_id)
            if operation is None or operation.state is not OperationState.RUNNING:
                return Change(), None
            progress = Progress(message=message.message, fraction=message.fraction)
            told = msgspec.structs.replace(operation, progress=progress)
            instance = tables.instances.get(operation.target)
            facts = {"message": message.message, "fraction": message.fraction}
            event = event_of(EventType.OPERATION_PROGRESS, instance, told, **facts)
            return Change(operations=(told,), events=(event,)), None

        self._transact(decide, lambda _value, _error: None)

    # --- time --------------------------------------------------------------------------------

    def _tick(self, now: float) -> None:
        due = [each for each in self._retries if each[0] <= now]
        self._retries = [each for each in self._retries if each[0] > now]
        for _, outcome, how in due:
            self._write(outcome, how)
        for operation_id, sent in self._under_way.overdue(now):
            self._abandon(operation_id, sent)
        for operation_id in tuple(self._homeless):
            self._drive(operation_id)
        self._end_late()
        self._sweep_operations()
        self._reconciler.tick()

    def _abandon(self, operation_id: str, sent: Sent) -> None:
        """A step that neither ended nor heard: its lane goes on without it (DESIGN 4)."""
        log.error("%s of %s does not come back", sent.step, sent.target)
        lanes = self._lanes_of(sent.provider)
        if lanes is not None:
            lanes.abandon(sent.target)
        operation = self._published.tables.operations.get(operation_id)
        told = f"{sent.step} did not end in time and was abandoned"
        wanted = operation is not None and operation.cancel_requested
        error = OperationCancelled(told) if wanted else DeadlineExceeded(told)
        step, provider = Step(sent.step), sent.provider
        self._write(Outcome(operation_id, step, error=error, provider=provider), abandon)
        sent.put_off()

    def _end_late(self) -> None:
        """What waits too long for its turn ends, and says who has it."""
        tables, timeout = self._published.tables, self._settings.lock_timeout
        now, since = self.context.clock.now(), self._began
        if late(tables, now, timeout, since).operations:
            self._transact(
                lambda newest: (late(newest, now, timeout, since), None),
                lambda _value, _error: None,
            )

    def _sweep_operations(self) -> None:
        kept = self._settings.operations_kept
        if len(self._published.tables.operations) <= kept * 1.1 + 10:
            return
        now = self.context.clock.now()
        self._transact(
            lambda tables: (housekeeping.sweep_operations(tables, kept, now), None),
            lambda _value, _error: None,
        )

    # --- helpers -----------------------------------------------------------------------------

    def _transact(
        self,
        decide: Callable[[Tables], tuple[Change, Any]],
        reply: Callable[[Any, SwarmError | None], None],
    ) -> None:
        self.context.directory.tell(REGISTRY, Transact(decide, reply))

    def _tell_self(self, message: object) -> None:
        self.context.directory.tell(self.name, message)
