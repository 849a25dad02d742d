"""What a record takes over from what its provider shows, or shows no more."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from swarmd.core.addresses import url_for
from swarmd.core.lifecycle import DOWN, reach
from swarmd.messages.enums import DesiredState, InstanceStatus
from swarmd.messages.instance import Failure, Instance
from swarmd.messages.provider import Observed

_LOST = "lost"


def settle(record: Instance, observed: Observed, *, now: datetime) -> Instance:
    """The record after what was seen: status, URL, start time and epoch follow reality.

    A status that the table does not reach directly is reached through ``unknown``: reality
    does not ask. An ``error`` stays until the instance runs, is stopped as it is to be, or a user
    acts, unless it said that the instance was lost.
    """
    changes = _changes(record, observed)
    status = changes.pop("status", record.status)
    if status == InstanceStatus.DELETED and record.deleted_at is None:
        changes["deleted_at"] = now
    if status != InstanceStatus.DELETED and record.status == InstanceStatus.DELETED:
        changes["deleted_at"] = None
    runs = status == InstanceStatus.RUNNING != record.status
    stopped = status == InstanceStatus.STOPPED != record.status
    as_wished = runs or (stopped and record.desired is DesiredState.STOPPED)
    if as_wished or (record.status == InstanceStatus.ERROR and status != InstanceStatus.ERROR):
        changes["last_error"] = None
    return reach(record, status, now=now, **changes)


def follow(
    record: Instance, found_at: str, kind: str, observed: Observed, now: datetime
) -> Instance:
    """The record at the provider where the newest of its instances is (``reconcile.Plan.follow``).

    Args:
        record: The older.
        found_at: The provider's name.
        kind: The provider's type.
        observed: What is there.
        now: When it was seen.
    """
    moved = {"provider": found_at, "provider_type": kind, "epoch": observed.epoch}
    return settle(reach(record, record.status, now=now, **moved), observed, now=now)


def lost_failure(record: Instance) -> Failure:
    """What stands in ``last_error`` of a lost instance; ``is_lost`` knows it again."""
    return Failure(
        type="provider_error",
        message=f"instance {record.ref} is no longer at provider {record.provider}",
        details={
            _LOST: True,
            "next_step": (
                "Look for it at its provider: it is taken up again where it was. If it is gone for"
                f" good, remove its record: swarmctl rm --force {record.ref}."
            ),
        },
    )


def is_lost(record: Instance) -> bool:
    """Whether the record says that its instance was not found any more."""
    return (
        record.status == InstanceStatus.ERROR
        and record.last_error is not None
        and record.last_error.details.get(_LOST) is True
    )


def differs(record: Instance, observed: Observed) -> bool:
    """Whether what was seen contradicts the record."""
    return bool(_changes(record, observed))


def _changes(record: Instance, observed: Observed) -> dict[str, Any]:
    """The fields of the record that what was seen contradicts."""
    changes: dict[str, Any] = {}
    status = observed.status
    kept_error = record.status == InstanceStatus.ERROR and status in DOWN and not is_lost(record)
    if status != record.status and not kept_error:
        changes["status"] = status
    if observed.epoch > record.epoch:
        changes["epoch"] = observed.epoch
    if observed.address is not None and (url := url_for(observed.address)) != record.url:
        changes["url"] = url
    if status == InstanceStatus.RUNNING and observed.started_at not in (None, record.started_at):
        changes["started_at"] = observed.started_at
    return changes
