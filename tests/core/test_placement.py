"""Which provider takes an instance and why another does not: order, filters, errors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmd.core.placement import STRATEGIES, Candidate, Rules, place, told, unknown_provider
from swarmd.core.placement.regions import is_in, is_near
from swarmd.errors import (
    Conflict,
    ProviderNotFound,
    ResourceLimitError,
    SwarmError,
    Unavailable,
    ValidationError,
)
from swarmd.messages.enums import AuthType, BreakerState
from swarmd.messages.instance import Auth, InstanceConfig, Network, Resources
from swarmd.messages.provider import BreakerInfo, ProviderHealth
from swarmd.messages.replies import Placement
from swarmd.messages.units import Size
from tests.core.samples import FIELDS, NOW, caps, config, provider

BROKEN = ProviderHealth(ok=False, message="no server is installed")


def candidate(name: str, owned: int = 0, **values: Any) -> Candidate:
    """A provider; keywords of ``Candidate`` go there, the others to its info."""
    own = {key: values.pop(key) for key in ("cpu", "memory", "storage") if key in values}
    return Candidate(provider(name, **values), owned, **own)


LOCAL = candidate("local")
BOX = candidate("box1")
OFF = candidate("off", enabled=False)
TIED = candidate("tied", cordoned=True)
FULL = candidate("full", instances=5, capabilities=caps(max_instances=5))
SMALL = candidate("small", owned=2, instances=9, capabilities=caps(max_instances_per_user=2))
BLANK = candidate("blank", capabilities=None, health=BROKEN)
SICK = candidate("sick", health=BROKEN)
EAST = candidate("east", region="eu-east")
TINY = candidate("tiny", capabilities=caps(config_fields=("env",)))
GPU = candidate("gpu", labels={"gpu": "yes", "disk": "ssd"})
ALL = (LOCAL, BOX, OFF, TIED, FULL, SMALL, BLANK, SICK, EAST, TINY, GPU)


@pytest.mark.parametrize(
    ("wanted", "default", "candidates", "chosen"),
    [
        ("box1", "local", (LOCAL, BOX), "box1"),
        (None, "local", (BOX, LOCAL), "local"),
        (None, "", (BOX,), "box1"),
        (None, "local", (BOX, OFF), "box1"),
        (None, "", (LOCAL, BOX), "box1"),
        (None, "gone", (LOCAL, BOX), "box1"),
        (None, "off", (OFF, LOCAL), "local"),
        (None, "tied", (TIED, LOCAL), "local"),
        (None, "full", (FULL, LOCAL), "local"),
        (None, "small", (SMALL, LOCAL), "local"),
        (None, "sick", (SICK, LOCAL), "local"),
        ("gpu", "local", ALL, "gpu"),
    ],
)
def test_the_order(
    wanted: str | None, default: str, candidates: tuple[Candidate, ...], chosen: str
) -> None:
    """The named one, else the default one if it takes it, else whom the strategy chooses."""
    placement = place(config(provider=wanted), candidates, Rules(default))
    assert placement.chosen == chosen == placement.ranked[0].provider
    if wanted is not None:
        assert len(placement.ranked) == 1
        assert told(placement).startswith("asked for by name; balanced gives it 1 ")


@pytest.mark.parametrize(
    ("wanted", "candidates", "error", "hint"),
    [
        ("boxx1", (LOCAL, BOX), ProviderNotFound, "Did you mean box1? Known providers: box1"),
        ("zzz", (LOCAL, BOX), ProviderNotFound, "Known providers: box1, local"),
        ("zzz", (), ProviderNotFound, "swarmctl providers register"),
        (None, (), ProviderNotFound, "swarmctl providers register"),
        (None, (OFF,), ProviderNotFound, "swarmctl providers enable"),
        ("off", (OFF, LOCAL), Unavailable, "swarmctl providers enable off"),
        ("tied", (TIED, LOCAL), Conflict, "swarmctl providers enable tied"),
        (None, (TIED, OFF), Conflict, "swarmctl providers enable tied"),
        ("full", (FULL, LOCAL), ResourceLimitError, "swarmctl rm"),
        ("small", (SMALL, LOCAL), ResourceLimitError, "swarmctl rm"),
    ],
)
def test_refusals(
    wanted: str | None, candidates: tuple[Candidate, ...], error: type[SwarmError], hint: str
) -> None:
    """Who is named is never passed over, and the only one there is says why itself."""
    with pytest.raises(error) as caught:
        place(config(provider=wanted), candidates, Rules())
    assert caught.value.field == "config.provider"
    assert hint in str(caught.value.next_step)


@pytest.mark.parametrize("which", [BLANK, SICK])
@pytest.mark.parametrize("named", [True, False])
def test_who_does_not_answer_takes_nothing(which: Candidate, named: bool) -> None:
    wanted = config(provider=which.name if named else None)
    with pytest.raises(Unavailable, match="not ready: no server is installed") as caught:
        place(wanted, (which,), Rules())
    assert f"swarmctl providers get {which.name}" in str(caught.value.next_step)


PUBLIC = config(network=Network(enable_public_access=True))


@pytest.mark.parametrize(
    ("wanted", "takes", "does_not", "field"),
    [
        (config(region="eu-east"), EAST, LOCAL, "config.region"),
        (config(region="eu-west"), candidate("w", region="eu-west"), EAST, "config.region"),
        (
            config(region="ams"),
            candidate("fly", capabilities=caps(supported_regions=("fra", "ams"))),
            EAST,
            "config.region",
        ),
        (config(provider_labels={"gpu": "yes"}), GPU, LOCAL, "config.provider_labels.gpu"),
        (
            config(provider_labels={"gpu": "yes", "disk": "ssd"}),
            GPU,
            candidate("half", labels={"gpu": "yes", "disk": "hdd"}),
            "config.provider_labels.disk",
        ),
        (config(image="x"), candidate("c", capabilities=caps(config_fields=("image",))), LOCAL,
         "config.image"),
        (
            config(resources=Resources(memory=Size(3 << 30))),
            candidate(
                "m",
                capabilities=caps(
                    max_resources_per_instance=caps().max_resources_per_instance.__class__(
                        cpu=caps().max_resources_per_instance.cpu,
                        memory=caps().max_resources_per_instance.memory.__class__(min=1, max=None),
                    )
                ),
            ),
            LOCAL,
            "config.resources.memory",
        ),
        (PUBLIC, candidate("tls", capabilities=caps(tls=True)), LOCAL,
         "config.network.enable_public_access"),
        (config(), LOCAL, FULL, "config.provider"),
        (config(), LOCAL, SMALL, "config.provider"),
        (config(), LOCAL, TIED, "config.provider"),
        (config(), LOCAL, OFF, "config.provider"),
        (config(), LOCAL, SICK, None),
    ],
)  # fmt: skip
def test_each_filter(
    wanted: InstanceConfig, takes: Candidate, does_not: Candidate, field: str | None
) -> None:
    """It lets one through and names what keeps the other one from it."""
    placement = place(wanted, (does_not, takes), Rules(default_provider=does_not.name))
    assert placement.chosen == takes.name
    (refused,) = placement.refused
    assert (refused.provider, refused.field) == (does_not.name, field)
    assert does_not.name in refused.reason or "TLS" in refused.reason


def test_public_access_where_the_network_is_trusted() -> None:
    assert place(PUBLIC, (LOCAL,), Rules(insecure=True)).chosen == "local"


def test_none_that_takes_it_has_each_ones_reason() -> None:
    wanted = config(region="mars")
    with pytest.raises(ResourceLimitError, match="no provider takes this instance") as caught:
        place(wanted, (LOCAL, EAST, OFF, FULL), Rules())
    error = caught.value
    assert "local is in no known region" in error.message
    assert "east is in region eu-east, not in mars" in error.message
    assert error.field is None
    refused = {each["provider"]: each for each in error.details["refused"]}
    assert refused.keys() == {"local", "east", "off", "full"}
    assert refused["off"]["reason"] == "provider off is disabled"
    assert refused["east"]["field"] == "config.region"
    with pytest.raises(ResourceLimitError) as same:
        place(wanted, (LOCAL, EAST), Rules())
    assert same.value.field == "config.region"


def test_unknown_provider_lists_the_known() -> None:
    assert unknown_provider("x", ("b", "a")).details["known"] == ["a", "b"]


def test_regions() -> None:
    info = provider(region="eu-west-1", capabilities=caps(supported_regions=("us-east",)))
    assert is_in("eu-west-1", info)
    assert is_in("us-east", info)
    assert not is_in("eu", info)
    assert is_near("us-west", info)
    assert not is_near("asia", info)
    assert not is_near("eu", provider(capabilities=None))


# --- whatever there is -------------------------------------------------------------------------

NAMES = ("a", "b", "c", "d")
OPTIONAL = st.one_of(st.none(), st.integers(1, 4))


@st.composite
def some_candidates(draw: st.DrawFn) -> tuple[Candidate, ...]:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4))
    return tuple(draw(one(name)) for name in names)


@st.composite
def one(draw: st.DrawFn, name: str) -> Candidate:
    instances = draw(st.integers(0, 4))
    return candidate(
        name,
        owned=draw(st.integers(0, instances)),
        instances=instances,
        enabled=draw(st.booleans()),
        cordoned=draw(st.sampled_from((False, False, True))),
        health=draw(st.sampled_from((ProviderHealth(ok=True), ProviderHealth(ok=True), BROKEN))),
        priority=float(draw(st.integers(-1, 1))),
        region=draw(st.sampled_from((None, "eu-west", "eu-east", "us"))),
        labels=draw(st.sampled_from(({}, {"gpu": "yes"}))),
        cost_per_hour=draw(st.sampled_from((None, 0.0, 0.5, 2.0))),
        cpu=float(draw(st.integers(0, 5))),
        capabilities=draw(
            st.builds(
                caps,
                max_instances=st.integers(0, 4),
                max_instances_per_user=st.integers(0, 3),
                config_fields=st.sampled_from((FIELDS, (*FIELDS, "image"), ("env",))),
            )
        ),
    )


CONFIGS = st.builds(
    config,
    provider=st.sampled_from((None, None, None, *NAMES)),
    region=st.sampled_from((None, None, "eu-west", "us")),
    provider_labels=st.sampled_from(({}, {}, {"gpu": "yes"})),
    image=st.sampled_from((None, None, "img")),
    auth=st.just(Auth(type=AuthType.PASSWORD)),
    resources=st.builds(Resources, cpu=st.sampled_from((None, 0.5, 1.5, 3.0))),
)
RULES = st.builds(
    Rules,
    default_provider=st.sampled_from(("", *NAMES)),
    strategy=st.sampled_from([each.name for each in STRATEGIES]),
)


def takes(each: Candidate, wanted: InstanceConfig, rules: Rules) -> bool:
    """The promise in words of its own."""
    info, able = each.info, each.info.capabilities
    assert able is not None
    return (
        info.enabled
        and not info.cordoned
        and info.health.ok
        and (not able.max_instances or info.instances < able.max_instances)
        and (not able.max_instances_per_user or each.owned < able.max_instances_per_user)
        and (rules.strategy == "geographic" or wanted.region in (None, info.region))
        and wanted.provider_labels.items() <= info.labels.items()
        and (wanted.image is None or "image" in able.config_fields)
        and (
            wanted.resources.cpu is None
            or ("resources.cpu" in able.config_fields and wanted.resources.cpu <= 2)
        )
    )


@given(some_candidates(), CONFIGS, RULES)
def test_only_who_takes_it_is_chosen(
    candidates: tuple[Candidate, ...], wanted: InstanceConfig, rules: Rules
) -> None:
    """Never over capacity, never one that a filter refuses, and everyone is accounted for."""
    able = {each.name for each in candidates if takes(each, wanted, rules)}
    if wanted.provider is not None:
        able &= {wanted.provider}
    try:
        placement = place(wanted, candidates, rules)
    except SwarmError:
        assert not able
        return
    ranked = [each.provider for each in placement.ranked]
    assert set(ranked) == able
    assert len(ranked) == len(able)
    assert placement.chosen == ranked[0]
    if wanted.provider is None:
        everyone = {each.name for each in candidates}
        assert {each.provider for each in placement.refused} == everyone - able
        if rules.default_provider in able:
            assert placement.chosen == rules.default_provider


def outcome(
    candidates: tuple[Candidate, ...], wanted: InstanceConfig, rules: Rules
) -> Placement | str:
    try:
        return place(wanted, candidates, rules)
    except SwarmError as error:
        return error.message


@given(some_candidates(), CONFIGS, RULES, st.randoms(use_true_random=False))
def test_the_order_of_the_providers_is_of_no_matter(
    candidates: tuple[Candidate, ...], wanted: InstanceConfig, rules: Rules, chance: Any
) -> None:
    shuffled = list(candidates)
    chance.shuffle(shuffled)
    first = outcome(candidates, wanted, rules)
    again = outcome(tuple(shuffled), wanted, rules)
    assert first == again or isinstance(first, str)


@given(RULES, st.integers(0, 3), st.permutations(NAMES))
def test_ties_go_by_name(rules: Rules, instances: int, names: list[str]) -> None:
    same = tuple(candidate(name, instances=instances) for name in names)
    ranked = [each.provider for each in place(config(), same, rules).ranked]
    rest = [name for name in sorted(names) if name != rules.default_provider]
    assert ranked == [*([rules.default_provider] if rules.default_provider else []), *rest]


def test_among_equals_the_higher_priority_counts_under_every_strategy() -> None:
    pair = (candidate("a"), candidate("b", priority=1.0))
    for strategy in STRATEGIES:
        assert place(config(), pair, Rules(strategy=strategy.name)).chosen == "b"


def test_the_kind_of_error_of_a_wrong_label() -> None:
    with pytest.raises(ValidationError):
        place(config(provider_labels={"a": "b"}), (LOCAL,), Rules())


# --- providers that fail -----------------------------------------------------------------------

LEFT_ALONE = BreakerInfo(state=BreakerState.OPEN, failures=5, retry_at=NOW, last_error="no line")
PROBED = BreakerInfo(state=BreakerState.HALF_OPEN, failures=5, last_error="no line")
ONCE, TWICE = BreakerInfo(failures=1, last_error="no"), BreakerInfo(failures=2, last_error="no")


@pytest.mark.parametrize("breaker", [LEFT_ALONE, PROBED])
def test_who_is_left_alone_takes_nothing(breaker: BreakerInfo) -> None:
    """Half-open neither: the probe is a look, not somebody's instance."""
    box = candidate("box1", breaker=breaker)
    placement = place(config(), (box, LOCAL), Rules("box1"))
    assert [each.provider for each in placement.ranked] == ["local"]
    assert "its circuit breaker is open" in placement.refused[0].reason
    assert "the last: no line" in placement.refused[0].reason
    with pytest.raises(Unavailable) as caught:
        place(config(provider="box1"), (box, LOCAL), Rules())
    assert "swarmctl providers enable box1" in str(caught.value.next_step)


def test_who_failed_lately_comes_after_all_others_also_as_the_default_one() -> None:
    default = candidate("local", breaker=TWICE, priority=9.0)
    box = candidate("box1", breaker=ONCE)
    placement = place(config(), (default, box, candidate("box2")), Rules("local"))
    assert [each.provider for each in placement.ranked] == ["box2", "local", "box1"]
    assert placement.ranked[1].note == (
        "daemon.default_provider; it failed 2 times lately, so that the others come first"
    )
    assert "it failed once lately" in placement.ranked[2].note
    # Where there is no other one it is taken.
    assert place(config(), (default,), Rules("local")).chosen == "local"
