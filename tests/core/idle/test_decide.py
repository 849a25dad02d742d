"""When one is stopped by itself: a table of situations, then what holds in all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.idle.decide import SETTLED, Facts, Outlook, decide, hindrance_of
from swarmd.core.idle.rules import IdleRules, rules_of
from swarmd.messages.config import InstancesConfig
from swarmd.messages.enums import DesiredState, HealthStatus, InstanceStatus, ProbeKind
from swarmd.messages.instance import HealthCheck
from swarmd.messages.units import Duration
from tests.core.samples import config, instance

HOUR = 3600.0


def rules(idle: float = 2 * HOUR, age: float = 0.0, **values: Any) -> IdleRules:
    kind = {"own": False, "asked": True} | values
    return IdleRules(idle_timeout=idle, max_age=age, **kind)


def facts(idle: float = 0.0, age: float = 100 * HOUR, **values: Any) -> Facts:
    """One whose server told for a minute, until now, that nobody uses it."""
    known: dict[str, Any] = {"last": "x", "heard": 0.0, "quiet": 60.0}
    return Facts(idle=idle, age=age, **(known | values))


def verdict(found: Outlook) -> str:
    if found.stop:
        return "stop"
    if found.ask:
        return "ask"
    return "leave" if found.due is None else f"{found.due:g}"


SOON, NEVER = 2 * HOUR + 1, 1e9
BLIND = rules(asked=False)
OWN = rules(asked=False, own=True)


@pytest.mark.parametrize(
    ("holds", "known", "wanted"),
    [
        # idleness
        (rules(0), facts(NEVER), "leave"),
        (rules(), facts(0), "7200"),
        (rules(), facts(7199), "1"),
        (rules(), facts(SOON), "stop"),
        (rules(), facts(SOON, busy=True), "stop"),  # who is busy has used it just now: idle is 0
        # its own word is the last one, and it has to have lasted
        (rules(), facts(SOON, heard=0.9), "stop"),
        (rules(), facts(SOON, heard=1.1), "ask"),
        (rules(), facts(SOON, heard=NEVER), "ask"),
        (rules(), facts(SOON, quiet=0.5), "ask"),
        (rules(), facts(SOON, quiet=None), "ask"),
        # what is not known is no idleness
        (rules(), facts(NEVER, hears=None, heard=None, quiet=None), "leave"),
        (rules(own=True), facts(NEVER, hears=None, heard=None, quiet=None), "leave"),
        (rules(), facts(NEVER, hears=False, heard=None, quiet=None), "leave"),
        (BLIND, facts(NEVER, hears=None, heard=None, quiet=None), "leave"),
        # its own wish counts what is known: commands and operations
        (rules(own=True), facts(SOON, hears=False, heard=None, quiet=None), "stop"),
        (OWN, facts(SOON, hears=None, heard=None, quiet=None), "stop"),
        (OWN, facts(SOON, heard=NEVER), "stop"),  # what it told before its probe was another one
        (OWN, facts(60, hears=None, heard=None, quiet=None), "7140"),
        # hindrances
        (rules(0, 1), facts(hindrance="its health is unhealthy"), "leave"),
        (rules(), facts(SOON, hindrance="an operation is under way"), "leave"),
        # leases
        (rules(), facts(SOON, lease=10), "10"),
        (rules(), facts(0, lease=10), "7200"),
        (rules(0, 60), facts(age=100, lease=5), "5"),
        (rules(2, 3), facts(100, 100, lease=7), "7"),
        # age
        (rules(0, 10 * HOUR), facts(age=HOUR), f"{9 * HOUR:g}"),
        (rules(0, HOUR), facts(age=HOUR, hears=None), "stop"),
        (rules(0, HOUR), facts(age=HOUR, busy=True), "stop"),
        (rules(2 * HOUR, HOUR), facts(idle=0, age=HOUR - 5), "5"),
        (rules(2 * HOUR, 3 * HOUR), facts(HOUR, HOUR), "3600"),
        # age stops also one that has to be asked for the other reason
        (rules(2 * HOUR, HOUR), facts(SOON, HOUR, heard=100), "stop"),
    ],
)
def test_what_follows(holds: IdleRules, known: Facts, wanted: str) -> None:
    assert verdict(decide(holds, known)) == wanted


@pytest.mark.parametrize(
    ("age", "warn", "look"),
    [
        (0.0, False, 9 * HOUR + 3000.0),  # ten minutes before ten hours are over
        (9 * HOUR + 2999, False, 1.0),
        (9 * HOUR + 3001, True, 599.0),
    ],
)
def test_its_age_is_told_before(age: float, warn: bool, look: float) -> None:
    found = decide(rules(0, 10 * HOUR), facts(age=age))
    assert (found.warn, found.look) == (warn, look)


def test_a_short_age_is_told_at_its_last_tenth() -> None:
    assert rules(0, 100).lead == 10
    assert decide(rules(0, 100), facts(age=91)).warn
    assert not decide(rules(0, 100), facts(age=89)).warn


def test_the_words_name_the_last_use_the_rule_and_the_lease() -> None:
    said = decide(rules(), facts(SOON, last="a browser, 2026-01-31 12:00:00 UTC")).why
    assert said == (
        "nobody used it for 2 h (last: a browser, 2026-01-31 12:00:00 UTC), idle_timeout 2 h"
    )
    assert "it is kept for 5 min more" in decide(rules(), facts(SOON, lease=300)).why
    assert "a command runs in it" in decide(rules(), facts(0, busy=True)).why
    assert decide(rules(0, HOUR), facts(age=HOUR)).why == "it runs for 1 h, max_age 1 h"
    unknown = decide(BLIND, facts(NEVER, hears=None)).why
    assert "its probe does not tell" in unknown
    assert "has not been heard" in decide(rules(), facts(hears=None)).why


WELL, ILL = HealthStatus.HEALTHY, HealthStatus.UNHEALTHY


@pytest.mark.parametrize(
    ("values", "health", "failures", "busy", "says"),
    [
        ({}, WELL, 0, False, ""),
        ({}, HealthStatus.DEGRADED, 0, False, ""),
        ({}, WELL, 1, False, "did not answer"),
        ({}, ILL, 0, False, "unhealthy"),
        ({}, HealthStatus.RECOVERING, 0, False, "recovering"),
        ({}, HealthStatus.UNKNOWN, 0, False, "not known"),
        ({}, WELL, 0, True, "operation"),
        ({"desired": DesiredState.STOPPED}, WELL, 0, False, "not run"),
        ({"status": InstanceStatus.STARTING}, WELL, 0, False, "not run"),
    ],
)
def test_hindrances(
    values: dict[str, Any], health: HealthStatus, failures: int, busy: bool, says: str
) -> None:
    found = hindrance_of(instance(**values), health, failures, busy=busy)
    assert found == "" if not says else says in found


@pytest.mark.parametrize(
    ("own", "general", "wanted"),
    [(None, 0, (0, False)), (None, 60, (60, False)), (0, 60, (0, True)), (9, 60, (9, True))],
)
def test_its_own_wish_wins(own: float | None, general: float, wanted: tuple[float, bool]) -> None:
    held = None if own is None else Duration(own)
    found = rules_of(
        InstancesConfig(idle_timeout=Duration(general), max_age=Duration(general)),
        config(idle_timeout=held, max_age=held),
    )
    assert (found.idle_timeout, found.own) == wanted
    assert found.max_age == wanted[0]
    assert found.asked


def test_only_a_server_is_asked_for_its_use() -> None:
    for kind in ProbeKind:
        found = rules_of(InstancesConfig(), config(health=HealthCheck(probe=kind)))
        assert found.asked is (kind is ProbeKind.SERVER)


# --- what always holds -----------------------------------------------------------------------

seconds = st.floats(0, 1e6)
somewhen = st.none() | seconds
ALL_FACTS = st.builds(
    Facts,
    idle=seconds,
    last=st.just("x"),
    age=seconds,
    lease=st.just(0.0) | seconds,
    busy=st.booleans(),
    hears=st.sampled_from((True, False, None)),
    heard=somewhen,
    quiet=somewhen,
    hindrance=st.sampled_from(("", "ill")),
)
ALL_RULES = st.builds(
    IdleRules,
    idle_timeout=st.just(0.0) | seconds,
    max_age=st.just(0.0) | seconds,
    own=st.booleans(),
    asked=st.booleans(),
)


@given(ALL_RULES, ALL_FACTS)
def test_nothing_is_stopped_against_a_lease_or_while_something_hinders(
    holds: IdleRules, known: Facts
) -> None:
    found = decide(holds, known)
    if found.stop:
        assert known.lease <= 0
        assert not known.hindrance


@given(ALL_RULES, ALL_FACTS)
def test_nothing_is_stopped_that_was_used_within_its_timeout(
    holds: IdleRules, known: Facts
) -> None:
    found = decide(replace(holds, max_age=0.0), known)
    if found.stop:
        assert holds.idle_timeout
        assert known.idle >= holds.idle_timeout
        if known.hears and holds.asked:
            # Its server has the last word: it told so after the time had come, and not only once.
            assert known.heard is not None
            assert known.quiet is not None
            assert known.heard <= known.idle - holds.idle_timeout
            assert known.quiet - known.heard >= SETTLED
        else:
            assert holds.own


@given(ALL_RULES, ALL_FACTS)
def test_age_alone_stops_nothing_younger(holds: IdleRules, known: Facts) -> None:
    found = decide(replace(holds, idle_timeout=0.0), known)
    assert not found.ask
    if found.stop:
        assert known.age >= holds.max_age > 0


@given(ALL_RULES, ALL_FACTS, seconds)
def test_time_alone_brings_an_end_nearer(holds: IdleRules, known: Facts, passed: float) -> None:
    before = decide(holds, known)
    later = replace(
        known, idle=known.idle + passed, age=known.age + passed,
        lease=max(0.0, known.lease - passed),
        quiet=None if known.quiet is None else known.quiet + passed,
        heard=0.0 if known.heard is not None else None,
    )  # fmt: skip
    after = decide(holds, later)
    assert (before.due is None) == (after.due is None)
    if before.due is not None and after.due is not None:
        assert after.due <= max(before.due - passed, 0.0) + 1e-6
    if before.stop:
        assert after.stop


@given(ALL_RULES, ALL_FACTS)
def test_whatever_is_due_later_is_looked_at_by_then(holds: IdleRules, known: Facts) -> None:
    found = decide(holds, known)
    if found.due is None:
        assert (found.look, found.stop, found.ask, found.warn) == (None, False, False, False)
    else:
        assert found.look is not None
        assert found.look <= found.due
        assert found.why
        assert found.due > 0 or found.stop or found.ask
