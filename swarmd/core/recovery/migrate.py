"""Migrate: move it to another provider. Nothing moves instances yet, so none ever fits."""

from __future__ import annotations

from swarmd.core.recovery.action import Action
from swarmd.messages.enums import RecoveryAction
from swarmd.messages.health import Illness

MIGRATE = Action(
    name=RecoveryAction.MIGRATE,
    helps=frozenset({Illness.HUNG, Illness.MISSING}),
    cannot="no other provider fits",
)
