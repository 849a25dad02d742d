"""One actor per provider: carries steps out in its lanes, looks what runs, tells upward."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from swarmd.actors.base import (
    CONTROLLER,
    REGISTRY,
    Context,
    Start,
    SwarmActor,
    Tick,
    health_actor,
)
from swarmd.actors.circuit import Circuit
from swarmd.actors.lanes import Lanes
from swarmd.actors.looking import Changed, Looked, LookNow, Sweeper
from swarmd.actors.registry import Transact
from swarmd.actors.stepping import (
    RunStep,
    StepEnded,
    StepProgress,
    Steps,
    Uploads,
    as_swarm_error,
)
from swarmd.core.breaker import is_own, shown
from swarmd.core.steps import Step
from swarmd.core.tables import Change, ProviderView, Tables
from swarmd.errors import (
    DeadlineExceeded,
    InitializationError,
    SwarmError,
)
from swarmd.messages.provider import BreakerInfo, ProviderHealth
from swarmd.ports import Provider

__all__ = [
    "Changed",
    "LookNow",
    "Looked",
    "ProviderActor",
    "RunStep",
    "StepEnded",
    "StepProgress",
    "Uploads",
]

log = logging.getLogger("swarmd.provider")

_LOOK = "#look"
_UPKEEP = "#upkeep"
_UPKEEP_SECONDS = 15.0
_SLOW_SECONDS = 30.0
"""A provider that has not answered a look for so long is shown as not answering."""


class ProviderActor(SwarmActor):
    """Drives one ``Provider``. Holds nothing that a new one could not find out again.

    Args:
        lanes: Where steps run.
        watch: Where looks and upkeep run.
        initialized: Set once the adapter is ready; outlives the actor, for an adapter must
            not be initialized a second time while steps of it run.
        look_every: Seconds between two looks, unless its breaker is open.
        circuit: Its breaker.
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
        circuit: Circuit,
    ) -> None:
        super().__init__(context, name, generation)
        self._provider = provider
        self._watch = watch
        self._initialized = initialized
        self._steps = Steps(
            directory=context.directory,
            provider=provider,
            lanes=lanes,
            uploads=uploads,
            refusal=circuit.refusal,
            ended=self._step_ended,
        )
        self._look_every = look_every
        self._circuit = circuit
        self._sent: BreakerInfo | None = None
        self._published: BreakerInfo | None = None
        self._ready = False
        self._refused: SwarmError | None = None
        self._early: list[RunStep] = []
        self._sweeper = Sweeper(provider)
        self._look_waits = threading.Event()
        self._looked = 0.0
        self._slow_since = 0.0
        self._blind_view = ProviderView(ProviderHealth(ok=False, message="it was not asked yet"))
        self._kept_up = 0.0

    def handle(self, message: Any) -> None:
        """Deal with one message."""
        match message:
            case Start():
                # From now on: one that hangs while it gets ready is shown as such in time.
                self._looked = self._slow_since = time.monotonic()
                self._submit_initialize()
            case _Initialized():
                self._ready_or_not(message.error)
            case RunStep() if self._is_beginning:
                self._early.append(message)
            case RunStep():
                self._run(message)
            case _Called():
                self._called(message)
            case LookNow() if self._ready or self._refused is not None:
                self._look_now(message)
            case Changed() if self._ready and not self._look_waits.is_set():
                # One look that has not begun yet sees all that has changed until then.
                self._look((), burst=True)
            case Tick():
                self._tick(message.now)
        self._show_breaker()

    @property
    def _is_beginning(self) -> bool:
        """Whether it is just getting ready, and does not take too long for that."""
        return not self._ready and self._refused is None and self._circuit.closed

    # --- its breaker -------------------------------------------------------------------------

    def _called(self, message: _Called) -> None:
        """A look or a step has ended."""
        error, step = message.error, message.step
        if error is not None and is_own(error, step):
            self._circuit.failed(error, message.began, probe=step is None)
        elif step is None:
            # A step may go well without asking anybody: what a look saw is proof.
            self._circuit.succeeded()

    def _step_ended(self, began: float, step: Step, error: SwarmError | None) -> None:
        """In a lane."""
        self.context.directory.tell(self.name, _Called(began, error, step))

    def _show_breaker(self) -> None:
        """Have it published; again at a tick, if the registry was lost with it in between."""
        info, name = self._circuit.info, self._provider.name
        if info is self._sent:
            return
        self._sent = info

        def published(_value: Any, error: SwarmError | None) -> None:
            if error is None:
                self._published = info

        decide = partial(_shown, name=name, info=info)
        self.context.directory.tell(REGISTRY, Transact(decide, published))

    # --- getting ready -----------------------------------------------------------------------

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
            error = _not_ready(
                as_swarm_error(failure, f"provider {self._provider.name} cannot start")
            )
        self.context.directory.tell(self.name, _Initialized(error))

    def _tell_changed(self) -> None:
        """From the provider's own thread; by name, for this actor's successor may hear it."""
        self.context.directory.tell(self.name, Changed())

    def _ready_or_not(self, error: SwarmError | None) -> None:
        self._ready, self._refused = error is None, error
        if error is not None:
            self._circuit.failed(error, self._looked, probe=True)
            self._sweeper.complain_once(f"it cannot start: {error.message}")
        self._run_early()
        if error is not None:
            self._tell_blind(error.message)
        else:
            self._look(())

    def _run_early(self) -> None:
        """Those that waited until it was ready, or known not to be."""
        if not self._is_beginning:
            early, self._early = self._early, []
            for step in early:
                self._run(step)

    def _run(self, step: RunStep) -> None:
        refused = self._circuit.refusal() or self._refused
        if refused is not None:
            self._steps.refuse(step, refused)
        else:
            self._steps.run(step)

    # --- looking -----------------------------------------------------------------------------

    def _tick(self, now: float) -> None:
        self._circuit.age()
        if self._published is not self._sent:
            self._sent = None
        if self._watch.busy(_LOOK):
            self._note_slow(now)
        elif now >= self._next_look():
            self._look_again()
        if self._ready and now - self._kept_up >= _UPKEEP_SECONDS and self._circuit.closed:
            self._kept_up = now
            if not self._watch.busy(_UPKEEP):
                self._submit_upkeep()

    def _next_look(self) -> float:
        retry_at = self._circuit.retry_at
        return self._looked + self._look_every() if retry_at is None else retry_at

    def _look_again(self) -> None:
        if self._refused is not None:
            self._refused = None
            self._looked = self._slow_since = time.monotonic()
            self._circuit.probing()
            self._submit_initialize()
        elif self._ready:
            self._look(())

    def _note_slow(self, now: float) -> None:
        """A look hangs: that is a failure too, and one more each time it has hung so long."""
        slow = f"it has not answered for {_SLOW_SECONDS:g} s"
        if now - self._looked >= _SLOW_SECONDS:
            self._tell_blind(slow)
        if now - self._slow_since >= _SLOW_SECONDS:
            self._slow_since = now
            self._circuit.failed(DeadlineExceeded(slow), self._looked, probe=True)
            self._run_early()

    def _look_now(self, message: LookNow) -> None:
        """Out of turn."""
        if message.asked and not self._watch.busy(_LOOK):
            self._look_again()
        elif self._circuit.closed and self._refused is None:
            # One that waits behind a look that hangs sees everything, and hides no longer wait.
            if message.confirm or not self._look_waits.is_set():
                self._look(message.confirm)
        else:
            self._tell_looked(Looked(self._provider.name, self._looked, None, self._blind_view))

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

    def _look(self, confirm: tuple[str, ...], *, burst: bool = False) -> None:
        self._looked = self._slow_since = time.monotonic()
        calm, cancelled = self._circuit.calm, threading.Event()
        self._circuit.probing()
        try:
            self._look_waits.set()
            self._watch.submit(
                _LOOK, lambda: self._sweep(confirm, calm, cancelled, burst=burst), cancelled
            )
        except SwarmError as error:
            self._look_waits.clear()
            self._tell_blind(error.message)

    def _tell_blind(self, why: str) -> None:
        """Nothing was seen: nothing is concluded about instances, but the reason is shown."""
        self._blind_view = ProviderView(ProviderHealth(ok=False, message=why))
        self._tell_looked(Looked(self._provider.name, self._looked, None, self._blind_view))

    def _tell_looked(self, looked: Looked) -> None:
        """To who reconciles, and to who watches over health, if somebody does."""
        directory, monitor = self.context.directory, health_actor(self._provider.name)
        directory.tell(CONTROLLER, looked)
        if directory.get(monitor) is not None:
            directory.tell(monitor, looked)

    def _sweep(
        self, confirm: tuple[str, ...], calm: bool, cancelled: threading.Event, *, burst: bool
    ) -> None:
        """In a lane: look, and tell."""
        if burst:
            self._sweeper.await_burst(cancelled.wait)
        self._look_waits.clear()
        looked, failed = self._sweeper.sweep(confirm, cancelled, calm=calm)
        if failed is not None:
            self._blind_view = looked.view
        self.context.directory.tell(self.name, _Called(looked.began, failed))
        self._tell_looked(looked)


@dataclass(frozen=True, slots=True)
class _Initialized:
    error: SwarmError | None


@dataclass(frozen=True, slots=True)
class _Called:
    """A call has ended that began at this time (monotonic seconds); without a step, a look."""

    began: float
    error: SwarmError | None
    step: Step | None = None


def _shown(tables: Tables, *, name: str, info: BreakerInfo) -> tuple[Change, None]:
    return shown(tables, name, info), None


def _not_ready(error: SwarmError) -> InitializationError:
    """Whatever kept an adapter from getting ready: nothing is sent to it."""
    if isinstance(error, InitializationError):
        return error
    return InitializationError(
        error.message, field=error.field, next_step=error.next_step, details=error.details
    )
