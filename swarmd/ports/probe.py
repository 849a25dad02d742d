"""Asking instances whether they answer, thousands of them, without a thread for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from swarmd.messages.provider import Address


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and where.

    Args:
        address: Where the instance answers.
        path: What is fetched; None: a connection is answer enough.
        any_below: An HTTP status below this is an answer; 201 lets only 200 through.
        timeout: Seconds for everything.
    """

    address: Address
    path: str | None
    any_below: int
    timeout: float


@dataclass(frozen=True, slots=True)
class Answer:
    """How it went.

    Args:
        ok: Whether it answered well.
        seconds: From the first packet to the end.
        message: What it said, or what went wrong, in words.
        asked: False if the question could not be put at all (no descriptor left here, a name
            that is not resolved): that says nothing about the instance.
    """

    ok: bool
    seconds: float
    message: str
    asked: bool = True


class Probe(Protocol):
    """Asks; the answers come back on a thread of its own."""

    def ask(self, question: Question, then: Callable[[Answer], None]) -> None:
        """Ask one. ``then`` is called exactly once, unless it was closed; never raises."""

    def close(self) -> None:
        """Ask no more; what is under way is dropped. Idempotent."""
