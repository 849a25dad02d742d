from __future__ import annotations

import pytest

from swarmd.core.health.rules import rules_of
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
