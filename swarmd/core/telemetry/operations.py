"""Operations that ended, counted by kind and outcome."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from swarmd.core.tables import Tables
from swarmd.core.telemetry.histogram import merged, observe
from swarmd.errors import Conflict, PermissionDenied, ValidationError
from swarmd.messages.enums import EventType, OperationKind, OperationState
from swarmd.messages.events import Event
from swarmd.messages.operation import Operation
from swarmd.messages.telemetry import OperationMetrics

_OF_THE_REQUEST = frozenset({ValidationError.type, PermissionDenied.type, Conflict.type})

Counts = Mapping[OperationKind, OperationMetrics]

_KINDS: Mapping[str, OperationKind] = {each.value: each for each in OperationKind}
_STATES: Mapping[str, OperationState] = {each.value: each for each in OperationState}


def count_ends(counts: Counts, events: Iterable[Event], tables: Tables) -> Counts:
    """These and those whose end is among the events.

    Args:
        counts: So far.
        events: Of the journal: each end is there once, whatever happens to the daemon.
        tables: As they are after the events. An operation that they no longer have is counted
            by what its event says, without how long it took.
    """
    found = dict(counts)
    for event in events:
        if event.type is not EventType.OPERATION_ENDED:
            continue
        kind, state = _outcome(event)
        if kind is None or state is None:
            continue
        operation = tables.operations.get(event.operation or "")
        seconds = duration_of(operation) if operation is not None else None
        known = _one_more(found.get(kind, OperationMetrics()), state, seconds)
        found[kind] = _refused_too(known) if _is_refused(event, state) else known
    return found


def _is_refused(event: Event, state: OperationState) -> bool:
    """Whether it failed for what was asked: the next one that asks so fails likewise."""
    error = event.data.get("error") or {}
    return state is OperationState.FAILED and error.get("type") in _OF_THE_REQUEST


def _refused_too(metrics: OperationMetrics) -> OperationMetrics:
    return msgspec.structs.replace(metrics, refused=metrics.refused + 1)


def _outcome(event: Event) -> tuple[OperationKind | None, OperationState | None]:
    """What ended and how; None for words of another version."""
    kind, state = event.data.get("kind", ""), event.data.get("state", "")
    return _KINDS.get(kind), _STATES.get(state)


def duration_of(operation: Operation) -> float | None:
    """Seconds from an operation's acceptance to its end; None if it does not tell its end."""
    if operation.ended_at is None:
        return None
    return max(0.0, (operation.ended_at - operation.created_at).total_seconds())


def _one_more(
    metrics: OperationMetrics, state: OperationState, seconds: float | None
) -> OperationMetrics:
    if not state.ended:
        return metrics
    return msgspec.structs.replace(
        metrics,
        latency=metrics.latency if seconds is None else observe(metrics.latency, seconds),
        **{state.value: getattr(metrics, state.value) + 1},
    )


def sum_counts(several: Iterable[Counts]) -> dict[OperationKind, OperationMetrics]:
    """All of them together, in whatever order."""
    found: dict[OperationKind, list[OperationMetrics]] = {}
    for counts in several:
        for kind, metrics in counts.items():
            found.setdefault(kind, []).append(metrics)
    return {kind: each[0] if len(each) == 1 else _sum(each) for kind, each in found.items()}


def _sum(several: Sequence[OperationMetrics]) -> OperationMetrics:
    return OperationMetrics(
        succeeded=sum(each.succeeded for each in several),
        failed=sum(each.failed for each in several),
        cancelled=sum(each.cancelled for each in several),
        refused=sum(each.refused for each in several),
        latency=merged([each.latency for each in several]),
    )


def ended_of(metrics: OperationMetrics) -> int:
    """How many ended, whatever came of them."""
    return metrics.succeeded + metrics.failed + metrics.cancelled
