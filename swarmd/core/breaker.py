"""A circuit breaker per provider: one that fails over and over is left alone for a while.

Closed, open, half-open, as in M. Nygard's "Release It!" (seed 000, section 4.4). No library does
this for a pure core: pybreaker, circuitbreaker, purgatory and aiobreaker wrap the call, read the
clock themselves and know no probe but the next call; here the probe is the regular look.

It opens after so many failures within a window, or if nothing went well for that long: where each
call hangs until its time is over, failures are rare. It stays open for a pause that doubles, with
jitter; then one probe closes it, or opens it again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from swarmd.core.backoff import delay
from swarmd.core.course import Step
from swarmd.core.tables import Change, EventDraft, Tables
from swarmd.errors import (
    CircuitOpen,
    DeadlineExceeded,
    InitializationError,
    InternalError,
    ProviderUnreachable,
    SwarmError,
)
from swarmd.messages.enums import BreakerState, EventType
from swarmd.messages.provider import BreakerInfo

_CLOSED, _OPEN, _HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


@dataclass(frozen=True, slots=True)
class Limits:
    """When it opens, and for how long (DESIGN 9).

    Args:
        failures: So many within the window open it.
        window: Seconds for which a failure counts.
        pause: Seconds that it stays open, the first time.
        longest: The most seconds that a pause grows to.
    """

    failures: int = 5
    window: float = 30.0
    pause: float = 5.0
    longest: float = 30.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """One provider's. All times are monotonic seconds.

    Args:
        failures: When it failed lately; while it is not closed, those that opened it.
        failing_since: Since when nothing went well.
        well_at: When something did the last time.
        opened_at: Since when nothing is sent, through all probes in vain.
        retry_at: When it is to be probed.
        trips: How often in a row it opened.
        closed_at: When it closed the last time.
        last_error: What the last failure said.
    """

    state: BreakerState = _CLOSED
    failures: tuple[float, ...] = ()
    failing_since: float | None = None
    well_at: float | None = None
    opened_at: float | None = None
    retry_at: float | None = None
    trips: int = 0
    closed_at: float | None = None
    last_error: str = ""

    @property
    def closed(self) -> bool:
        """Whether calls go through."""
        return self.state is _CLOSED


def is_own(error: SwarmError, step: Step | None = None) -> bool:
    """Whether an error is the provider's own: of itself, not of what was asked or of an instance.

    A start waits for the instance's own server: that its time ran out says nothing of the provider.

    Args:
        error: What a call ended with.
        step: Which call; None: a look, whose every failure is the provider's own.
    """
    if step is None:
        return True
    if isinstance(error, DeadlineExceeded):
        return step is not Step.START
    return isinstance(error, ProviderUnreachable | InternalError)


def failed(
    breaker: Breaker,
    error: str,
    now: float,
    *,
    began: float,
    probe: bool,
    chance: float,
    limits: Limits,
) -> Breaker:
    """After a failure of the provider's own.

    Args:
        breaker: As it was.
        error: What the failure said.
        now: Monotonic seconds.
        began: When the call that failed began: nothing went well since then.
        probe: Whether it was a look. From calls that were under way when it opened, and end late,
            nothing more follows.
        chance: A random number in [0, 1), for the pause.
        limits: When it opens.
    """
    if breaker.closed:
        since = breaker.failing_since
        if since is None:
            since = began if breaker.well_at is None else max(began, breaker.well_at)
        recent = (*_recent(breaker.failures, now, limits), now)
        breaker = replace(breaker, failures=recent, failing_since=since, last_error=error)
        if len(recent) < limits.failures and now - since < limits.window:
            return breaker
        return _opened(breaker, now, chance, limits)
    if not probe:
        return breaker
    return _opened(replace(breaker, last_error=error), now, chance, limits)


def _opened(breaker: Breaker, now: float, chance: float, limits: Limits) -> Breaker:
    """Open, for longer than the last time unless it was closed for a while in between."""
    steady = breaker.closed and (
        breaker.closed_at is None or now - breaker.closed_at > limits.window + limits.longest
    )
    trips = 0 if steady else breaker.trips
    seconds = delay(trips, base=limits.pause, cap=limits.longest, chance=chance, jitter="equal")
    return replace(
        breaker,
        state=_OPEN,
        opened_at=now if breaker.opened_at is None else breaker.opened_at,
        retry_at=now + seconds,
        trips=trips + 1,
    )


def succeeded(breaker: Breaker, now: float) -> Breaker:
    """After a look that went well, whenever it was."""
    if breaker.closed:
        return replace(breaker, failing_since=None, well_at=now)
    return Breaker(trips=breaker.trips, closed_at=now, well_at=now)


def probing(breaker: Breaker) -> Breaker:
    """A look is sent: while it is under way, no other one is due."""
    if breaker.closed:
        return breaker
    return replace(breaker, state=_HALF_OPEN, retry_at=None)


def aged(breaker: Breaker, now: float, limits: Limits) -> Breaker:
    """The same without the failures that count no more."""
    if not breaker.closed:
        return breaker
    recent = _recent(breaker.failures, now, limits)
    return breaker if recent == breaker.failures else replace(breaker, failures=recent)


def _recent(failures: tuple[float, ...], now: float, limits: Limits) -> tuple[float, ...]:
    return tuple(at for at in failures if now - at < limits.window)


# --- as people see it ------------------------------------------------------------------------


def info_of(breaker: Breaker, now: float, wall: datetime) -> BreakerInfo:
    """How it is shown.

    Args:
        breaker: What is shown.
        now: Monotonic seconds.
        wall: The same moment, UTC.
    """

    def at(moment: float | None) -> datetime | None:
        return None if moment is None else wall + timedelta(seconds=moment - now)

    known = breaker.failures or not breaker.closed
    return BreakerInfo(
        state=breaker.state,
        failures=len(breaker.failures),
        opened_at=at(breaker.opened_at),
        retry_at=at(breaker.retry_at),
        last_error=breaker.last_error or None if known else None,
    )


def shown(tables: Tables, provider: str, info: BreakerInfo) -> Change:
    """What is published of a provider's breaker; an event where its state is another one."""
    record = tables.providers.get(provider)
    if record is None or not record.enabled:
        return Change()
    before = tables.breakers.get(provider, BreakerInfo())
    events: tuple[EventDraft, ...] = ()
    if before.state is not info.state:
        facts = {"provider": provider, "breaker": str(info.state), "failures": info.failures}
        if info.retry_at is not None:
            facts["retry_at"] = info.retry_at.isoformat()
        if info.last_error is not None:
            facts["message"] = info.last_error
        events = (EventDraft(EventType.PROVIDER_UPDATED, provider, data=facts),)
    return Change(breakers={provider: info}, events=events)


