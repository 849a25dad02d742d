"""The stop that a rule asks for, and the word before it."""

from __future__ import annotations

from datetime import datetime, timedelta

from swarmd.core.idle.words import length, moment
from swarmd.core.notes import event_of
from swarmd.core.tables import Change, Tables
from swarmd.core.wishes import Verdict, Wish, accept, answered
from swarmd.errors import Conflict
from swarmd.messages.enums import EventType, Origin
from swarmd.messages.instance import Instance, Reason


def accept_stop(tables: Tables, wish: Wish, seen: Instance, *, commands: int) -> Verdict:
    """Accept a stop that was decided about the record ``seen``, unless something has changed.

    A rule never wins over anything: what is under way, a lease or a start that came meanwhile,
    a changed configuration, a command that was begun all make it think again.

    Args:
        tables: The tables now.
        wish: The stop, of the origin ``policy``.
        seen: The record as it was when this was decided.
        commands: How many commands run in it now.

    Raises:
        InstanceNotFound: It is gone.
        Conflict: Something has changed.
    """
    earlier = answered(tables, wish)
    if earlier is not None:
        return earlier
    record = tables.instances.get(seen.id)
    if record is not None and (commands or tables.active.get(seen.id) or _changed(record, seen)):
        raise Conflict(
            f"{seen.ref} is used, or was changed meanwhile",
            next_step="Nothing is to be done: it is thought of again.",
        )
    return accept(tables, wish, seen.id)


def _changed(record: Instance, seen: Instance) -> bool:
    return any(
        getattr(record, field) != getattr(seen, field)
        for field in ("started_at", "keep_until", "revision", "desired", "status")
    )


def expiring(
    tables: Tables, instance_id: str, left: float, max_age: float, now: datetime
) -> Change:
    """Tell that an instance's age is about to end it.

    Args:
        tables: The tables now.
        instance_id: Whom.
        left: Seconds until then.
        max_age: Seconds that it may run.
        now: The time, UTC.
    """
    record = tables.instances.get(instance_id)
    if record is None:
        return Change()
    until = now + timedelta(seconds=left)
    why = (
        f"it will have run for {length(max_age)} (max_age); to keep it longer:"
        f" swarmctl keep {record.ref} 2h"
    )
    reason = Reason(
        at=now, what=f"will be stopped at {moment(until)}", why=why, by=str(Origin.POLICY)
    )
    event = event_of(EventType.INSTANCE_EXPIRING, record, until=until, why=why)
    return Change(events=(event,), reasons=((record.id, reason),))
