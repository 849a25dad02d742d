"""How the breaker of a provider reads in ``swarmctl providers``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from swarmd.cli.commands.layouts import PROVIDERS, breaker_state, provider_state
from swarmd.cli.text import left
from tests.cli.driver import ctl

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(12.0, "12s"), (11.4, "12s"), (7199.2, "2h"), (7140, "1h 59m"), (0, ""), (-5, "")],
)
def test_how_long_is_left(seconds: float, text: str) -> None:
    assert left((NOW + timedelta(seconds=seconds)).isoformat(), NOW) == text


def test_nothing_is_left_of_no_time() -> None:
    assert left(None) == ""


def test_the_column() -> None:
    assert "BREAKER" in [column.title for column in PROVIDERS if not column.wide]
    assert breaker_state({"breaker": {"state": "closed"}}) == "closed"
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert breaker_state({"breaker": {"state": "open", "retry_at": later}}) == "open 1h"
    assert breaker_state({"breaker": {"state": "half_open", "retry_at": None}}) == "half_open"
    assert breaker_state({}) == "-"


@pytest.mark.parametrize(
    ("provider", "word"),
    [
        ({"enabled": False, "cordoned": True}, "disabled"),
        ({"enabled": True, "health": {"ok": False, "checked_at": None}}, "starting"),
        ({"enabled": True, "health": {"ok": False, "checked_at": "2026-01-31"}}, "failed"),
        ({"enabled": True, "cordoned": True, "health": {"ok": True}}, "cordoned"),
        (
            {"enabled": True, "cordoned": True, "health": {"ok": False, "checked_at": "2026"}},
            "failed",
        ),
        ({"enabled": True, "ok": False}, "failed"),
        ({"enabled": True, "ok": True}, "ok"),
    ],
)
def test_the_state(provider: dict[str, object], word: str) -> None:
    assert provider_state(provider) == word


def test_help_tells_how_to_unset_the_cost() -> None:
    shown = " ".join(ctl("providers", "update", "--help").out.split())
    assert "cost_per_hour: not known any more" in shown
