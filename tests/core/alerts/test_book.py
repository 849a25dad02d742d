"""The book of alerts: taking over, what sinks are still to be told, its bounds."""

from __future__ import annotations

import pytest

from swarmd.core.alerts import book
from swarmd.core.alerts.book import acknowledge, carry_out, find, told_again
from swarmd.core.alerts.episodes import Plan
from swarmd.core.alerts.selecting import select
from swarmd.core.tables import Change
from swarmd.errors import AlertNotFound, Conflict, ValidationError
from swarmd.messages.enums import AlertChange, AlertSeverity, AlertState, AlertType
from swarmd.messages.requests import ListAlerts
from tests.core.alerts.samples import AT, Ledger, condition

TWO = ("log", "ops")


def waiting(ledger: Ledger) -> list[tuple[str, str, str]]:
    return [
        (each.sink, each.alert.target, each.change.value) for each in ledger.tables.alerts.outbox
    ]


def taken(ledger: Ledger, ref: str, note: str | None = None) -> Change:
    change, _ = acknowledge(ledger.tables, ref, by="ana", note=note, now=ledger.now)
    ledger.apply(change)
    return change


def test_every_sink_is_to_be_told_of_both_ends_in_order() -> None:
    ledger = Ledger(TWO)
    ledger.raise_("a")
    ledger.resolve("a")
    assert waiting(ledger) == [
        ("log", "a", "raised"), ("ops", "a", "raised"),
        ("log", "a", "resolved"), ("ops", "a", "resolved"),
    ]  # fmt: skip
    [ended] = ledger.tables.alerts.resolved
    assert ended.resolved_at is not None
    # What was told is the alert as it was then.
    assert ledger.tables.alerts.outbox[0].alert.state is AlertState.ACTIVE


def test_what_was_taken_waits_no_more() -> None:
    ledger = Ledger(TWO)
    ledger.raise_("a", "b")
    done = {each.key for each in ledger.tables.alerts.outbox if each.sink == "log"}
    change = ledger.carry_out(Plan(), taken=done)
    assert waiting(ledger) == [("ops", "a", "raised"), ("ops", "b", "raised")]
    assert change.events == ()
    assert not ledger.carry_out(Plan(), taken=done).durable


def test_a_sink_that_is_gone_is_told_nothing_more() -> None:
    ledger = Ledger(TWO)
    ledger.raise_("a")
    ledger.sinks = ("log",)
    ledger.carry_out(Plan())
    assert {each[0] for each in waiting(ledger)} == {"log"}


def test_taken_over_it_is_not_told_but_its_end_is() -> None:
    ledger = Ledger(TWO)
    [alert] = ledger.raise_("a")
    change = taken(ledger, alert.id, "on it")
    assert waiting(ledger) == []
    [event] = change.events
    assert event.caller == "ana"
    assert (event.data["state"], event.data["by"]) == ("acknowledged", "ana")
    assert event.data["note"] == "on it"
    assert not taken(ledger, alert.id).durable  # once more changes nothing
    ledger.resolve("a")
    assert [each[2] for each in waiting(ledger)] == ["resolved", "resolved"]
    [ended] = ledger.tables.alerts.resolved
    assert (ended.acknowledged_by, ended.note, ended.state) == ("ana", "on it", "resolved")
    with pytest.raises(Conflict):
        taken(ledger, alert.id)


def test_what_is_taken_over_is_not_raised_again() -> None:
    ledger = Ledger()
    [alert] = ledger.raise_("a")
    taken(ledger, alert.id)
    ledger.raise_("a")
    assert [state for _, state in ledger.events] == ["raised", "acknowledged"]


def test_a_plan_that_came_too_late_does_nothing() -> None:
    ledger = Ledger()
    ledger.raise_("a")
    assert not ledger.carry_out(Plan(raised=(condition("a"),))).durable
    ledger.resolve("a")
    assert not ledger.carry_out(
        Plan(resolved=((AlertType.PROVIDER_DOWN, "a"),), refreshed=(condition("a", "worse"),))
    ).durable


def test_other_figures_are_written_without_an_event() -> None:
    ledger = Ledger()
    ledger.raise_("a")
    change = ledger.carry_out(Plan(refreshed=(condition("a", "worse", details={"value": 2}),)))
    assert change.events == ()
    [alert] = ledger.active.values()
    assert (alert.message, alert.details) == ("worse", {"value": 2})


def test_everything_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book, "MOST_ACTIVE", 5)
    monkeypatch.setattr(book, "MOST_WAITING", 3)
    ledger = Ledger(("ops",), kept=2)
    ledger.carry_out(Plan(raised=tuple(condition(str(number)) for number in range(9))))
    assert len(ledger.active) == 5
    assert [each[1] for each in waiting(ledger)] == ["2", "3", "4"]
    for number in range(5):
        ledger.resolve(str(number))
    assert [each.target for each in ledger.tables.alerts.resolved] == ["3", "4"]
    assert len(waiting(ledger)) == 3


def test_time_that_goes_back_ends_nothing_before_it_began() -> None:
    ledger = Ledger()
    [alert] = ledger.raise_("a")
    plan = Plan(resolved=(alert.key,))
    change = carry_out(ledger.tables, plan, now=AT, new_id=str, sinks=(), kept=5)
    ledger.apply(change)
    assert ledger.tables.alerts.resolved[0].resolved_at == alert.raised_at


def test_events_that_a_crash_kept_from_the_journal_are_told_again() -> None:
    ledger = Ledger()
    [alert] = ledger.raise_("a")
    ledger.resolve("a")
    seq = ledger.tables.seq
    assert told_again(ledger.tables, seq) == Change()
    change = told_again(ledger.tables, seq - 1)
    assert [(each.data["id"], each.data["state"]) for each in change.events] == [
        (alert.id, "resolved")
    ]
    assert len(told_again(ledger.tables, seq - 2).events) == 2
    ledger.apply(change)
    assert told_again(ledger.tables, 0) == Change()


def test_found_by_id_or_prefix() -> None:
    ledger = Ledger()
    ledger.raise_("a", "b")
    ledger.resolve("b")
    assert find(ledger.tables.alerts, "A0001").target == "a"
    assert find(ledger.tables.alerts, "a0002").state is AlertState.RESOLVED
    with pytest.raises(AlertNotFound):
        find(ledger.tables.alerts, "a9")
    with pytest.raises(ValidationError):
        find(ledger.tables.alerts, "a000")


def test_lists() -> None:
    ledger = Ledger()
    ledger.raise_("a")
    [second] = ledger.raise_("b")
    ledger.raise_("web")
    taken(ledger, second.id)
    ledger.resolve("web")
    alerts = ledger.tables.alerts

    def found(request: ListAlerts) -> list[str]:
        return [each.target for each in select(alerts, request).items]

    assert found(ListAlerts()) == ["b", "a"]
    assert found(ListAlerts(state=())) == ["web", "b", "a"]
    assert found(ListAlerts(state=(AlertState.ACKNOWLEDGED,))) == ["b"]
    assert found(ListAlerts(state=(AlertState.RESOLVED,), subject="w*")) == ["web"]
    assert found(ListAlerts(severity=(AlertSeverity.WARNING,))) == []
    assert found(ListAlerts(type=(AlertType.PROVIDER_DOWN,), limit=1)) == ["b"]
    assert select(alerts, ListAlerts(limit=1)).total == 2


def test_changes_have_the_words_of_the_events() -> None:
    assert [each.value for each in AlertChange] == ["raised", "acknowledged", "resolved"]
