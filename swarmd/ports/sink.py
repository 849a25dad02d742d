"""Who is told of alerts outside of the daemon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from swarmd.messages.alert import Notice


@dataclass(frozen=True, slots=True)
class Endurance:
    """How long a notice that is not taken is offered again.

    Args:
        seconds: Since it came to be.
        attempts: At most so many; 0: any number.
    """

    seconds: float
    attempts: int = 0


class Sink(Protocol):
    """One receiver. Called by one thread, one notice after the other."""

    @property
    def name(self) -> str:
        """How it is called in the configuration."""

    @property
    def where(self) -> str:
        """Where it leads, without anything secret."""

    @property
    def insecure(self) -> bool:
        """Whether what it is told leaves this machine in the clear."""

    @property
    def endurance(self) -> Endurance:
        """How long it is to be tried."""

    def deliver(self, notice: Notice) -> None:
        """Tell it, and return once it has taken it. Blocks, within a timeout of its own.

        Raises:
            ValidationError: It will never take this one: there is no use in asking again.
            SwarmError: It did not take it this time.
        """

    def close(self) -> None:
        """Let go of what it holds."""
