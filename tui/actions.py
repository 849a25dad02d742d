"""What can be done to an instance: one table, from which keys, palette, footer and help derive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from swarmd.core.lifecycle import DOWN
from swarmd.messages.enums import DesiredState, InstanceStatus
from swarmd.messages.requests import (
    DeleteInstance,
    Request,
    RestartInstance,
    StartInstance,
    StopInstance,
)
from tui.model.rows import Row

if TYPE_CHECKING:
    from tui.app import SwarmdApp


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
    is_so = row.status in DOWN and row.desired is DesiredState.STOPPED
    return f"{row.ref} is stopped already" if is_so else None


def _what_runs(rows: Sequence[Row]) -> str:
    """Only what is known to be down has nothing to lose: something may run in any other."""
    if all(row.status in DOWN for row in rows):
        return ""
    known = any(row.status is InstanceStatus.RUNNING for row in rows)
    return ENDS if known else ENDS.replace("runs", "may run")


ENDS: Final = "What runs in it ends: terminals, servers, unsaved editors. Its files stay."


def _deleted(_rows: Sequence[Row]) -> str:
    return (
        "It stops, and goes into the trash with its files. It can be taken out again "
        "(swarmctl undelete) for as long as instances.trash_retention says; then it is gone for "
        "good."
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
        what="Delete it. It goes into the trash with its files.",
        request=lambda row: DeleteInstance(id=row.id),
        done="deleted",
        loses=_deleted,
    ),
)
"""In the order of the footer."""

BY_NAME: Final[dict[str, Action]] = {action.name: action for action in ACTIONS}


def do(app: SwarmdApp, name: str, rows: Sequence[Row]) -> None:
    """Do something to these, after one question if something is lost by it; or say why not."""
    action = BY_NAME[name]
    refused = app.refusal()
    possible = [row for row in rows if action.refuse(row) is None]
    if refused is not None or not possible:
        why = refused or next((action.refuse(row) for row in rows), None)
        app.warn(why or "Choose an instance first.")
        return
    app.change(
        [(action.request(row), row.ref) for row in possible],
        action.done,
        verb=action.title,
        loses=action.loses(possible),
    )
