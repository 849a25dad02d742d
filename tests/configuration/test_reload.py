"""What a reload may change."""

from typing import Any

import msgspec
import pytest

from swarmd.configuration import apply, diff
from swarmd.configuration.reload import LIVE, RESTART, all_keys
from swarmd.messages.config import Config, ProviderConfig

_MORE: dict[type, Any] = {str: "x", tuple: ("x",)}
_OTHER: dict[type, Any] = {dict: {"x": "y"}}


def changed(section: str, key: str) -> Config:
    old = getattr(getattr(Config(), section), key)
    value: Any = not old if isinstance(old, bool) else _OTHER.get(type(old))
    value = old + _MORE.get(type(old), 1) if value is None else value
    part = msgspec.structs.replace(getattr(Config(), section), **{key: value})
    return msgspec.structs.replace(Config(), **{section: part})


def test_every_key_is_either_live_or_not() -> None:
    assert {f"{section}.{key}" for section, key in all_keys()} == LIVE | RESTART
    assert not LIVE & RESTART


@pytest.mark.parametrize(("section", "key"), list(all_keys()))
def test_one_changed_key_is_told(section: str, key: str) -> None:
    decision = diff(Config(), changed(section, key))
    name = f"{section}.{key}"
    assert decision.applied == ((name,) if name in LIVE else ())
    assert decision.restart_required == ((name,) if name in RESTART else ())


def test_nothing_changed() -> None:
    decision = diff(Config(), Config())
    assert not decision.applied
    assert not decision.restart_required


def with_providers(*providers: ProviderConfig) -> Config:
    return Config(providers=providers)


def test_providers_come_go_and_change_live_except_for_their_type() -> None:
    old = with_providers(
        ProviderConfig(name="a", type="local"),
        ProviderConfig(name="b", type="local", options={"x": 1}),
        ProviderConfig(name="c", type="local"),
    )
    new = with_providers(
        ProviderConfig(name="b", type="local", options={"x": 2}, priority=3),
        ProviderConfig(name="c", type="docker"),
        ProviderConfig(name="d", type="local"),
    )
    decision = diff(old, new)
    assert decision.applied == (
        "providers.a",
        "providers.b.priority",
        "providers.b.options",
        "providers.d",
    )
    assert decision.restart_required == ("providers.c.type",)


def test_the_order_of_providers_does_not_matter() -> None:
    one, two = ProviderConfig(name="a", type="x"), ProviderConfig(name="b", type="x")
    assert diff(with_providers(one, two), with_providers(two, one)) == diff(Config(), Config())


def test_what_waits_for_a_restart_stays_as_it_was() -> None:
    old = with_providers(
        ProviderConfig(name="a", type="local"), ProviderConfig(name="b", type="local")
    )
    new = msgspec.structs.replace(
        with_providers(
            ProviderConfig(name="a", type="docker", priority=2),
            ProviderConfig(name="b", type="local", priority=2),
            ProviderConfig(name="c", type="docker"),
        ),
        daemon=msgspec.structs.replace(Config().daemon, socket="/x", default_provider="b"),
    )
    decision = diff(old, new)
    now = apply(old, new, decision)
    assert now.daemon.socket == ""
    assert now.daemon.default_provider == "b"
    assert now.providers == (old.providers[0], *new.providers[1:])
    assert not set(diff(now, new).applied) & {"daemon.default_provider", "providers.c"}
    assert set(diff(now, new).restart_required) == set(decision.restart_required)


def test_when_everything_is_live_the_new_one_is_in_force() -> None:
    new = changed("instances", "stop_grace")
    assert apply(Config(), new, diff(Config(), new)) == new
