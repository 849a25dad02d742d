"""What the published tables show: a provider that is down, an instance that needs a human."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from swarmd.core.alerts.condition import ABOUT_INSTANCES, SEEN, Condition, Sight, by_key
from swarmd.core.health.ailments import Ailment
from swarmd.core.health.facts import Seen
from swarmd.core.health.findings import ended
from swarmd.core.recovery.again import is_tried_again
from swarmd.core.recovery.held import held_with
from swarmd.core.tables import Tables
from swarmd.messages.alert import AlertKey
from swarmd.messages.enums import AlertType, DesiredState, HealthStatus, InstanceStatus
from swarmd.messages.health import Illness
from swarmd.messages.instance import Failure, Instance

_GOING = (InstanceStatus.DELETING, InstanceStatus.DELETED)
_LOOK = "Look why (swarmctl why, swarmctl logs); then start it, or change its configuration."
_FIND = "Look for it with swarmctl doctor; bring it back, or delete it (swarmctl rm --force)."
_ENDS_WELL = {
    AlertType.INSTANCE_HELD: (HealthStatus.HEALTHY, HealthStatus.DEGRADED),
    AlertType.INSTANCE_LOST: (HealthStatus.HEALTHY, HealthStatus.DEGRADED),
    AlertType.INSTANCE_STARVED: (HealthStatus.HEALTHY,),
}
"""The health that shows that it is over; until then it may just be on its way back."""


def judge(tables: Tables, active: AbstractSet[AlertKey], *, watched: bool) -> Sight:
    """What the tables show now.

    Args:
        tables: What is published.
        active: What has an alert already.
        watched: Whether the health of instances is watched.
    """
    rows = [row for row in tables.instances.values() if row.status is InstanceStatus.ERROR]
    rows += [tables.instances[each] for each in tables.ailments if each in tables.instances]
    found = by_key(*_providers(tables), *(_instance(row, tables, watched=watched) for row in rows))
    starved = (_starved(row, tables.ailments.get(row.id)) for row in rows)
    found |= by_key(*starved)
    others = (key for key in active if key[0] in SEEN and key not in found)
    unsure = frozenset(key for key in others if not _is_over(key, tables, watched=watched))
    return Sight(SEEN, found, unsure)


def _is_over(key: AlertKey, tables: Tables, *, watched: bool) -> bool:
    """Whether what is not seen any more has ended, and is not just out of sight."""
    kind, target = key
    if kind is AlertType.PROVIDER_DOWN:
        record = tables.providers.get(target)
        return record is None or not record.enabled or target in tables.views
    if kind not in ABOUT_INSTANCES:
        return False
    row = tables.instances.get(target)
    if row is None or not _is_to_run(row):
        return True
    if not watched:
        return row.status is InstanceStatus.RUNNING
    if kind is AlertType.INSTANCE_HELD and _is_lost(row, tables.ailments.get(row.id)):
        return True
    return row.health in _ENDS_WELL[kind]


def _is_to_run(row: Instance) -> bool:
    return row.desired is DesiredState.RUNNING and row.status not in _GOING


# --- providers -------------------------------------------------------------------------------


def _providers(tables: Tables) -> Iterator[Condition]:
    for name, record in tables.providers.items():
        view = tables.views.get(name)
        if record.enabled and view is not None and not view.health.ok:
            said = view.health.message or "no reason is known"
            look = f"Look at it: swarmctl providers get {name}, swarmctl doctor."
            yield Condition(
                AlertType.PROVIDER_DOWN,
                f"Provider {name} does not work: {said}",
                subject=name,
                target=name,
                details={
                    "provider_type": record.type,
                    "reason": said,
                    "next_step": view.health.next_step or look,
                },
            )


# --- instances -------------------------------------------------------------------------------


def _instance(row: Instance, tables: Tables, *, watched: bool) -> Condition | None:
    """Lost, else held: one of them is enough."""
    ailment = tables.ailments.get(row.id)
    if not _is_to_run(row) or row.id in tables.active:
        return None
    if _is_lost(row, ailment):
        return _about(row, AlertType.INSTANCE_LOST, "is lost", *_lost_because(row, ailment))
    because = _held_because(row, ailment, watched=watched)
    return _about(row, AlertType.INSTANCE_HELD, "is held", *because) if because else None


def _is_lost(row: Instance, ailment: Ailment | None) -> bool:
    if ailment is not None and ailment.illness is Illness.LOST:
        return True
    if row.status is not InstanceStatus.ERROR or row.last_error is None:
        return False
    return held_with(row) is Illness.LOST or ended(row, Seen()).illness is Illness.LOST


def _lost_because(row: Instance, ailment: Ailment | None) -> tuple[str, str | None]:
    if row.status is InstanceStatus.ERROR and row.last_error is not None:
        return _reason(row, row.last_error), row.last_error.details.get("next_step") or _FIND
    why = ailment.why if ailment is not None else "nothing is known of it"
    return why, _FIND


def _held_because(
    row: Instance, ailment: Ailment | None, *, watched: bool
) -> tuple[str, str | None] | None:
    """Why nothing automatic touches it, and what a human can do; None if that is not so."""
    if is_tried_again(row):
        return None  # not by a human: the next automatic start comes by itself
    if row.status is InstanceStatus.ERROR:
        failure = row.last_error
        if failure is None and ailment is None and watched:
            return None  # it was only just seen so: what is wrong with it is about to be known
        if failure is None:
            return ailment.why if ailment is not None else "no reason is known", _LOOK
        return _reason(row, failure), failure.details.get("next_step") or _LOOK
    if ailment is not None and ailment.held is not None:
        return ailment.held, ailment.next_step
    return None


def _reason(row: Instance, failure: Failure) -> str:
    """Without what the alert says itself."""
    held = failure.message.removeprefix(f"{row.ref} is held: ")
    return held.removeprefix("it is lost: ")


def _about(
    row: Instance, kind: AlertType, words: str, reason: str, next_step: str | None
) -> Condition:
    return Condition(
        kind,
        f"Instance {row.ref} {words}: {reason}",
        subject=row.ref,
        target=row.id,
        owner=row.owner,
        details={
            "provider": row.provider,
            "status": str(row.status),
            "reason": reason,
            "next_step": next_step,
        },
    )


def _starved(row: Instance, ailment: Ailment | None) -> Condition | None:
    if ailment is None or ailment.illness is not Illness.STARVED or not _is_to_run(row):
        return None
    return Condition(
        AlertType.INSTANCE_STARVED,
        f"Instance {row.ref} has little memory or disk left: {ailment.why}",
        subject=row.ref,
        target=row.id,
        owner=row.owner,
        details={
            "provider": row.provider,
            "value": ailment.value,
            "threshold": ailment.limit,
            "next_step": "Make room in it, or give it more (swarmctl update --memory, --storage).",
        },
    )
