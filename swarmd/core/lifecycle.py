"""The one table of legal status moves (DESIGN 2).

From every status there is a legal way to ``deleting`` and on to ``deleted``: a status that
bricks a workspace is the field's first pain. ``unknown`` is reached from everywhere and
reaches everything that a provider can observe, so that reality can always be recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from swarmd.errors import InternalError
from swarmd.messages.enums import InstanceStatus
from swarmd.messages.instance import Instance, replace

CREATING = InstanceStatus.CREATING
CREATED = InstanceStatus.CREATED
STARTING = InstanceStatus.STARTING
RUNNING = InstanceStatus.RUNNING
STOPPING = InstanceStatus.STOPPING
STOPPED = InstanceStatus.STOPPED
UPDATING = InstanceStatus.UPDATING
MIGRATING = InstanceStatus.MIGRATING
RECOVERING = InstanceStatus.RECOVERING
DELETING = InstanceStatus.DELETING
DELETED = InstanceStatus.DELETED
ERROR = InstanceStatus.ERROR
UNKNOWN = InstanceStatus.UNKNOWN

BUSY = frozenset({CREATING, STARTING, STOPPING, UPDATING, MIGRATING, RECOVERING, DELETING})
"""Something is being done right now."""

DOWN = frozenset({CREATED, STOPPED})
"""It is there, complete, and does not run."""

_ALWAYS = frozenset({DELETING, ERROR, UNKNOWN})
"""The ways out that every living status has."""

MOVES: Mapping[InstanceStatus, frozenset[InstanceStatus]] = {
    CREATING: _ALWAYS | {CREATED, STARTING, RUNNING, STOPPED},
    CREATED: _ALWAYS
    | {CREATING, STARTING, RUNNING, STOPPING, STOPPED, UPDATING, MIGRATING, RECOVERING},
    STARTING: _ALWAYS | {RUNNING, STOPPING, STOPPED, CREATED, RECOVERING},
    RUNNING: _ALWAYS | {STARTING, STOPPING, STOPPED, UPDATING, MIGRATING, RECOVERING},
    STOPPING: _ALWAYS | {STOPPED, CREATED, STARTING, RUNNING},
    STOPPED: _ALWAYS
    | {CREATING, CREATED, STARTING, RUNNING, STOPPING, UPDATING, MIGRATING, RECOVERING},
    UPDATING: _ALWAYS | {CREATED, STARTING, RUNNING, STOPPING, STOPPED},
    MIGRATING: _ALWAYS | {CREATED, STARTING, RUNNING, STOPPING, STOPPED},
    RECOVERING: _ALWAYS | {CREATING, STARTING, RUNNING, STOPPING, STOPPED, MIGRATING},
    DELETING: frozenset({DELETED, STOPPED, ERROR, UNKNOWN}),
    DELETED: frozenset({DELETING, STOPPED, ERROR, UNKNOWN}),
    ERROR: frozenset(InstanceStatus) - {ERROR},
    UNKNOWN: frozenset(InstanceStatus) - {UNKNOWN},
}
"""From each status, those that may follow. Staying is always legal and is no move."""


class InvalidTransition(InternalError):
    """A move that the table does not have; ``story`` is how the instance came here.

    Args:
        message: What was tried.
        story: Past moves or reasons, oldest first, one line each.
    """

    def __init__(self, message: str, *, story: tuple[str, ...] = ()) -> None:
        super().__init__(
            message,
            next_step="Report this with the story of the instance (swarmctl why).",
            details={"story": list(story)},
        )
        self.story = story


def can_move(a: InstanceStatus, b: InstanceStatus) -> bool:
    """Whether ``b`` may follow ``a``; staying may."""
    return a == b or b in MOVES[a]


def move(
    instance: Instance,
    to: InstanceStatus,
    *,
    now: datetime,
    story: tuple[str, ...] = (),
    **changes: Any,
) -> Instance:
    """The record in its next status, with other fields changed along.

    Args:
        instance: The record as it is.
        to: The next status; the same one applies ``changes`` alone.
        now: When; becomes ``updated_at`` as ``at_or_after`` says.
        story: Past reasons, for the error.
        **changes: Other fields of the record.

    Raises:
        InvalidTransition: The table does not have this move.
    """
    if not can_move(instance.status, to):
        raise InvalidTransition(
            f"instance {instance.ref} ({instance.id}) cannot go from"
            f" {instance.status.value} to {to.value}",
            story=story,
        )
    if to != instance.status:
        changes.setdefault("observation", instance.observation + 1)
    return replace(instance, status=to, updated_at=at_or_after(instance, now), **changes)


def at_or_after(instance: Instance, now: datetime) -> datetime:
    """Now, but never before the record's last change: the clock may have been set back.

    So the times of one instance and its operations tell what came first, whatever the clock
    did; ``housekeeping.tidy`` relies on it.
    """
    return max(now, instance.updated_at)


def after(instance: Instance, now: datetime) -> datetime:
    """The same, and later than the record's last change."""
    return max(now, instance.updated_at + timedelta.resolution)


def reach(instance: Instance, to: InstanceStatus, *, now: datetime, **changes: Any) -> Instance:
    """``move`` for what has happened already: reality does not ask.

    A status that the table does not reach directly is reached through ``unknown``.
    """
    if not can_move(instance.status, to):
        instance = move(instance, UNKNOWN, now=now)
    return move(instance, to, now=now, **changes)
