"""Restart: end what is left of it and start it again."""

from __future__ import annotations

from swarmd.core.recovery.action import Action
from swarmd.messages.enums import OperationKind, RecoveryAction
from swarmd.messages.health import Illness

RESTART = Action(
    name=RecoveryAction.RESTART,
    helps=frozenset({Illness.EXITED, Illness.HUNG, Illness.OUT_OF_MEMORY}),
    kind=OperationKind.RESTART,
    # What hangs does not hear SIGTERM either: a time of grace would only be lost.
    forced=frozenset({Illness.HUNG}),
)
