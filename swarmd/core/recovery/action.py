"""What every recovery action tells of itself."""

from __future__ import annotations

from dataclasses import dataclass

from swarmd.core.recovery.remedy import Act
from swarmd.messages.enums import OperationKind, RecoveryAction
from swarmd.messages.health import Illness


@dataclass(frozen=True, slots=True)
class Cannot:
    """An action that is not possible, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that can be done about an ill instance.

    Args:
        name: What it is called in the configuration.
        helps: Against which illnesses.
        kind: The operation that it becomes; None: it is not possible here.
        forced: With which illnesses what runs is ended without a time of grace.
        recreate: Whether it is made anew around its workspace.
        cannot: Why it is not possible, if it is not.
    """

    name: RecoveryAction
    helps: frozenset[Illness]
    kind: OperationKind | None = None
    forced: frozenset[Illness] = frozenset()
    recreate: bool = False
    cannot: str = ""

    def becomes(self, illness: Illness | None, why: str) -> Act | Cannot:
        """The operation, or why there is none; also by hand, whatever the illness is.

        Args:
            illness: What is wrong; None: nothing that has a name.
            why: For the story.
        """
        if illness is Illness.LOST:
            return Cannot("its workspace is not there, and an empty one is never put in its place")
        if self.kind is None:
            return Cannot(self.cannot)
        return Act(
            action=self.name,
            kind=self.kind,
            force=illness in self.forced,
            why=why,
            recreate=self.recreate,
        )
