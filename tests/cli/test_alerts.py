"""``swarmctl alerts``: what is shown, and taking over one, several, all."""

from __future__ import annotations

import pytest

from swarmd.messages.alert import Alert
from swarmd.messages.enums import AlertState
from tests.cli.driver import ME, ctl, names
from tests.cli.server import Served
from tests.core.alerts.samples import Ledger


@pytest.fixture
def ledger(served: Served) -> Ledger:
    """Three alerts, the last of which has ended."""
    made = Ledger()
    made.raise_("box1", "box2", "box3")
    made.resolve("box3")
    served.daemon.book = made.tables.alerts
    return made


def of(served: Served, target: str) -> Alert:
    return next(each for each in served.daemon.book.active if each.target == target)


def test_nothing_is_wrong(served: Served) -> None:
    ran = ctl("alerts")
    assert (ran.code, ran.out) == (0, "")
    assert "No alerts: nothing needs to be looked at." in ran.err
    assert "alerts:" not in ctl("status").out


def test_what_goes_on(served: Served, ledger: Ledger) -> None:
    ran = ctl("alerts")
    assert ran.code == 0
    header, *lines = ran.out.splitlines()
    assert header.split() == ["ID", "SEVERITY", "SINCE", "STATE", "MESSAGE"]
    assert names(ran)[1:] == ["a0002", "a0001"]
    assert lines[0].split()[1] == "error"
    assert lines[0].endswith("it is down")
    assert "alerts: 2\n  see swarmctl alerts\n" in ctl("status").out
    assert "TYPE" in ctl("alerts", "-o", "wide").out
    assert names(ctl("alerts", "--state", "resolved", "-o", "name")) == ["a0003"]
    assert names(ctl("alerts", "list", "--subject", "*1", "-o", "name")) == ["a0001"]
    assert "No alert fits." in ctl("alerts", "--severity", "warning").err
    assert "1 more" in ctl("alerts", "--limit", "1").err
    data = ctl("alerts", "-o", "json").data
    assert (data["total"], data["items"][0]["state"]) == (2, "active")


def test_taking_over_one(served: Served, ledger: Ledger) -> None:
    ran = ctl("alerts", "ack", "a0001", "--note", "on it")
    assert (ran.code, ran.out.split()) == (0, ["a0001", "acknowledged", "provider_down", "box1"])
    alert = of(served, "box1")
    assert (alert.state, alert.acknowledged_by) == (AlertState.ACKNOWLEDGED, ME)
    assert alert.note == "on it"
    wide = ctl("alerts", "-o", "wide").out
    assert "on it" in wide
    assert "acknowledged" in wide


def test_taking_over_several_and_all(served: Served, ledger: Ledger) -> None:
    ran = ctl("alerts", "ack", "a0001", "a0003", "nonsense")
    assert ran.code == 1
    assert "a0003: the alert a0003 was resolved already" in ran.err
    assert "there is no alert 'nonsense'" in ran.err
    assert "1 acknowledged, 2 failed" in ran.err
    assert names(ctl("alerts", "ack", "--all")) == ["a0002"]
    assert "No alert waits for that." in ctl("alerts", "ack", "--all").err
    assert of(served, "box2").state is AlertState.ACKNOWLEDGED


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["ack"], 2, "Give ids, or --all"),
        (["ack", "a0001", "--all"], 2, "Give ids, or --all"),
        (["ack", "a9999"], 3, "there is no alert"),
        (["ack", "a000"], 2, "fits 3 alerts"),
        (["ack", "a0001", "--note", "x" * 501], 2, "note"),
        (["--state", "loud"], 2, "--state"),
    ],
)
def test_wrong_usage(
    served: Served, ledger: Ledger, words: list[str], code: int, told: str
) -> None:
    ran = ctl("alerts", *words)
    assert ran.code == code
    assert told in ran.err
