"""An instance that nothing automatic touches any more, until a human has looked.

Its status is ``error``, which reconciliation leaves alone; what it says tells why, and what to
do. A user's start, restart or stop ends it, and so does a change of its configuration.
"""

from __future__ import annotations

from datetime import datetime

from swarmd.core.lifecycle import reach
from swarmd.core.notes import event_of
from swarmd.core.recovery.remedy import Hold
from swarmd.core.tables import Change, Tables
from swarmd.errors import ProviderError
from swarmd.messages.enums import DesiredState, EventType, InstanceStatus, Origin
from swarmd.messages.health import Illness
from swarmd.messages.instance import Failure, Instance, Reason

_HELD = "held"
_WHY = "why"


def hold(tables: Tables, instance_id: str, remedy: Hold, now: datetime) -> Change:
    """Hold one, unless something has been asked of it meanwhile.

    Args:
        tables: The tables now.
        instance_id: Whom.
        remedy: Why, and what a human can do.
        now: When.
    """
    record = tables.instances.get(instance_id)
    wanted = record is not None and record.desired is DesiredState.RUNNING
    if record is None or not wanted or instance_id in tables.active or is_held(record):
        return Change()
    failure = Failure(
        type=ProviderError.type,
        message=f"{record.ref} is held: {remedy.why}",
        details={
            _HELD: True,
            _WHY: remedy.why,
            "next_step": remedy.next_step(record.ref),
            "illness": remedy.illness,
        },
    )
    after = reach(record, InstanceStatus.ERROR, now=now, last_error=failure)
    event = event_of(
        EventType.INSTANCE_STATUS_CHANGED, after, before=str(record.status), why=failure.message
    )
    reasons = ((record.id, reason_of_hold(record, remedy, now)),)
    return Change(instances=(after,), events=(event,), reasons=reasons)


def reason_of_hold(record: Instance, remedy: Hold, now: datetime) -> Reason:
    """The line of the story: why nothing is done any more, and what can be."""
    why = f"{remedy.why}. {remedy.next_step(record.ref)}"
    return Reason(at=now, what="held", why=why, by=str(Origin.RECOVERY))


def held_with(record: Instance) -> Illness | None:
    """What is wrong with one that is held; None if that is not known, or it is not held."""
    if not is_held(record) or record.last_error is None:
        return None
    illness = record.last_error.details.get("illness")
    return Illness(illness) if illness in tuple(Illness) else None


def is_held(record: Instance) -> bool:
    """Whether it waits for a human."""
    return (
        record.status is InstanceStatus.ERROR
        and record.last_error is not None
        and record.last_error.details.get(_HELD) is True
    )


def words_of_hold(record: Instance) -> str | None:
    """Why it waits for a human and what can be done; None if it does not wait."""
    if not is_held(record) or record.last_error is None:
        return None
    details = record.last_error.details
    why = details.get(_WHY) or record.last_error.message
    return f"it is held: {why}. {details.get('next_step', '')}".rstrip()
