"""What a decision about an ill instance can be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from swarmd.messages.enums import OperationKind, RecoveryAction
from swarmd.messages.health import Illness


@dataclass(frozen=True, slots=True)
class Act:
    """Do this now, as an operation of the recovery origin.

    Args:
        action: What it is called.
        kind: The operation that it becomes.
        force: Whether what runs is ended without a time of grace.
        why: For the story.
        recreate: Whether it is made anew around the workspace that is kept, not only started.
    """

    action: RecoveryAction
    kind: OperationKind
    force: bool
    why: str
    recreate: bool = False

    @property
    def arguments(self) -> dict[str, Any]:
        """The operation's arguments."""
        return {"force": self.force} | ({"recreate": True} if self.recreate else {})


@dataclass(frozen=True, slots=True)
class Wait:
    """Something will be done, but not before ``until``."""

    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing is done until a human acts.

    Args:
        why: What is wrong, and what was tried.
        step: What can be done; ``NAME`` stands for the instance.
        illness: What is wrong, by its name.
    """

    why: str
    step: str
    illness: Illness | None = None

    def next_step(self, ref: str) -> str:
        """What can be done about this instance."""
        return self.step.replace("NAME", ref)


@dataclass(frozen=True, slots=True)
class Leave:
    """Nothing is to be done: no action would help, or none is wanted."""

    why: str


Remedy = Act | Wait | Hold | Leave
