from __future__ import annotations

from collections.abc import Sequence

import pytest

from swarmd.core.placement import choose, unknown_provider
from swarmd.errors import (
    Conflict,
    ProviderNotFound,
    ResourceLimitError,
    SwarmError,
    Unavailable,
)
from swarmd.messages.provider import ProviderInfo
from tests.core.samples import caps, config, provider

LOCAL = provider("local")
BOX = provider("box1")
OFF = provider("off", enabled=False)
TIED = provider("tied", cordoned=True)
FULL = provider("full", instances=5, capabilities=caps(max_instances=5))
SMALL = provider("small", instances=9, capabilities=caps(max_instances_per_user=2))
BLANK = provider("blank", capabilities=None)


@pytest.mark.parametrize(
    ("wanted", "default", "providers", "chosen"),
    [
        ("box1", "local", (LOCAL, BOX), "box1"),
        (None, "local", (BOX, LOCAL), "local"),
        (None, "", (BOX,), "box1"),
        (None, "local", (BOX, OFF), "box1"),
        ("blank", "", (BLANK,), "blank"),
        ("small", "", (SMALL,), "small"),
    ],
)
def test_choose(
    wanted: str | None, default: str, providers: Sequence[ProviderInfo], chosen: str
) -> None:
    assert choose(config(provider=wanted), default, providers, owned={"small": 1}) == chosen


@pytest.mark.parametrize(
    ("wanted", "providers", "error", "hint"),
    [
        ("boxx1", (LOCAL, BOX), ProviderNotFound, "Did you mean box1? Known providers: box1"),
        ("zzz", (LOCAL, BOX), ProviderNotFound, "Known providers: box1, local"),
        ("zzz", (), ProviderNotFound, "swarmctl providers register"),
        (None, (), ProviderNotFound, "swarmctl providers register"),
        (None, (OFF,), ProviderNotFound, "swarmctl providers enable"),
        (None, (LOCAL, BOX), ProviderNotFound, "box1, local"),
        ("off", (OFF,), Unavailable, "swarmctl providers enable off"),
        ("tied", (TIED,), Conflict, "swarmctl providers enable tied"),
        ("full", (FULL,), ResourceLimitError, "swarmctl rm"),
        ("small", (SMALL,), ResourceLimitError, "swarmctl rm"),
    ],
)
def test_refusals(
    wanted: str | None, providers: Sequence[ProviderInfo], error: type[SwarmError], hint: str
) -> None:
    with pytest.raises(error) as caught:
        choose(config(provider=wanted), "", providers, owned={"small": 2})
    assert caught.value.field == "config.provider"
    assert hint in str(caught.value.next_step)


def test_a_disabled_default_is_named() -> None:
    with pytest.raises(Unavailable, match="off"):
        choose(config(), "off", (OFF, LOCAL))


def test_unknown_provider_lists_the_known() -> None:
    assert unknown_provider("x", ("b", "a")).details["known"] == ["a", "b"]
