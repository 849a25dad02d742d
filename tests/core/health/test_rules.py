from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.health.rules import rules_of
from swarmd.core.health.schedule import Schedule
from swarmd.messages.config import HealthConfig
from swarmd.messages.enums import ProbeKind
from swarmd.messages.instance import HealthCheck
from swarmd.messages.units import Duration

OWN = HealthCheck(
    interval=Duration(5), timeout=Duration(2), grace=Duration(0), failures=7, successes=4,
    recover=False, probe=ProbeKind.EXEC, command=("true",), path="/ignored",
)  # fmt: skip


def test_without_wishes_of_its_own_the_configuration_holds() -> None:
    config = HealthConfig()
    rules = rules_of(config, HealthCheck())
    assert (rules.interval, rules.timeout, rules.grace) == (30.0, 5.0, 30.0)
    assert (rules.failures, rules.successes, rules.history_size) == (3, 1, 100)
    assert (rules.degraded_latency, rules.degraded_share) == (1.0, 0.9)
    assert rules.recover is True


def test_its_own_wishes_win_also_those_that_are_zero_or_false() -> None:
    rules = rules_of(HealthConfig(), OWN)
    assert (rules.interval, rules.timeout, rules.grace) == (5.0, 2.0, 0.0)
    assert (rules.failures, rules.successes) == (7, 4)
    assert rules.recover is False
    assert rules.command == ("true",)


@pytest.mark.parametrize(
    ("probe", "own", "path"),
    [
        (ProbeKind.SERVER, "/mine", "/healthz"),
        (ProbeKind.HTTP, "/mine", "/mine"),
        (ProbeKind.HTTP, None, "/"),
        (ProbeKind.TCP, "/mine", None),
        (ProbeKind.EXEC, None, None),
        (ProbeKind.NONE, None, None),
    ],
)
def test_what_is_fetched_follows_the_kind_of_probe(
    probe: ProbeKind, own: str | None, path: str | None
) -> None:
    check = HealthCheck(probe=probe, path=own, command=("true",))
    rules = rules_of(HealthConfig(), check)
    assert (rules.probe, rules.path) == (probe, path)
    assert rules.command == (("true",) if probe is ProbeKind.EXEC else ())


def test_an_instance_may_ask_for_recovery_where_the_configuration_does_not() -> None:
    assert rules_of(HealthConfig(auto_recover=False), HealthCheck(recover=True)).recover
    assert not rules_of(HealthConfig(auto_recover=False), HealthCheck()).recover


# --- how soon a hang is found --------------------------------------------------------------------


def found_after(check: HealthCheck, chances: list[float], tick: float) -> float:
    """Seconds from a good answer, after which it hangs, until it has failed often enough.

    It is asked as the monitor asks: at ticks, and then what is due before the next one.
    """
    rules = rules_of(HealthConfig(), check)
    schedule, ended = Schedule(), 0.0
    schedule.plan("a", 0.0, rules.pace, 0.0)
    schedule.due(0.0)
    asked = 0.0
    for chance in chances[: rules.failures]:
        schedule.plan("a", asked, rules.pace, chance)
        due = schedule.next_due()
        assert due is not None
        ticks = -(-max(due - tick, ended) // tick) * tick  # the first from when it is due on
        asked = max(ended, min(due, ticks))
        assert schedule.due(asked + tick) == ["a"]
        ended = asked + rules.timeout
    return ended


@given(
    interval=st.floats(1, 600),
    share=st.floats(0.01, 0.5),
    chances=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=10),
)
def test_a_hang_is_found_within_failures_times_interval(
    interval: float, share: float, chances: list[float]
) -> None:
    check = HealthCheck(
        interval=Duration(interval), timeout=Duration(interval * share), failures=len(chances)
    )
    assert found_after(check, chances, 0.5) <= len(chances) * interval + 1e-6


def test_by_default_that_is_a_minute_and_a_half_and_never_in_a_hurry() -> None:
    slowest = found_after(HealthCheck(), [0.0] * 3, 0.5)
    soonest = found_after(HealthCheck(), [0.999] * 3, 0.5)
    assert 89 <= slowest <= 90
    assert soonest >= 70


@pytest.mark.parametrize(
    ("interval", "timeout", "failures", "pace"),
    [(30, 5, 3, 30 - 5 / 3), (30, 5, 1, 25), (10, 5, 1, 5), (1, 5, 3, 0.5), (0.5, 0.5, 2, 0.25)],
)
def test_the_pace_leaves_room_for_the_last_timeout(
    interval: float, timeout: float, failures: int, pace: float
) -> None:
    check = HealthCheck(interval=Duration(interval), timeout=Duration(timeout), failures=failures)
    assert rules_of(HealthConfig(), check).pace == pytest.approx(pace)
