"""Steps of operations, carried out at one provider in its lanes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from swarmd.actors.base import CONTROLLER, Directory
from swarmd.actors.lanes import Lanes
from swarmd.actors.repeating import repeated
from swarmd.core.addresses import url_for
from swarmd.core.retry import is_repeatable
from swarmd.core.steps import Outcome, Step
from swarmd.errors import InternalError, OperationCancelled, ProviderError, SwarmError
from swarmd.messages.instance import Instance
from swarmd.messages.provider import Observed
from swarmd.ports import Call, Provider

log = logging.getLogger("swarmd.provider")

_PROGRESS_SECONDS = 0.5


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


Ended = Callable[[float, Step, SwarmError | None], None]
"""Told when a step began (monotonic seconds), which one, and its error."""


class Steps:
    """What an actor hands its steps to.

    Args:
        lanes: Where they run.
        uploads: For imports.
        refusal: Why nothing is to be sent to the provider now; None: it may be.
        ended: Told of each that was tried, in its lane.
    """

    def __init__(
        self,
        *,
        directory: Directory,
        provider: Provider,
        lanes: Lanes,
        uploads: Uploads,
        refusal: Callable[[], SwarmError | None],
        ended: Ended,
    ) -> None:
        self._directory = directory
        self._provider = provider
        self._lanes = lanes
        self._uploads = uploads
        self._refusal = refusal
        self._ended = ended

    def refuse(self, message: RunStep, error: SwarmError) -> None:
        """End one without asking the provider."""
        self._tell(Outcome(message.operation_id, message.step, error=error))

    def run(self, message: RunStep) -> None:
        """Put one into the lane of its instance."""
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
        began = time.monotonic()
        try:
            call.check()
            outcome = self._attempts(message, call)
        except BaseException as failure:  # noqa: BLE001  # the provider's border: even an exit
            if self._lanes.closed and isinstance(failure, OperationCancelled):
                # Nobody asked for that: the step is taken up again by this one's successor.
                return
            error = as_swarm_error(failure, f"{message.step} of {message.instance.ref} failed")
            outcome = Outcome(message.operation_id, message.step, error=error)
        self._ended(began, message.step, outcome.error)
        self._tell(outcome)

    def _attempts(self, message: RunStep, call: Call) -> Outcome:
        """The call, again where it did not get through and that is safe.

        Raises:
            CircuitOpen: The provider is left alone since the step was put into its lane.
        """

        def attempt() -> Outcome:
            if (refused := self._refusal()) is not None:
                raise refused
            return self._call(message, call)

        return repeated(attempt, call.wait) if is_repeatable(message.step) else attempt()

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
                self._directory.tell(CONTROLLER, told)

        return progress

    def _tell(self, outcome: Outcome) -> None:
        self._directory.tell(CONTROLLER, StepEnded(self._provider.name, outcome))


def as_swarm_error(failure: BaseException, what: str) -> SwarmError:
    """A provider's failure as one of ours; anything else it raises is a fault of its code."""
    if isinstance(failure, SwarmError):
        return failure
    log.error("%s", what, exc_info=failure)
    cause = f"{type(failure).__name__}: {failure}"
    if isinstance(failure, OSError):
        return ProviderError(f"{what}: {failure.strerror or failure}", details={"cause": cause})
    return InternalError(what, details={"cause": cause})
