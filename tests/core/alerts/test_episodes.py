"""One alert for each episode: tables, and whole lives with restarts in them."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmd.core.alerts import measured
from swarmd.core.alerts.book import told_again
from swarmd.core.alerts.condition import SEEN, Condition, Sight, by_key
from swarmd.core.alerts.episodes import Patience, Plan, Timers, patience_of, step
from swarmd.core.tables import Change, Tables
from swarmd.messages import codec
from swarmd.messages.alert import Alert, AlertBook, AlertKey
from swarmd.messages.config import AlertingConfig
from swarmd.messages.enums import AlertType
from swarmd.messages.units import Duration
from tests.core.alerts.samples import Ledger, condition, provider, sample

DOWN: AlertKey = (AlertType.PROVIDER_DOWN, "local")
NAMES = ("a", "b", "c")
_book = codec.decoder(AlertBook).decode


def look(*conditions: Condition, unsure: frozenset[AlertKey] = frozenset()) -> Sight:
    return Sight(SEEN, by_key(*conditions), unsure)


def active(*conditions: Condition) -> dict[AlertKey, Alert]:
    ledger = Ledger()
    ledger.carry_out(Plan(raised=conditions))
    return ledger.active


def planned(
    looks: list[tuple[float, Sight]],
    alerts: dict[AlertKey, Alert],
    *,
    patience: Patience,
) -> list[Plan]:
    """What each look comes to, none of which is carried out."""
    timers, plans = Timers(), []
    for now, sight in looks:
        timers, plan = step(timers, alerts, sight, now=now, patience=lambda _: patience)
        plans.append(plan)
    return plans


@pytest.mark.parametrize(
    ("at", "raised"),
    [([0], [False]), ([0, 5], [False, False]), ([0, 10], [False, True]),
     ([0, 9.7], [False, True]), ([0, 9], [False, False])],
)  # fmt: skip
def test_it_must_hold_for_a_while(at: list[float], raised: list[bool]) -> None:
    plans = planned([(now, look(condition())) for now in at], {}, patience=Patience(to_raise=10))
    assert [bool(plan.raised) for plan in plans] == raised


def test_what_was_gone_in_between_begins_anew() -> None:
    looks = [(0.0, look(condition())), (5.0, look()), (10.0, look(condition()))]
    assert not any(planned(looks, {}, patience=Patience(to_raise=10)))


def test_a_look_for_other_things_does_not_begin_it_anew() -> None:
    other = Sight(frozenset({AlertType.DISK_FULL}), {})
    looks = [(0.0, look(condition())), (5.0, other), (10.0, look(condition()))]
    plans = planned(looks, {}, patience=Patience(to_raise=10))
    assert plans[-1].raised == (condition(),)


def test_it_must_be_gone_for_a_while() -> None:
    alerts = active(condition())
    looks = [(0.0, look()), (5.0, look()), (10.0, look())]
    plans = planned(looks, alerts, patience=Patience(to_resolve=10))
    assert [plan.resolved for plan in plans] == [(), (), (DOWN,)]
    back = [(0.0, look()), (5.0, look(condition())), (10.0, look()), (19.0, look())]
    assert not any(planned(back, alerts, patience=Patience(to_resolve=10)))


def test_what_is_not_known_ends_nothing() -> None:
    alerts, unsure = active(condition()), look(unsure=frozenset({DOWN}))
    plans = planned([(0.0, look()), (5.0, unsure), (10.0, look())], alerts,
                    patience=Patience(to_resolve=10))  # fmt: skip
    assert not any(plans)


def test_other_figures_alone_tell_nobody() -> None:
    [plan] = planned([(0.0, look(condition(message="worse")))], active(condition()),
                     patience=Patience())  # fmt: skip
    assert not plan
    assert [each.message for each in plan.refreshed] == ["worse"]


def test_patience_by_type() -> None:
    of = patience_of(AlertingConfig(raise_after=Duration(60), resolve_after=Duration(30)), 30.0)
    assert of(AlertType.ERROR_RATE) == Patience(60, 0)
    assert of(AlertType.PROVIDER_DOWN) == Patience(0, 30)
    assert of(AlertType.DISK_FULL) == Patience(0, 30)
    assert of(AlertType.INSTANCE_STARVED) == Patience(0, 90)


class Life:
    """A ledger and its looks; it may be restarted, and forget what was not on disk."""

    def __init__(self, patience: Patience) -> None:
        self.ledger = Ledger()
        self.patience = patience
        self.timers = Timers()
        self.clock = 0.0

    def see(self, sight: Sight, passed: float = 1.0, *, lost: bool = False) -> Plan:
        """One look; the write of it may be lost."""
        self.clock += passed
        self.timers, plan = step(
            self.timers, self.ledger.active, sight, now=self.clock, patience=lambda _: self.patience
        )
        if plan and not lost:
            self.ledger.carry_out(plan)
        assert len(self.ledger.active) == len(self.ledger.tables.alerts.active)
        return plan

    def restart(self, *, events_lost: int = 0) -> None:
        """kill -9: timers go, and so do events that were not written behind the book."""
        tables = self.ledger.tables
        kept = self.ledger.events[: len(self.ledger.events) - events_lost]
        book = _book(codec.encode_private(tables.alerts))
        found = tables.seq - (len(self.ledger.events) - len(kept))
        self.timers, self.ledger.events = Timers(), kept
        self.ledger.tables = Tables.build((), (), (), found, book)
        self.ledger.apply(told_again(self.ledger.tables, found))
        assert told_again(self.ledger.tables, found) == Change()


looks = st.fixed_dictionaries(
    {
        "down": st.sets(st.sampled_from(NAMES)),
        "passed": st.floats(0.1, 20),
        "lost": st.booleans(),
        "restart": st.sampled_from([None, None, None, 0, 1, 3]),
    }
)


@settings(max_examples=150, deadline=None)
@given(st.lists(looks, max_size=30), st.floats(0, 15), st.floats(0, 15))
def test_every_alert_is_raised_once_and_resolved_once(
    seen: list[dict[str, object]], to_raise: float, to_resolve: float
) -> None:
    life = Life(Patience(to_raise, to_resolve))
    for each in seen:
        down = each["down"]
        assert isinstance(down, set)
        life.see(
            look(*(condition(name) for name in sorted(down))),
            passed=float(str(each["passed"])),
            lost=bool(each["lost"]),
        )
        if isinstance(each["restart"], int):
            last = len(life.ledger.tables.alerts.moves)
            life.restart(events_lost=min(each["restart"], last))
    for _ in range(3):
        life.see(look(), passed=to_resolve + 1)
    assert life.ledger.active == {}
    counts = Counter(life.ledger.events)
    assert set(counts.values()) <= {1}
    raised = [alert for alert, state in life.ledger.events if state == "raised"]
    resolved = [alert for alert, state in life.ledger.events if state == "resolved"]
    assert sorted(raised) == sorted(resolved)
    for alert in raised:
        order = [state for each, state in life.ledger.events if each == alert]
        assert order == ["raised", "resolved"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([76, 79, 80, 81, 84, 99]), min_size=1, max_size=40))
def test_a_figure_that_swings_around_its_threshold_is_one_episode(used: list[int]) -> None:
    life, config = Life(Patience()), AlertingConfig()
    for minute, each in enumerate([90, *used]):
        samples = [sample(minute, providers=[provider(each, 100)])]
        life.see(measured.judge(samples, set(life.ledger.active), config), passed=60)
    assert [state for _, state in life.ledger.events] == ["raised"]
    samples = [sample(99, providers=[provider(70, 100)])]
    life.see(measured.judge(samples, set(life.ledger.active), config), passed=60)
    assert [state for _, state in life.ledger.events] == ["raised", "resolved"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.floats(0.1, 9)), max_size=40))
def test_what_flaps_faster_than_it_is_waited_for_is_one_episode(
    flaps: list[tuple[bool, float]],
) -> None:
    life = Life(Patience(to_resolve=10))
    life.see(look(condition()))
    gone = 0.0
    for down, passed in flaps:
        gone = 0.0 if down else gone + passed
        if gone < 9:
            life.see(look(condition()) if down else look(), passed)
    life.see(look(condition()), 0.5)
    assert [state for _, state in life.ledger.events] == ["raised"]
