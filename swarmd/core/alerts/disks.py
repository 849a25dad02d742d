"""The daemon's own directories: nearly full, by the same measure as the doctor's."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from swarmd.core.alerts.condition import Condition, Sight, by_key
from swarmd.core.doctor import Disk, least_free
from swarmd.messages.alert import AlertKey
from swarmd.messages.enums import AlertType
from swarmd.messages.units import Size

_JUDGED = frozenset({AlertType.DISK_FULL})


def judge(disks: Sequence[Disk], active: AbstractSet[AlertKey], *, margin: float) -> Sight:
    """What a look at the disks shows.

    Args:
        disks: Each disk once.
        active: What has an alert already.
        margin: The share by which more must be free until an alert ends.
    """
    conditions = by_key(*(_condition(disk, active, margin) for disk in disks))
    unknown = {(AlertType.DISK_FULL, disk.what) for disk in disks if disk.problem is not None}
    return Sight(_JUDGED, conditions, frozenset(unknown & active))


def _condition(disk: Disk, active: AbstractSet[AlertKey], margin: float) -> Condition | None:
    least = least_free(disk)
    wanted = least * (1 + margin) if (AlertType.DISK_FULL, disk.what) in active else least
    if disk.problem is not None or disk.free >= wanted:
        return None
    return Condition(
        AlertType.DISK_FULL,
        f"The disk of {disk.what} is nearly full: {_spelled(disk.free)} of"
        f" {_spelled(disk.total)} free ({disk.path})",
        subject=disk.what,
        target=disk.what,
        details={
            "path": disk.path,
            "total_bytes": disk.total,
            "value": disk.free,
            "threshold": least,
            "next_step": "Free some: swarmctl ls --trash shows what swarmctl rm --force removes.",
        },
    )


def _spelled(number: int) -> str:
    """So exactly that it does not change with every byte."""
    return f"{number / (1 << 30):.1f} GiB" if number >= 1 << 30 else f"{Size(number >> 20 << 20)}"
