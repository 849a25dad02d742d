"""The daemon's own state, and the reasons for it (DESIGN 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swarmd.core.tables import Tables
from swarmd.messages.enums import DaemonState
from swarmd.messages.replies import ActorInfo


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
    reasons = [
        f"provider {name}: {tables.views[name].health.message or 'does not answer'}"
        for name in sorted(enabled)
        if not tables.views[name].health.ok
    ]
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
