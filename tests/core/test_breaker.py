"""The breaker of a provider: when it opens, how it closes, and what it is shown as."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmd.core.breaker import (
    Breaker,
    Limits,
    aged,
    failed,
    info_of,
    is_own,
    probing,
    refusal_of,
    shown,
    succeeded,
    was_not_sent,
    words_of,
)
from swarmd.core.course import Step
from swarmd.core.tables import Change
from swarmd.errors import (
    CircuitOpen,
    Conflict,
    DeadlineExceeded,
    InitializationError,
    InternalError,
    OperationCancelled,
    ProviderError,
    ProviderUnreachable,
    ResourceLimitError,
    SwarmError,
    ValidationError,
)
from swarmd.messages.enums import BreakerState
from swarmd.messages.provider import BreakerInfo
from tests.core.desk import tables_of
from tests.core.samples import NOW, later

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
LIMITS = Limits()


def fail(
    breaker: Breaker,
    now: float,
    *,
    began: float | None = None,
    probe: bool = True,
    limits: Limits = LIMITS,
) -> Breaker:
    start = now if began is None else began
    return failed(breaker, "no", now, began=start, probe=probe, chance=0.5, limits=limits)


def opened(now: float = 4.0) -> Breaker:
    breaker = Breaker()
    for at in range(5):
        breaker = fail(breaker, now - 4 + at)
    assert breaker.state is OPEN
    return breaker


@pytest.mark.parametrize(
    ("at", "state"),
    [
        ((0, 1, 2, 3), CLOSED),
        ((0, 5, 10, 15, 20), OPEN),
        ((0, 0, 0, 0, 0), OPEN),
        ((0, 7, 14, 21, 29), OPEN),
    ],
)
def test_five_failures_within_thirty_seconds(at: tuple[float, ...], state: BreakerState) -> None:
    breaker = Breaker()
    for now in at:
        assert breaker.state is CLOSED
        breaker = fail(breaker, now)
    assert breaker.state is state


def test_failures_with_successes_between_them_count_only_within_the_window() -> None:
    breaker = Breaker()
    for now in range(0, 400, 8):  # four in any thirty seconds
        breaker = succeeded(fail(breaker, now), now + 1)
        assert breaker.state is CLOSED
    breaker = Breaker()
    for now in range(0, 28, 7):
        breaker = succeeded(fail(breaker, now), now + 1)
    assert fail(breaker, 28).state is OPEN


def test_one_that_hangs_fails_too_seldom_and_opens_all_the_same() -> None:
    breaker = succeeded(Breaker(), 0)
    breaker = fail(breaker, 15, began=1)
    assert breaker.state is CLOSED
    assert fail(breaker, 31.5, began=16).state is OPEN
    # A call that took long and failed, while others went well, is one failure.
    well = succeeded(Breaker(), 99)
    assert fail(well, 100, began=1, probe=False).state is CLOSED


def test_a_probe_closes_it_or_opens_it_for_longer() -> None:
    breaker = opened()
    pauses = []
    for _ in range(6):
        assert breaker.retry_at is not None
        now = breaker.retry_at
        breaker = probing(breaker)
        assert (breaker.state, breaker.retry_at) == (HALF_OPEN, None)
        breaker = fail(breaker, now)
        assert breaker.retry_at is not None
        pauses.append(breaker.retry_at - now)
        assert breaker.opened_at == 4
    assert pauses == [7.5, 15, 22.5, 22.5, 22.5, 22.5]
    closed = succeeded(probing(breaker), 200)
    assert (closed.state, closed.failures, closed.opened_at) == (CLOSED, (), None)


def test_one_that_opens_again_soon_stays_open_for_longer() -> None:
    breaker = succeeded(opened(), 9)
    for at in range(5):
        breaker = fail(breaker, 10 + at)
    assert breaker.retry_at == 14 + 7.5
    breaker = succeeded(breaker, 20)
    for at in range(5):
        breaker = fail(breaker, 1000 + at)
    assert breaker.retry_at == 1004 + 3.75


def test_calls_that_end_late_change_nothing() -> None:
    for breaker in (opened(), probing(opened())):
        assert fail(breaker, 5, probe=False) == breaker


def test_failures_are_forgotten_in_time() -> None:
    breaker = fail(Breaker(), 0)
    assert aged(breaker, 29, LIMITS) is breaker
    assert aged(breaker, 30, LIMITS).failures == ()
    assert aged(opened(), 1000, LIMITS) == opened()


@pytest.mark.parametrize(
    ("error", "step", "own"),
    [
        (ProviderUnreachable("no"), Step.START, True),
        (InternalError("no"), Step.STOP, True),
        (DeadlineExceeded("late"), Step.STOP, True),
        (DeadlineExceeded("its server did not answer"), Step.START, False),
        (ProviderError("it said no"), Step.CREATE, False),
        (ValidationError("wrong"), Step.VALIDATE, False),
        (ResourceLimitError("full"), Step.CREATE, False),
        (Conflict("another"), Step.UPDATE, False),
        (OperationCancelled("enough"), Step.STOP, False),
        (CircuitOpen("left alone"), Step.STOP, False),
        (ProviderError("it said no"), None, True),
        (ResourceLimitError("no descriptor"), None, True),
    ],
)
def test_which_failures_are_the_providers_own(
    error: SwarmError, step: Step | None, own: bool
) -> None:
    assert is_own(error, step) is own


def test_what_was_not_sent() -> None:
    assert was_not_sent(CircuitOpen("left alone"))
    assert was_not_sent(InitializationError("not ready"))
    assert not was_not_sent(ProviderUnreachable("no answer"))


# --- as people see it --------------------------------------------------------------------------


def test_how_it_is_shown() -> None:
    assert info_of(Breaker(), 7, NOW) == BreakerInfo()
    info = info_of(opened(), 4, NOW)
    assert info == BreakerInfo(
        state=OPEN, failures=5, opened_at=NOW, retry_at=later(3.75), last_error="no"
    )
    assert words_of(info) == (
        "its circuit breaker is open since 12:00:00 UTC after 5 failures; it is asked again at"
        " 12:00:03 UTC"
    )
    half = info_of(probing(opened()), 4, NOW)
    assert words_of(half).endswith("after 5 failures; it is being asked right now")


def test_a_refusal_says_until_when_and_what_to_do() -> None:
    assert refusal_of("box", BreakerInfo()) is None
    error = refusal_of("box", info_of(opened(), 4, NOW))
    assert error is not None
    assert error.type == "unavailable"
    assert "12:00:03 UTC (the last: no)" in error.message
    assert "swarmctl providers enable box" in (error.next_step or "")
    assert error.details["retry_at"] == later(3.75).isoformat()
    assert refusal_of("box", info_of(probing(opened()), 4, NOW)) is not None


def test_each_change_of_its_state_is_an_event_and_nothing_else_is() -> None:
    tables = tables_of()
    one = info_of(fail(Breaker(), 0), 0, NOW)
    change = shown(tables, "local", one)
    assert (change.events, change.breakers) == ((), {"local": one})
    told = []
    for breaker in (opened(), probing(opened()), succeeded(opened(), 9)):
        change = shown(tables, "local", info_of(breaker, 4, NOW))
        tables = tables.apply(change)
        told += [event.data["breaker"] for event in change.events]
    assert told == ["open", "half_open", "closed"]
    assert shown(tables, "gone", one) == Change()


# --- whatever happens --------------------------------------------------------------------------


_ROUNDING = 1e-6
"""Seconds: a time plus a pause less that time is not the pause to the last bit."""


@dataclass
class Trial:
    """A provider that is called and looked at, and what went through."""

    limits: Limits
    breaker: Breaker = field(default_factory=Breaker)
    now: float = 0.0
    looks: list[float] = field(default_factory=list)

    def step(self, seconds: float, well: bool, chance: float) -> None:
        self.now += seconds
        before = self.breaker
        if before.state is OPEN:
            assert before.retry_at is not None
            if self.now < before.retry_at:
                late = fail(before, self.now, probe=False, limits=self.limits)
                assert late == before
                return
        self.looks.append(self.now)
        self.breaker = probing(aged(before, self.now, self.limits))
        if well:
            self.breaker = succeeded(self.breaker, self.now)
            assert self.breaker.closed
        else:
            self.breaker = failed(
                self.breaker,
                "no",
                self.now,
                began=self.now,
                probe=True,
                chance=chance,
                limits=self.limits,
            )
            assert self.breaker.closed <= before.closed


@settings(max_examples=200, deadline=None)
@given(
    st.builds(
        Limits,
        st.integers(1, 6),
        st.floats(1, 60),
        st.floats(0.5, 10),
        st.floats(10, 60),
    ),
    st.lists(
        st.tuples(st.floats(0.1, 40), st.booleans(), st.floats(0, 1, exclude_max=True)),
        max_size=60,
    ),
)
def test_it_is_always_asked_again_and_never_too_often(
    limits: Limits, moves: list[tuple[float, bool, float]]
) -> None:
    trial = Trial(limits)
    for seconds, well, chance in moves:
        trial.step(seconds, well, chance)
        breaker = trial.breaker
        info = info_of(breaker, trial.now, NOW)
        assert (refusal_of("box", info) is None) == breaker.closed
        if breaker.closed:
            assert len(breaker.failures) < limits.failures
            assert breaker.retry_at is None
        else:
            assert breaker.retry_at is not None
            pause = breaker.retry_at - trial.now
            assert pause <= limits.longest + _ROUNDING
            assert info.retry_at is not None
            assert info.retry_at - NOW <= timedelta(seconds=limits.longest + _ROUNDING)
    # However long it failed: one good look closes it.
    assert succeeded(trial.breaker, trial.now).closed
