from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.supervision import (
    ChildHistory,
    ChildSpec,
    GiveUp,
    Restart,
    decide,
    overdue,
)

SPEC = ChildSpec("registry", max_restarts=5, within=60)
ORDER = ("supervisor", "registry", "local", "ticker")


def failing(times: list[float]) -> list[Restart | GiveUp]:
    history, decisions = ChildHistory(), []
    for at in times:
        history = history.failed(at)
        decisions.append(decide(SPEC, history, at, 0.5))
    return decisions


def test_the_first_restart_is_immediate() -> None:
    assert failing([10.0]) == [Restart(0.0)]


def test_killed_five_times_it_is_back_within_two_seconds_each_time_and_then_given_up() -> None:
    *restarts, last = failing([0, 2, 4, 6, 8, 10])
    assert all(isinstance(d, Restart) and d.after_seconds < 2 for d in restarts)
    assert isinstance(last, GiveUp)
    assert "registry failed 6 times within 60 s" in last.reason


def test_old_failures_are_forgiven() -> None:
    assert failing([0, 1, 2, 3, 4, 100])[-1] == Restart(0.0)


def test_history_is_bounded() -> None:
    history = ChildHistory()
    for at in range(100):
        history = history.failed(at, keep=8)
    assert history.failures == tuple(range(92, 100))


@given(st.lists(st.floats(0, 1000), max_size=12), st.floats(0, 1, exclude_max=True))
def test_a_restart_never_waits_two_seconds(times: list[float], chance: float) -> None:
    history = ChildHistory(tuple(sorted(times)))
    decision = decide(SPEC, history, 1000.0, chance)
    if isinstance(decision, Restart):
        assert 0 <= decision.after_seconds < 2
    else:
        assert history.recent(1000.0, 60) > 5


@pytest.mark.parametrize(("now", "late"), [(10.0, False), (15.0, False), (15.1, True)])
def test_overdue(now: float, late: bool) -> None:
    assert overdue(10.0, now, 5.0) is late
