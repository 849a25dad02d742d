from __future__ import annotations

import itertools
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.health.facts import Seen, Usage
from swarmd.core.health.rules import rules_of
from swarmd.core.health.track import Track
from swarmd.core.health.verdict import Verdict, verdict
from swarmd.core.recovery.action import Cannot
from swarmd.core.recovery.attempts import Attempts, RecoveryLimits
from swarmd.core.recovery.decide import decide
from swarmd.core.recovery.remedy import Act, Hold, Leave, Remedy, Wait
from swarmd.core.recovery.table import ACTIONS, LEFT, REMEDIES, WORDS, action_of
from swarmd.messages.config import HealthConfig
from swarmd.messages.enums import (
    DesiredState,
    HealthStatus,
    InstanceStatus,
    OperationKind,
    Origin,
    RecoveryAction,
)
from swarmd.messages.health import Illness
from swarmd.messages.instance import HealthCheck
from tests.core.samples import NOW, instance, later

RESTART, RECREATE, MIGRATE = RecoveryAction
ALL = tuple(RecoveryAction)
LIMITS = RecoveryLimits(max_attempts=5, stable_seconds=600)
FRESH = Attempts()
SUBSETS = [subset for size in range(len(ALL) + 1) for subset in itertools.combinations(ALL, size)]


def made(count: int, last: datetime = NOW) -> Attempts:
    """So many attempts, the last of them so long ago that no pause is left."""
    return Attempts(count, NOW, last)


def decided(
    illness: Illness | None,
    attempts: Attempts = FRESH,
    allow: tuple[RecoveryAction, ...] = ALL,
    *,
    auto: bool = True,
    now: datetime | None = None,
    memory_limit: int | None = None,
    limits: RecoveryLimits = LIMITS,
) -> Remedy:
    return decide(
        illness,
        rules_allow=allow,
        auto=auto,
        attempts=attempts,
        now=now or later(10_000),
        chance=0.5,
        limits=limits,
        memory_limit=memory_limit,
    )


def in_short(remedy: Remedy) -> str:
    match remedy:
        case Act(action, kind, force, _, recreate):
            assert kind is OperationKind.RESTART
            assert recreate is (action is RECREATE)
            return f"{'forced ' if force else ''}{action}"
        case _:
            return type(remedy).__name__.lower()


HELPS = {
    Illness.EXITED: {RESTART: "restart"},
    Illness.HUNG: {RESTART: "forced restart", RECREATE: "forced recreate"},
    Illness.OUT_OF_MEMORY: {RESTART: "restart"},
    Illness.MISSING: {RECREATE: "recreate"},
}
"""What is possible and helps; against the others nothing does."""


@pytest.mark.parametrize("allow", SUBSETS, ids=lambda subset: "+".join(subset) or "nothing")
@pytest.mark.parametrize("illness", Illness)
def test_each_illness_with_each_choice_of_actions(
    illness: Illness, allow: tuple[RecoveryAction, ...]
) -> None:
    ladder = [HELPS.get(illness, {})[name] for name in allow if name in HELPS.get(illness, {})]
    without = "leave" if illness in LEFT else "hold"
    first = in_short(decided(illness, FRESH, allow))
    second = in_short(decided(illness, made(1), allow))
    third = in_short(decided(illness, made(2), allow))
    if not ladder:
        assert (first, second, third) == (without,) * 3
    elif illness is Illness.OUT_OF_MEMORY:
        assert (first, second, third) == (ladder[0], "hold", "hold")
    else:
        assert (first, second, third) == (ladder[0], ladder[-1], ladder[-1])


def test_the_configured_order_holds() -> None:
    order = (MIGRATE, RECREATE, RESTART, RECREATE)
    tried = [in_short(decided(Illness.HUNG, made(count), order)) for count in range(3)]
    assert tried == ["forced recreate", "forced restart", "forced restart"]


def test_nothing_wrong_is_left_alone() -> None:
    assert isinstance(decided(None), Leave)


@pytest.mark.parametrize("illness", sorted(set(Illness) - set(LEFT) - {Illness.LOST}))
def test_what_is_not_to_be_recovered_is_shown_and_left_alone(illness: Illness) -> None:
    remedy = decided(illness, made(9), auto=False)
    assert isinstance(remedy, Leave)
    assert remedy.why.startswith(WORDS[illness])
    assert "switched off" in remedy.why


@pytest.mark.parametrize("auto", [True, False])
def test_a_lost_workspace_is_never_replaced(auto: bool) -> None:
    remedy = decided(Illness.LOST, auto=auto)
    assert isinstance(remedy, Hold)
    assert "an empty one is never put in its place" in remedy.why
    assert "swarmctl rm --force ana/web" in remedy.next_step("ana/web")


def test_out_of_memory_a_second_time_the_limit_is_named() -> None:
    remedy = decided(Illness.OUT_OF_MEMORY, made(1), memory_limit=512 << 20)
    assert isinstance(remedy, Hold)
    assert "its limit of 512m" in remedy.why
    assert "swarmctl update ana/web --memory" in remedy.next_step("ana/web")
    unnamed = decided(Illness.OUT_OF_MEMORY, made(1))
    assert isinstance(unnamed, Hold)
    assert "its memory limit" in unnamed.why


def test_a_crash_loop_says_how_often_and_what_can_be_done() -> None:
    remedy = decided(Illness.EXITED, made(5, later(42)))
    assert isinstance(remedy, Hold)
    assert remedy.why == (
        "a crash loop: tried 5 times within 42 s, and still it does not run although it is to"
    )
    for way in ("swarmctl logs", "swarmctl update", "swarmctl recover"):
        assert f"{way} ana/web" in remedy.next_step("ana/web")


