"""One actor per provider: carries steps out in its lanes, looks what runs, tells upward."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from swarmd.actors.base import CONTROLLER, Context, Start, SwarmActor, Tick, health_actor
from swarmd.actors.lanes import Lanes
from swarmd.core.addresses import url_for
from swarmd.core.steps import Outcome, Step
from swarmd.core.tables import ProviderView
from swarmd.errors import InternalError, OperationCancelled, ProviderError, SwarmError
from swarmd.messages.instance import Instance
from swarmd.messages.provider import Observed, ProviderHealth
from swarmd.ports import Call, Provider

log = logging.getLogger("swarmd.provider")

_LOOK = "#look"
_UPKEEP = "#upkeep"
_UPKEEP_SECONDS = 15.0
_PROGRESS_SECONDS = 0.5
_SLOW_SECONDS = 30.0
"""A provider that has not answered a look for so long is shown as not answering."""


class Uploads(Protocol):
    """Where archives wait that were sent for an import."""

    def read(self, upload_id: str) -> Iterator[bytes]:
        """Its bytes, in pieces. Raises ``ValidationError`` if there is none."""


@dataclass(frozen=True, slots=True)
class RunStep:
    """Carry out one step of an operation.

    ``deadline`` is monotonic seconds; ``cancelled`` is shared with whoever may cut it short.
    """

    operation_id: str
    step: Step
    instance: Instance
    deadline: float
    cancelled: threading.Event
    force: bool = False
    upload: str | None = None


@dataclass(frozen=True, slots=True)
class StepEnded:
    """How a step ended."""

    provider: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class StepProgress:
    """How far a step is."""

    operation_id: str
    message: str
    fraction: float | None


@dataclass(frozen=True, slots=True)
class LookNow:
    """List what is there, out of turn; ``confirm`` asks directly for these too."""

    confirm: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Changed:
    """The provider has heard that something is different."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a sweep saw; ``observed`` is None if the provider did not answer.

    ``began`` is monotonic seconds: anything that ended later is newer than this.
    """

    provider: str
    began: float
    observed: Sequence[Observed] | None
    view: ProviderView
    confirmed_absent: frozenset[str] = frozenset()


class ProviderActor(SwarmActor):
    """Drives one ``Provider``. Holds nothing that a new one could not find out again.

    Args:
        lanes: Where steps run.
        watch: Where looks and upkeep run.
        initialized: Set once the adapter is ready; outlives the actor, for an adapter must
            not be initialized a second time while steps of it run.
        look_every: Seconds between two looks.
    """

    def __init__(
        self,
        context: Context,
        name: str,
        generation: int,
        *,
        provider: Provider,
        lanes: Lanes,
        watch: Lanes,
        initialized: threading.Event,
        uploads: Uploads,
        look_every: Callable[[], float],
    ) -> None:
        super().__init__(context, name, generation)
        self._provider = provider
        self._lanes = lanes
        self._watch = watch
        self._initialized = initialized
        self._uploads = uploads
        self._look_every = look_every
        self._ready = False
        self._refused: SwarmError | None = None
        self._early: list[RunStep] = []
        self._complained: str | None = None
        self._look_waits = threading.Event()
        self._looked = 0.0
        self._kept_up = 0.0

    def handle(self, message: Any) -> None:
        """Deal with one message."""
        match message:
            case Start():
                # From now on: one that hangs while it gets ready is shown as such in time.
                self._looked = time.monotonic()
                self._submit_initialize()
            case _Initialized():
                self._ready_or_not(message.error)
            case RunStep() if not self._ready and self._refused is None:
                self._early.append(message)
            case RunStep():
                self._run(message)
            case LookNow() if self._ready or self._refused is not None:
                self._look(message.confirm)
            case Changed() if self._ready and not self._look_waits.is_set():
                # One look that has not begun yet sees all that has changed until then.
                self._look(())
            case Tick():
                self._tick(message.now)

    def _submit_initialize(self) -> None:
        try:
            self._watch.submit(_LOOK, self._initialize, threading.Event())
        except SwarmError as error:
            self._ready_or_not(error)

    def _initialize(self) -> None:
        """In a lane: get the provider ready."""
        error: SwarmError | None = None
        try:
            if not self._initialized.is_set():
                self._provider.initialize()
                self._provider.watch(self._tell_changed)
                self._initialized.set()
        except Exception as failure:  # noqa: BLE001  # the provider's border
            error = as_swarm_error(failure, f"provider {self._provider.name} cannot start")
        self.context.directory.tell(self.name, _Initialized(error))

    def _tell_changed(self) -> None:
        """From the provider's own thread; by name, for this actor's successor may hear it."""
        self.context.directory.tell(self.name, Changed())

    def _ready_or_not(self, error: SwarmError | None) -> None:
        self._ready, self._refused = error is None, error
        if error is not None:
            self._complain_once(f"it cannot start: {error.message}")
        early, self._early = self._early, []
        for step in early:
            self._run(step)
        self._look(())

    def _tick(self, now: float) -> None:
        if self._watch.busy(_LOOK):
            if now - self._looked >= _SLOW_SECONDS:
                self._tell_blind(f"it has not answered for {_SLOW_SECONDS:g} s")
        elif now - self._looked >= self._look_every():
            if self._refused is not None:
                self._refused = None
                self._submit_initialize()
            elif self._ready:
                self._look(())
        if self._ready and now - self._kept_up >= _UPKEEP_SECONDS:
            self._kept_up = now
            if not self._watch.busy(_UPKEEP):
                self._submit_upkeep()

    def _submit_upkeep(self) -> None:
        try:
            self._watch.submit(_UPKEEP, self._upkeep, threading.Event())
        except SwarmError as error:
            log.warning("no upkeep of %s: %s", self._provider.name, error)

    def _upkeep(self) -> None:
        try:
            self._provider.upkeep(self.context.clock.now())
        except SwarmError as error:
            log.warning("upkeep of %s: %s", self._provider.name, error)

    def _look(self, confirm: tuple[str, ...]) -> None:
        self._looked = time.monotonic()
        if self._refused is not None:
            self._tell_blind(self._refused.message)
            return
        try:
            self._look_waits.set()
            self._watch.submit(_LOOK, lambda: self._sweep(confirm), threading.Event())
        except SwarmError as error:
            self._look_waits.clear()
            self._tell_blind(error.message)

    def _tell_blind(self, why: str) -> None:
        """Nothing was seen: nothing is concluded about instances, but the reason is shown."""
        view = ProviderView(ProviderHealth(ok=False, message=why))
        self._tell_looked(Looked(self._provider.name, self._looked, None, view))

    def _tell_looked(self, looked: Looked) -> None:
        """To who reconciles, and to who watches over health, if somebody does."""
        directory, monitor = self.context.directory, health_actor(self._provider.name)
        directory.tell(CONTROLLER, looked)
        if directory.get(monitor) is not None:
            directory.tell(monitor, looked)

    def _sweep(self, confirm: tuple[str, ...]) -> None:
        """In a lane: one list call, the provider's health, and direct questions if asked."""
        self._look_waits.clear()
        provider, began = self._provider, time.monotonic()
        observed: Sequence[Observed] | None = None
        absent: set[str] = set()
        health = provider.probe()
        try:
            capabilities = provider.capabilities()
            observed = provider.list()
            absent = {each for each in confirm if provider.get(each) is None}
        except Exception as failure:  # noqa: BLE001  # the provider's border
            error = as_swarm_error(failure, f"provider {provider.name} did not answer")
            health, capabilities = ProviderHealth(ok=False, message=error.message), None
            self._complain_once(error.message)
        else:
            self._complained = None
        view = ProviderView(health, capabilities)
        self._tell_looked(Looked(provider.name, began, observed, view, frozenset(absent)))

    def _complain_once(self, what: str) -> None:
        """Into the log, unless that was the last that was said of it."""
        if what != self._complained:
            log.warning("provider %s: %s", self._provider.name, what)
        self._complained = what

    def _run(self, message: RunStep) -> None:
        if self._refused is not None:
            self._tell(Outcome(message.operation_id, message.step, error=self._refused))
            return
        key = message.instance.id
        try:
            self._lanes.submit(key, lambda: self._carry_out(message), message.cancelled)
        except SwarmError as error:
            if not self._lanes.closed:
                self._tell(Outcome(message.operation_id, message.step, error=error))

    def _carry_out(self, message: RunStep) -> None:
        """In a lane: call the provider, tell the outcome whatever it is."""
        call = Call(
            deadline=message.deadline,
            clock=time.monotonic,
            progress=self._progress_of(message.operation_id),
            cancelled=message.cancelled,
        )
        try:
            call.check()
            outcome = self._call(message, call)
        except BaseException as failure:  # noqa: BLE001  # the provider's border: even an exit
            if self._lanes.closed and isinstance(failure, OperationCancelled):
                # Nobody asked for that: the step is taken up again by this one's successor.
                return
            error = as_swarm_error(failure, f"{message.step} of {message.instance.ref} failed")
            outcome = Outcome(message.operation_id, message.step, error=error)
        self._tell(outcome)

    def _call(self, message: RunStep, call: Call) -> Outcome:
        provider, instance = self._provider, message.instance
        observed: Observed | None = None
        waiting: tuple[str, ...] = ()
        match message.step:
            case Step.CREATE:
                observed = provider.create(instance, call)
            case Step.IMPORT:
                chunks = self._uploads.read(message.upload or "")
                observed = provider.import_data(instance, chunks, call)
            case Step.START:
                observed = provider.start(instance, call)
            case Step.STOP:
                observed = provider.stop(instance, call, force=message.force)
            case Step.UPDATE:
                updated = provider.update(instance, call)
                observed, waiting = updated.observed, updated.restart_required
            case Step.RESTORE:
                observed = provider.restore(instance, call)
            case _:
                self._call_unseen(message.step, instance, call)
        url = url_for(observed.address) if observed is not None else None
        return Outcome(message.operation_id, message.step, observed, url, waiting)

    def _call_unseen(self, step: Step, instance: Instance, call: Call) -> None:
        """The calls after which there is nothing to be shown."""
        provider = self._provider
        match step:
            case Step.VALIDATE:
                provider.validate(instance)
            case Step.RENEW:
                provider.renew(instance, call)
            case Step.TRASH:
                provider.trash(instance, call)
            case Step.PURGE | Step.UNDO:
                provider.purge(instance, call)

    def _progress_of(self, operation_id: str) -> Callable[[str, float | None], None]:
        last = 0.0

        def progress(message: str, fraction: float | None) -> None:
            nonlocal last
            if time.monotonic() - last >= _PROGRESS_SECONDS:
                last = time.monotonic()
                told = StepProgress(operation_id, message, fraction)
                self.context.directory.tell(CONTROLLER, told)

        return progress

    def _tell(self, outcome: Outcome) -> None:
        self.context.directory.tell(CONTROLLER, StepEnded(self._provider.name, outcome))


@dataclass(frozen=True, slots=True)
class _Initialized:
    error: SwarmError | None


def as_swarm_error(failure: BaseException, what: str) -> SwarmError:
    """A provider's failure as one of ours; anything else it raises is a fault of its code."""
    if isinstance(failure, SwarmError):
        return failure
    log.error("%s", what, exc_info=failure)
    cause = f"{type(failure).__name__}: {failure}"
    if isinstance(failure, OSError):
        return ProviderError(f"{what}: {failure.strerror or failure}", details={"cause": cause})
    return InternalError(what, details={"cause": cause})
