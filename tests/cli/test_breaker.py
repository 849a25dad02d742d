"""How the breaker of a provider reads in ``swarmctl providers``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from swarmd.cli.commands.layouts import PROVIDERS, breaker_state
from swarmd.cli.text import until
from tests.cli.driver import ctl

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_until() -> None:
    soon = (NOW + timedelta(seconds=12.4)).isoformat()
    assert until(soon, NOW) == "12s"
    assert until(NOW.isoformat(), NOW) == ""
    assert until(None) == ""


def test_the_column() -> None:
    assert "BREAKER" in [column.title for column in PROVIDERS if not column.wide]
    assert breaker_state({"breaker": {"state": "closed"}}) == "closed"
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    state, left = breaker_state({"breaker": {"state": "open", "retry_at": later}}).split()
    assert (state, left[-1]) == ("open", "s")
    assert breaker_state({"breaker": {"state": "half_open", "retry_at": None}}) == "half_open"
    assert breaker_state({}) == "-"


def test_help_tells_how_to_unset_the_cost() -> None:
    shown = " ".join(ctl("providers", "update", "--help").out.split())
    assert "cost_per_hour: not known any more" in shown
