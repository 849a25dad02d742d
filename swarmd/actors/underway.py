"""Steps that were sent out: until when each may take, and which do not come back."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field

from swarmd.actors.base import provider_actor
from swarmd.core.steps import Step

CANCEL_SECONDS = 30.0
"""How long a step that was told to end may take before it is abandoned (DESIGN 7)."""

_GRACE_SECONDS = 5.0


@dataclass(slots=True)
class Sent:
    """A step that was sent out.

    Args:
        step: Which.
        provider: To whom.
        target: For which instance.
        deadline: Monotonic seconds at which it is told to end, or given up if it was told.
        cancelled: Set to tell it to end.
    """

    step: str
    provider: str
    target: str
    deadline: float
    cancelled: threading.Event = field(default_factory=threading.Event)

    def end_soon(self) -> None:
        """Tell it to end."""
        self.cancelled.set()
        self.deadline = min(self.deadline, time.monotonic() + CANCEL_SECONDS)

    def note_end(self) -> None:
        """It has ended: however long the disk takes to hear of it, it is not abandoned."""
        self.deadline = math.inf

    def put_off(self) -> None:
        """It was abandoned: until that is written it is not abandoned again at every tick."""
        self.deadline = time.monotonic() + CANCEL_SECONDS


class UnderWay:
    """The steps that were sent out, by operation: one of each."""

    def __init__(self) -> None:
        self._sent: dict[str, Sent] = {}

    def put(self, operation_id: str, sent: Sent) -> None:
        """Note that it was sent out."""
        self._sent[operation_id] = sent

    def of(self, operation_id: str, step: str | None) -> Sent | None:
        """This step of an operation, if it is under way."""
        sent = self._sent.get(operation_id)
        return sent if sent is not None and sent.step == step else None

    def forget(self, operation_id: str) -> None:
        """Forget what an operation has sent out: it is over, or nobody took it."""
        del self._sent[operation_id]

    def forget_those_at(self, actor: str) -> None:
        """Forget what was sent to a provider's actor, which has lost its mailbox."""
        self._sent = {
            key: sent for key, sent in self._sent.items() if provider_actor(sent.provider) != actor
        }

    def cancel(self, operation_id: str) -> Sent | None:
        """Tell an operation's step to end. An undo is not told: it must not be cut off as well.

        Returns:
            What was told.
        """
        sent = self._sent.get(operation_id)
        if sent is None or sent.step == Step.UNDO.value:
            return None
        sent.end_soon()
        return sent

    def overdue(self, now: float) -> list[tuple[str, Sent]]:
        """Tell those whose time is over to end.

        Args:
            now: Monotonic seconds.

        Returns:
            Those that were told before and did not hear, with their operations.
        """
        deaf = []
        for operation_id, sent in self._sent.items():
            if now >= sent.deadline and not sent.cancelled.is_set():
                sent.cancelled.set()
                sent.deadline = now + CANCEL_SECONDS
            elif now >= sent.deadline + _GRACE_SECONDS:
                deaf.append((operation_id, sent))
        return deaf
