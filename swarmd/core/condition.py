"""The daemon's own state, and the reasons for it (DESIGN 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swarmd.core.breaker import words_of
from swarmd.core.tables import Tables
from swarmd.messages.enums import BreakerState, DaemonState
from swarmd.messages.provider import BreakerInfo
from swarmd.messages.replies import ActorInfo

CLOSED = BreakerState.CLOSED


@dataclass(frozen=True, slots=True)
class Condition:
    """A state and one line for each reason."""

    state: DaemonState
    reasons: tuple[str, ...] = ()


def condition_of(
    tables: Tables,
    *,
    actors: Sequence[ActorInfo],
    write_error: str | None,
    fatal: str | None,
    ending: bool,
    endpoint_error: str | None = None,
) -> Condition:
    """What the facts make of the daemon.

    Args:
        tables: The published tables.
        actors: How the actors fare.
        write_error: Why the state could not be written the last time, if it could not.
        fatal: Why the daemon gives up, if it does.
        ending: Whether it is on its way out.
        endpoint_error: Why figures cannot be fetched although they are to.
    """
    if fatal is not None:
        return Condition(DaemonState.FAILED, (fatal,))
    if ending:
        return Condition(DaemonState.SHUTTING_DOWN)
    enabled = [record.name for record in tables.providers.values() if record.enabled]
    unseen = [name for name in enabled if name not in tables.views]
    if unseen:
        waits = (f"waits for provider {name}" for name in sorted(unseen))
        return Condition(DaemonState.INITIALIZING, tuple(waits))
    reasons = [_illness(tables, name) for name in sorted(enabled) if _is_ill(tables, name)]
    reasons += [
        f"actor {actor.name} is {actor.state}"
        for actor in actors
        if actor.state in ("failed", "hung")
    ]
    if write_error is not None:
        reasons.append(f"the state cannot be written: {write_error}")
    if endpoint_error is not None:
        reasons.append(f"metrics: {endpoint_error}")
    return Condition(DaemonState.DEGRADED if reasons else DaemonState.READY, tuple(reasons))


def _is_ill(tables: Tables, name: str) -> bool:
    return not tables.views[name].health.ok or _breaker(tables, name).state is not CLOSED


def _illness(tables: Tables, name: str) -> str:
    health, breaker = tables.views[name].health, _breaker(tables, name)
    said = (health.message or "does not answer") if not health.ok else breaker.last_error or ""
    left_alone = words_of(breaker) if breaker.state is not CLOSED else ""
    return f"provider {name}: " + "; ".join(filter(None, (said, left_alone)))


def _breaker(tables: Tables, name: str) -> BreakerInfo:
    return tables.breakers.get(name, BreakerInfo())
