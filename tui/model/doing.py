"""Operations in words and in a table: what is under way first, then what ended last. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from swarmd.messages.enums import OperationKind, OperationState
from swarmd.messages.operation import Operation
from tui.model.bars import progress
from tui.model.text import clean
from tui.model.trouble import is_stuck
from tui.model.words import STATE_TONES, duration, span


def urgency(operation: Operation) -> tuple[bool, float]:
    """What the table is sorted by: under way first, the oldest at the top; then the last ended."""
    if not operation.state.ended:
        return False, operation.created_at.timestamp()
    return True, -(operation.ended_at or operation.created_at).timestamp()


def lasts(operation: Operation, now: datetime) -> str:
    """How long it took, or has taken so far."""
    begun = operation.started_at or operation.created_at
    seconds = ((operation.ended_at or now) - begun).total_seconds()
    # Most are that quick, and no two of them took nothing.
    return duration(seconds) if operation.state.ended and 0 < seconds < 1 else span(seconds)


def doing(operation: Operation) -> str:
    """What it does, or how it ended, in words."""
    if operation.state.ended:
        error = operation.error.message if operation.error is not None else ""
        return clean((error or operation.reason or "-").replace("\n", " "))
    waits = operation.state is OperationState.PENDING
    words = operation.progress.message or operation.step
    words = clean(words or ("waits for its turn" if waits else str(operation.state)))
    return f"is being cancelled: {words}" if operation.cancel_requested else words


def progressing(operation: Operation) -> str:
    """How far it is, as a bar, and what it does; or how it ended."""
    far = "" if operation.state.ended else progress(operation.progress.fraction)
    return f"{far} {doing(operation)}" if far else doing(operation)


def tone_of(operation: Operation, now: datetime) -> str:
    """The colour of its state."""
    return "warn" if is_stuck(operation, now) else STATE_TONES[operation.state]


def counts(operations: Mapping[str, Operation]) -> tuple[tuple[str, str], ...]:
    """How many there are, by how they are."""
    states = [each.state for each in operations.values()]
    under_way = sum(not state.ended for state in states)
    failed = states.count(OperationState.FAILED)
    pieces = [(f"{under_way} under way", "busy" if under_way else "dim")]
    pieces.append((f" · {len(states) - under_way} ended lately", "dim"))
    if failed:
        pieces.append((f" · {failed} of them failed", "bad"))
    return tuple(pieces)


_MADE: Final = "What was made so far is undone; what is made already stays, stopped."
_AFTER: Final = {
    OperationKind.CREATE: _MADE,
    OperationKind.IMPORT: _MADE,
    OperationKind.START: "It stays stopped, and nothing starts it by itself.",
    OperationKind.STOP: "It is to run on: if it has ended already, it is started again.",
    OperationKind.RESTART: "It is to be as it was before: if it ran and has ended already, it is "
    "started again.",
    OperationKind.UPDATE: "What is not changed yet stays as it is.",
    OperationKind.DELETE: "It is kept, and is left stopped.",
    OperationKind.UNDELETE: "It stays in the trash.",
    OperationKind.PURGE: "It stays in the trash; what is removed already is gone.",
}
"""What becomes of an instance whose operation is cancelled: ``steps``, ``wishes`` and ``turns``
of the daemon's core do it."""


def cancelled(operations: Sequence[Operation]) -> str:
    """What becomes of the instances if these, which are under way, are cancelled.

    Args:
        operations: At least one.
    """
    waits = [each for each in operations if each.state is OperationState.PENDING]
    begun = dict.fromkeys(each.kind for each in operations if each not in waits)
    if not begun:
        return "It was not begun yet."
    if len({_AFTER[kind] for kind in begun}) == 1 and not waits:
        return _AFTER[next(iter(begun))]
    told = [f"{str(kind).capitalize()}: {_AFTER[kind]}" for kind in begun]
    return "\n".join([*told, *(["What waits is not begun."] if waits else [])])
