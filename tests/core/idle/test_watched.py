"""Where no health is watched nothing sees to idle_timeout and max_age: they are refused."""

from __future__ import annotations

from typing import Any

import pytest

from swarmd.core.intake import where
from swarmd.errors import ValidationError
from swarmd.messages.requests import CreateInstance, PlacementProvider, UpdateInstance
from swarmd.messages.units import Duration
from tests.core.desk import ANA, tables_of
from tests.core.intakes import decided, intake, refused
from tests.core.samples import config, instance


@pytest.mark.parametrize("rule", ["idle_timeout", "max_age"])
def test_a_rule_that_nothing_sees_to_is_refused(rule: str) -> None:
    create = CreateInstance(config=config("new", **{rule: Duration(60)}))
    error = refused(create, tables_of(), watched=False)
    assert error.field == f"config.{rule}"
    assert "health.enabled" in (error.next_step or "")
    assert getattr(decided(create, tables_of())[1].config, rule) == 60
    update = UpdateInstance(id="web", changes={rule: "1m"})
    error = refused(update, tables_of(instance()), watched=False)
    assert error.field == f"changes.{rule}"


def test_never_is_taken_and_what_stands_there_is_not_refused_again() -> None:
    never = CreateInstance(config=config("new", idle_timeout=Duration(0)))
    assert decided(never, tables_of(), watched=False)
    old = instance(config=config(idle_timeout=Duration(60)))
    update = UpdateInstance(id="web", changes={"labels": {"a": "b"}})
    assert decided(update, tables_of(old), watched=False)


def test_a_dry_run_says_the_same() -> None:
    request: Any = PlacementProvider(config=config("new", max_age=Duration(60)))
    rules = intake(watched=False).rules
    with pytest.raises(ValidationError) as caught:
        where(tables_of(), request, ANA, rules)
    assert caught.value.field == "config.max_age"
