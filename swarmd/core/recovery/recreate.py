"""Recreate: make it anew around the workspace that is kept.

It becomes a restart with the argument ``recreate``; the operation that this takes at the
instance's provider is decided by the caller. A workspace that is not there is never made anew.
"""

from __future__ import annotations

from swarmd.core.recovery.action import Action
from swarmd.messages.enums import OperationKind, RecoveryAction
from swarmd.messages.health import Illness

RECREATE = Action(
    name=RecoveryAction.RECREATE,
    helps=frozenset({Illness.HUNG, Illness.MISSING}),
    kind=OperationKind.RESTART,
    forced=frozenset({Illness.HUNG}),
    recreate=True,
)
