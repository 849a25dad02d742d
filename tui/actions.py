"""What can be done to an instance: one table, from which keys, palette, footer and help derive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from swarmd.messages.enums import DesiredState, InstanceStatus
from swarmd.messages.requests import (
    DeleteInstance,
    Request,
    RestartInstance,
    StartInstance,
    StopInstance,
)
from tui.model.rows import Row


def _always(_row: Row) -> str | None:
    return None


def _nothing(_rows: Sequence[Row]) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that can be done to one instance or to many.

    Args:
        name: What it is called in settings, palette and tests.
        title: What the footer calls it.
        keys: The keys that do it, unless the settings say others.
        what: One sentence, for help and palette.
        request: What is asked of the daemon.
        done: What has happened to it then: "stopped".
        refuse: Why it cannot be done to this one; None: it can.
        loses: What will be lost, to be confirmed first; empty: nothing is asked.
        shown: Whether the footer has it: 80 columns are few, and ? and ctrl+p have all.
    """

    name: str
    title: str
    keys: str
    what: str
    request: Callable[[Row], Request]
    done: str
    refuse: Callable[[Row], str | None] = _always
    loses: Callable[[Sequence[Row]], str] = _nothing
    shown: bool = True


def _running_already(row: Row) -> str | None:
    return f"{row.ref} runs already" if row.status is InstanceStatus.RUNNING else None


def _stopped_already(row: Row) -> str | None:
    stopped = row.status in (InstanceStatus.STOPPED, InstanceStatus.CREATED)
    is_so = stopped and row.desired is DesiredState.STOPPED
    return f"{row.ref} is stopped already" if is_so else None


def _what_runs(rows: Sequence[Row]) -> str:
    running = sum(row.status is InstanceStatus.RUNNING for row in rows)
    if not running:
        return ""
    return "What runs in it ends: terminals, servers, unsaved editors. Its files stay."


def _deleted(_rows: Sequence[Row]) -> str:
    return (
        "It stops, and goes into the trash with its files. It can be taken out again for a day "
        "(swarmctl undelete); then it is gone for good."
    )


ACTIONS: Final[tuple[Action, ...]] = (
    Action(
        name="start",
        title="Start",
        keys="s",
        what="Start it and wait until it answers.",
        request=lambda row: StartInstance(id=row.id),
        done="started",
        refuse=_running_already,
    ),
    Action(
        name="stop",
        title="Stop",
        keys="x",
        what="Stop it with everything that runs in it. It stays stopped.",
        request=lambda row: StopInstance(id=row.id),
        done="stopped",
        refuse=_stopped_already,
        loses=_what_runs,
    ),
    Action(
        name="restart",
        title="Restart",
        keys="r",
        what="Stop it and start it again, on the same address.",
        request=lambda row: RestartInstance(id=row.id),
        done="restarted",
        loses=_what_runs,
        shown=False,
    ),
    Action(
        name="delete",
        title="Delete",
        keys="d,delete",
        what="Delete it. Its files stay in the trash for a day.",
        request=lambda row: DeleteInstance(id=row.id),
        done="deleted",
        loses=_deleted,
    ),
)
"""In the order of the footer."""

BY_NAME: Final[dict[str, Action]] = {action.name: action for action in ACTIONS}