def test_where_no_other_provider_fits_it_says_so() -> None:
    remedy = decided(Illness.HUNG, allow=(MIGRATE,))
    assert isinstance(remedy, Hold)
    assert remedy.why == "it runs and does not answer; migrate: no other provider fits"


def test_what_would_help_and_is_not_allowed_is_named() -> None:
    remedy = decided(Illness.MISSING, allow=(RESTART,))
    assert isinstance(remedy, Hold)
    assert "what helps (recreate, migrate) is not in health.recovery_actions" in remedy.why


def test_the_second_attempt_waits_and_the_first_does_not() -> None:
    attempts = Attempts().after(NOW)
    early = decided(Illness.EXITED, attempts, now=later(0.7))
    assert early == Wait(
        later(0.75), "it does not run although it is to; tried once, and again after a pause"
    )
    assert isinstance(decided(Illness.EXITED, attempts, now=later(0.75)), Act)
    assert isinstance(decided(Illness.EXITED, FRESH, now=NOW), Act)
    set_back = decided(Illness.EXITED, attempts, now=later(-3600))
    assert isinstance(set_back, Act)  # the clock: that is no pause


def test_an_operation_takes_its_arguments_along() -> None:
    restart, recreate = decided(Illness.HUNG), decided(Illness.HUNG, made(1))
    assert isinstance(restart, Act)
    assert isinstance(recreate, Act)
    assert restart.arguments == {"force": True}
    assert recreate.arguments == {"force": True, "recreate": True}
    assert restart.why == "it runs and does not answer"


# --- the table ---------------------------------------------------------------------------------


def test_every_action_and_every_illness_has_its_row() -> None:
    assert tuple(action.name for action in ACTIONS) == ALL
    assert set(REMEDIES) == set(WORDS) == set(Illness)
    for illness, actions in REMEDIES.items():
        assert bool(actions) is (illness not in LEFT and illness is not Illness.LOST)
    assert all(action_of(name).name is name for name in RecoveryAction)


def test_by_hand_every_action_tells_what_it_becomes() -> None:
    assert action_of(RESTART).becomes(None, "asked for") == Act(
        RESTART, OperationKind.RESTART, force=False, why="asked for"
    )
    assert action_of(MIGRATE).becomes(None, "asked for") == Cannot("no other provider fits")
    for name in RecoveryAction:
        assert isinstance(action_of(name).becomes(Illness.LOST, "asked for"), Cannot)


# --- whatever happens --------------------------------------------------------------------------

illnesses = st.none() | st.sampled_from(Illness)
orders = st.lists(st.sampled_from(RecoveryAction), max_size=4).map(tuple)
chances = st.floats(0, 1, exclude_max=True)


@given(
    st.lists(st.tuples(st.sampled_from(Illness), st.floats(0, 400), chances), max_size=40),
    orders,
    st.integers(1, 6),
)
def test_there_are_never_more_attempts_than_allowed(
    failures: list[tuple[Illness, float, float]], order: tuple[RecoveryAction, ...], most: int
) -> None:
    limits = RecoveryLimits(max_attempts=most, stable_seconds=600)
    attempts, now = Attempts(), NOW
    for illness, seconds, chance in failures:
        now = later((now - NOW).total_seconds() + seconds)
        remedy = decide(
            illness, rules_allow=order, auto=True, attempts=attempts, now=now, chance=chance,
            limits=limits,
        )  # fmt: skip
        match remedy:
            case Act(action):
                assert action in order
                attempts = attempts.after(now)
            case Wait(until):
                assert attempts.last is not None
                assert now < until <= later((attempts.last - NOW).total_seconds() + limits.cap)
            case Hold(why, next_step):
                assert why
                assert next_step
    assert attempts.count <= most


@given(illnesses, orders, st.integers(0, 9), st.booleans(), chances)
def test_the_same_facts_decide_the_same(
    illness: Illness | None,
    order: tuple[RecoveryAction, ...],
    count: int,
    auto: bool,
    chance: float,
) -> None:
    first, second = (
        decide(
            illness, rules_allow=order, auto=auto, attempts=made(count), now=later(5),
            chance=chance, limits=LIMITS,
        )
        for _ in range(2)
    )  # fmt: skip
    assert first == second
    if not auto:
        assert isinstance(first, Leave | Hold)


@given(
    st.sampled_from(InstanceStatus),
    st.sampled_from(DesiredState),
    st.booleans(),
    st.none() | st.sampled_from(Origin),
    st.lists(st.booleans(), max_size=6),
    st.integers(0, 9),
)
def test_a_provider_that_is_down_and_a_users_stop_never_lead_to_an_action(
    status: InstanceStatus,
    desired: DesiredState,
    ok: bool,
    busy: Origin | None,
    answers: list[bool],
    count: int,
) -> None:
    track = Track()
    track.conclude(verdict_of_a_hung_one(track), NOW)
    for number, answer in enumerate(answers):
        track.answered(answer, 0.1, "words", later(number))
    track.used(Usage(memory_bytes=1, memory_limit_bytes=1), NOW)
    row = instance(status=status, desired=desired)
    seen = Seen(provider_ok=ok, present=True, busy=busy, exit="its container was removed")
    rules = rules_of(HealthConfig(), HealthCheck())
    found = verdict(row, track, rules, seen=seen, now=later(9999))
    remedy = decided(found.illness, made(count))
    if not ok or desired is not DesiredState.RUNNING:
        assert isinstance(remedy, Leave)


def verdict_of_a_hung_one(track: Track) -> Verdict:
    for _ in range(3):
        track.answered(False, 5.0, "no answer", NOW)
    rules = rules_of(HealthConfig(), HealthCheck())
    found = verdict(instance(), track, rules, seen=Seen(present=True), now=NOW)
    assert found.status is HealthStatus.UNHEALTHY
    return found
