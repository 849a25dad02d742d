"""Where a creation goes, as it is handed in."""

from __future__ import annotations

import pytest

from swarmd.core.intake import decide, where
from swarmd.core.placement import Rules
from swarmd.core.tables import Change, ProviderView
from swarmd.errors import SwarmError
from swarmd.messages.instance import Resources
from swarmd.messages.provider import ProviderHealth
from swarmd.messages.requests import CreateInstance, PlacementProvider
from tests.core.desk import ANA, tables_of
from tests.core.intakes import BOTH, OFF, create, decided, intake, refused
from tests.core.samples import caps, config, instance, make_id


def test_the_argument_wins_over_the_configuration() -> None:
    request = CreateInstance(config=config(provider="local"), at_provider="box1")
    operation, record = decided(request, BOTH)
    assert (record.provider, record.config.provider) == ("box1", "box1")
    assert "placement" not in operation.arguments, "who is named has no stand-in"


def test_what_is_wrong_in_itself_is_told_before_any_provider_is_looked_at() -> None:
    error = refused(create(env={"1A": "x"}), tables_of().apply(Change(providers=(OFF,))))
    assert (error.type, error.field) == ("validation_error", "config.env")


@pytest.mark.parametrize("fallback", [True, False])
def test_the_story_and_the_record_of_a_placement(fallback: bool) -> None:
    request = create(resources=Resources(cpu=1))
    verdict = decide(BOTH, request, intake(fallback=fallback))
    (told,) = (each for _, each in verdict.change.reasons if each.what == "placed at local")
    assert told.why == (
        "the first of 2 that take it; daemon.default_provider; "
        "balanced gives it 1.5 (capacity 1, cpu 0.5, priority 0)"
    )
    assert told.operation == make_id(100)
    (operation,) = verdict.change.operations
    kept = {"strategy": "balanced", "insecure": False, "tried": [], "next": ["box1"]}
    assert operation.arguments.get("placement") == (kept if fallback else None)


def test_where_it_would_go() -> None:
    asked = PlacementProvider(config=config(), owner="bo")
    placement = where(BOTH, asked, ANA, Rules(strategy="least_instances"))
    assert [each.provider for each in placement.ranked] == ["box1", "local"]
    own = ProviderView(ProviderHealth(ok=True), caps(max_instances_per_user=1))
    full = BOTH.apply(Change(instances=(instance(1, owner="bo"),), views={"local": own}))
    placement = where(full, asked, ANA, Rules(default_provider="local"))
    assert placement.chosen == "box1"
    assert placement.refused[0].reason.startswith("the owner has 1 instances at provider local")
    with pytest.raises(SwarmError) as caught:
        where(BOTH, PlacementProvider(config=config(name="a/b")), ANA, Rules())
    assert caught.value.field == "config.name"
