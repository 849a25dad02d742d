"""Each strategy: what it prefers, and where it alone changes the choice."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from swarmd.configuration.example import comment_of
from swarmd.core.placement import STRATEGIES, Candidate, Rules, place, strategy_named, told
from swarmd.core.placement.scoring import free_share
from swarmd.messages.config import PlacementConfig
from swarmd.messages.enums import Isolation
from swarmd.messages.instance import InstanceConfig, Resources
from swarmd.messages.provider import CpuLimits, InstanceLimits, MemoryLimits, StorageLimits
from swarmd.messages.units import Size, Storage
from tests.core.samples import caps, config
from tests.core.test_placement import candidate
from tests.support import CHECKOUT

GIB = 1 << 30


def limits(cores: float, memory: int | None, storage: int | None = None) -> InstanceLimits:
    return InstanceLimits(
        cpu=CpuLimits(cores=cores),
        memory=MemoryLimits(min=1, max=memory),
        storage=StorageLimits(size=storage, persistent=True) if storage else None,
    )


def able(cores: float = 4, memory: int | None = 8 * GIB, **values: Any) -> Any:
    return caps(max_resources_per_instance=limits(cores, memory), **values)


WANTED = config(region="eu-west", resources=Resources(cpu=2, memory=Size(2 * GIB)))
PLACES = (
    # Half of its instances are free and its name is no help, but its priority is.
    candidate(
        "preferred", instances=4, priority=5.0, cpu=3.0, cost_per_hour=1.0, region="us",
        capabilities=able(max_instances=8),
    ),
    candidate("empty", instances=0, cpu=3.5, cost_per_hour=4.0, region="us", capabilities=able()),
    candidate(
        "large", instances=9, cpu=4.0, cost_per_hour=40.0, region="us",
        capabilities=able(64, 256 * GIB),
    ),
    candidate(
        "capable", instances=7, cpu=3.0, cost_per_hour=2.0, region="us",
        capabilities=able(
            isolation=Isolation.VM, limits_enforced=("cpu", "memory"), supports_live_resize=True
        ),
    ),
    candidate("near", instances=8, cpu=3.0, cost_per_hour=3.0, region="eu-west",
              capabilities=able()),
    candidate("cheap", instances=6, cpu=3.0, cost_per_hour=0.5, region="us", capabilities=able()),
)  # fmt: skip
CHOSEN = {
    "balanced": "preferred",
    "least_instances": "empty",
    "resources": "large",
    "capabilities": "capable",
    "geographic": "near",
    "cost": "cheap",
}


def test_there_is_a_case_for_each() -> None:
    assert list(CHOSEN) == [each.name for each in STRATEGIES]
    assert len(set(CHOSEN.values())) == len(CHOSEN)
    assert all(each.prefers for each in STRATEGIES)


@pytest.mark.parametrize("strategy", CHOSEN)
def test_it_alone_changes_the_choice(strategy: str) -> None:
    """The same providers and the same instance: only the strategy differs."""
    wanted = WANTED
    everywhere = strategy_named(strategy).weighs_region
    if not everywhere:
        wanted = config(resources=WANTED.resources)
    placement = place(wanted, PLACES, Rules(strategy=strategy))
    assert (placement.strategy, placement.chosen) == (strategy, CHOSEN[strategy])
    assert len(placement.ranked) == len(PLACES)
    scores = [each.score for each in placement.ranked]
    assert scores == sorted(scores, reverse=True)
    for each in placement.ranked:
        assert each.score == pytest.approx(sum(each.parts.values()))


def parts(strategy: str, where: Candidate, wanted: InstanceConfig | None = None) -> Any:
    ranked = place(wanted or config(), (where,), Rules(strategy=strategy)).ranked
    return ranked[0].parts


def test_balanced_is_the_sum_of_the_seed() -> None:
    """Seed 000, section 4.2: capacity, headroom of what is asked for, priority."""
    roomy = limits(4, 8 * GIB, 10 * GIB)
    where = candidate(
        "a", instances=2, priority=0.25, capabilities=caps(
            max_instances=8, max_resources_per_instance=roomy),
    )  # fmt: skip
    wanted = config(
        resources=Resources(cpu=1, memory=Size(2 * GIB), storage=Storage(5 * GIB)),
    )
    assert parts("balanced", where, wanted) == {
        "capacity": 0.75, "cpu": 0.75, "memory": 0.75, "storage": 0.5, "priority": 0.25,
    }  # fmt: skip
    assert parts("balanced", where) == {"capacity": 0.75, "priority": 0.25}


def test_what_is_not_limited_has_all_of_its_headroom() -> None:
    where = candidate("a", capabilities=able(4, None))
    wanted = config(resources=Resources(memory=Size(99 * GIB), storage=Storage(99 * GIB)))
    assert parts("balanced", where, wanted) == {
        "capacity": 1.0, "memory": 1.0, "storage": 1.0, "priority": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("most", "has", "per_user", "owned", "free"),
    [(0, 5, 0, 5, 1.0), (4, 1, 0, 1, 0.75), (4, 1, 2, 1, 0.5), (0, 9, 4, 1, 0.75)],
)
def test_free_share(most: int, has: int, per_user: int, owned: int, free: float) -> None:
    """Of the provider's most or of the owner's, whichever leaves less; 1 without a limit."""
    able_to = caps(max_instances=most, max_instances_per_user=per_user)
    assert free_share(candidate("a", owned, instances=has, capabilities=able_to)) == free
    assert free_share(candidate("a", capabilities=None)) == 1.0


def test_resources_counts_what_others_asked_for() -> None:
    where = candidate("a", cpu=1.0, memory=2 * GIB, storage=3, capabilities=able(4, 8 * GIB))
    wanted = config(resources=Resources(cpu=1))
    assert parts("resources", where, wanted) == {"cpu": 0.5, "memory": 0.75, "storage": 1.0}
    over = candidate("b", cpu=6.0, capabilities=able(4, 8 * GIB))
    assert parts("resources", over)["cpu"] == -0.5


@pytest.mark.parametrize(
    ("wanted", "first"), [("eu-west", "exact"), ("eu-north", "exact"), ("mars", "void")]
)
def test_geographic_prefers_the_region_then_the_area_then_the_emptiest(
    wanted: str, first: str
) -> None:
    places = (
        candidate("void", instances=0),
        candidate("area", instances=1, region="eu-south"),
        candidate("exact", instances=1, region="eu-west"),
    )
    ranked = place(config(region=wanted), places, Rules(strategy="geographic")).ranked
    near = {"eu-west": ["exact", "area", "void"], "eu-north": ["area", "exact", "void"]}
    names = [each.provider for each in ranked]
    assert names == near.get(wanted, ["void", "area", "exact"])
    assert first in names
    notes = {each.provider: each.note for each in ranked}
    assert notes["void"] == f"not near {wanted}"
    if wanted == "eu-west":
        assert (notes["exact"], notes["area"]) == ("", "in the same area as eu-west")


def test_a_crowd_in_the_region_is_nearer_than_an_empty_area() -> None:
    places = (candidate("empty", region="eu-a"), candidate("full", instances=999, region="eu-b"))
    rules = Rules(strategy="geographic")
    assert place(config(region="eu-b"), places, rules).chosen == "full"
    assert place(config(), places, rules).chosen == "empty"


def test_cost_is_of_what_is_asked_for() -> None:
    """A small part of a dear machine can be cheaper than all of a cheap one."""
    places = (
        candidate("dear", cost_per_hour=3.2, capabilities=able(64, 256 * GIB)),
        candidate("cheap", cost_per_hour=0.5, capabilities=able(2, 4 * GIB)),
    )
    rules = Rules(strategy="cost")
    small = place(config(resources=Resources(cpu=2)), places, rules)
    assert small.chosen == "dear"
    assert small.ranked[0].note == "0.1 an hour"
    assert "0.1 an hour" in told(small)
    assert place(config(), places, rules).chosen == "cheap", "it may take all of it"
    memory = config(resources=Resources(cpu=0.1, memory=Size(4 * GIB)))
    assert parts("cost", places[1], memory) == {"cost": -0.5}


def test_an_unknown_cost_comes_last_and_is_said() -> None:
    places = (candidate("a"), candidate("b", cost_per_hour=99.0), candidate("c", cost_per_hour=0.0))
    ranked = place(config(), places, Rules(strategy="cost")).ranked
    assert [each.provider for each in ranked] == ["c", "b", "a"]
    assert ranked[-1].note == "its cost_per_hour is not known"
    assert ranked[-1].score == 0.0
    preferred = place(config(), places, Rules("a", "cost")).ranked
    assert preferred[0].note == "daemon.default_provider; its cost_per_hour is not known"


def test_a_strategy_that_nobody_knows_is_the_default_one() -> None:
    assert strategy_named("of a newer version").name == "balanced"


@pytest.mark.parametrize("strategy", CHOSEN)
def test_without_capabilities_there_is_still_a_score(strategy: str) -> None:
    score = strategy_named(strategy).score(candidate("a", capabilities=None), WANTED)
    assert isinstance(score.total, float)


def test_the_documents_name_them_all() -> None:
    """A new strategy also has its words in the configuration's comment and the README's table."""
    described = comment_of(msgspec.structs.fields(PlacementConfig)[0].type)
    readme = (CHECKOUT / "README.md").read_text()
    for each in STRATEGIES:
        assert each.name in described
        assert f"| `{each.name}` |" in readme
    assert PlacementConfig().strategy == STRATEGIES[0].name
