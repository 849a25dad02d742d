"""A recovery that a user asks for: no attempt is counted, and nothing is waited for."""

from __future__ import annotations

from typing import Any

from swarmd.errors import Unavailable, ValidationError
from swarmd.messages.enums import DesiredState, RecoveryAction
from swarmd.messages.instance import Instance


def by_hand(action: RecoveryAction, instance: Instance) -> dict[str, Any]:
    """The arguments of the operation that carries it out (a restart).

    Args:
        action: What the user wants done.
        instance: Whom.

    Raises:
        ValidationError: It is not to run: there is nothing to recover.
        Unavailable: No other provider fits.
    """
    if instance.desired is not DesiredState.RUNNING:
        raise ValidationError(
            f"{instance.ref} is to be {instance.desired}: there is nothing to recover",
            field="id",
            next_step=f"Start it: swarmctl start {instance.ref}.",
        )
    if action is RecoveryAction.MIGRATE:
        raise Unavailable(
            "no other provider fits: an instance cannot be moved yet",
            field="action",
            next_step="Use restart or recreate; or export it and import it elsewhere.",
        )
    return {"force": True, "recreate": action is RecoveryAction.RECREATE}
