"""Keep-alive leases: until then nothing stops an instance by itself."""

from __future__ import annotations

from dataclasses import replace as with_fields
from datetime import datetime, timedelta

from swarmd.core.idle.words import moment
from swarmd.core.lifecycle import at_or_after
from swarmd.core.notes import event_of
from swarmd.core.tables import Change, Tables
from swarmd.errors import InstanceNotFound, ValidationError
from swarmd.messages.enums import EventType
from swarmd.messages.instance import Instance, Reason, replace
from swarmd.messages.operation import Caller
from swarmd.messages.requests import KeepInstance

LONGEST = timedelta(days=3650)


def until_of(request: KeepInstance, now: datetime) -> datetime | None:
    """When the lease that a request asks for ends; None: it asks for the end of one.

    Raises:
        ValidationError: Neither or both of a duration and a time, one that lies in the past or
            too far ahead.
    """
    if (request.duration is None) == (request.until is None):
        raise ValidationError(
            "keep takes either a duration or a time",
            field="duration",
            next_step="Give one of them: swarmctl keep NAME 2h, or --until 18:00, or --off.",
        )
    if request.duration is not None:
        if request.duration > LONGEST.total_seconds():
            raise _too_long("duration")
        return now + timedelta(seconds=request.duration) if request.duration else None
    until = request.until
    if until is not None and until <= now:
        raise ValidationError(
            f"{moment(until)} is over",
            field="until",
            next_step="Give a time that is to come; end a lease with swarmctl keep NAME --off.",
        )
    if until is not None and until - now > LONGEST:
        raise _too_long("until")
    return until


def _too_long(field: str) -> ValidationError:
    return ValidationError(
        f"a lease lasts {LONGEST.days} days at most",
        field=field,
        next_step="Switch the rule off for this instance instead: swarmctl update NAME"
        " --idle-timeout 0 --max-age 0.",
    )


def keep(
    tables: Tables, instance_id: str, until: datetime | None, caller: Caller, now: datetime
) -> Change:
    """Write a lease down, or its end.

    Args:
        tables: The tables now.
        instance_id: Whom.
        until: When it ends (UTC); None: now.
        caller: Who asks for it.
        now: The time, UTC.

    Raises:
        InstanceNotFound: It is gone.
    """
    record = tables.instances.get(instance_id)
    if record is None:
        raise InstanceNotFound(
            f"instance {instance_id} does not exist any more",
            field="id",
            next_step="See what there is: swarmctl ls.",
        )
    after = replace(record, keep_until=until, updated_at=at_or_after(record, now))
    words = f"kept until {moment(until)}" if until is not None else "kept no longer"
    told = event_of(EventType.INSTANCE_KEPT, after, until=until)
    event = with_fields(told, caller=caller.name, correlation=caller.correlation or None)
    return Change(
        instances=(after,),
        events=(event,),
        reasons=((record.id, _reason(record, words, until, caller, now)),),
    )


def _reason(
    record: Instance, words: str, until: datetime | None, caller: Caller, now: datetime
) -> Reason:
    why = f"asked for by {caller.name}"
    if until is not None:
        why += ": neither idle_timeout nor max_age stops it before that"
    elif record.keep_until is None:
        why += "; there was no lease"
    return Reason(at=now, what=words, why=why, by=caller.name)
