"""Operations in words and in a table: what is under way first, then what ended last. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from swarmd.messages.enums import OperationState
from swarmd.messages.operation import Operation
from tui.model.bars import progress
from tui.model.text import clean
from tui.model.trouble import is_stuck
from tui.model.words import STATE_TONES, span


def urgency(operation: Operation) -> tuple[bool, float]:
    """What the table is sorted by: under way first, the oldest at the top; then the last ended."""
    if not operation.state.ended:
        return False, operation.created_at.timestamp()
    return True, -(operation.ended_at or operation.created_at).timestamp()


def lasts(operation: Operation, now: datetime) -> str:
    """How long it took, or has taken so far."""
    begun = operation.started_at or operation.created_at
    return span(((operation.ended_at or now) - begun).total_seconds())


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