def words_of(info: BreakerInfo) -> str:
    """One that is not closed, in a sentence's end: what it is, since when, until when."""
    failures = "failure" if info.failures == 1 else "failures"
    opened = f" since {_clock(info.opened_at)}" if info.opened_at else ""
    words = f"its circuit breaker is open{opened} after {info.failures} {failures}"
    if info.state is _HALF_OPEN:
        return f"{words}; it is being asked right now"
    return f"{words}; it is asked again at {_clock(info.retry_at)}"


def refusal_of(provider: str, info: BreakerInfo) -> CircuitOpen | None:
    """Why nothing is sent to a provider now; None: its breaker is closed."""
    if info.state is _CLOSED:
        return None
    last = f" (the last: {info.last_error})" if info.last_error else ""
    return CircuitOpen(
        f"provider {provider} is left alone: {words_of(info)}{last}",
        next_step=f"See what it says: swarmctl providers get {provider}. Have it asked at once:"
        f" swarmctl providers enable {provider}.",
        details={
            "provider": provider,
            "breaker": str(info.state),
            "retry_at": info.retry_at.isoformat() if info.retry_at else None,
        },
    )


def is_left_alone(tables: Tables, provider: str) -> bool:
    """Whether nothing is to be begun at a provider: what is automatic is put off until it is."""
    return tables.breakers.get(provider, BreakerInfo()).state is not _CLOSED


def _clock(at: datetime | None) -> str:
    return at.strftime("%H:%M:%S UTC") if at is not None else "?"


def was_not_sent(error: SwarmError) -> bool:
    """Whether a step failed before its provider was asked: nothing has happened to the instance."""
    return isinstance(error, CircuitOpen | InitializationError)


def says_nothing(error: SwarmError) -> bool:
    """Whether a step's error tells of its provider alone, and nothing of what was asked."""
    return was_not_sent(error) or isinstance(error, ProviderUnreachable)
