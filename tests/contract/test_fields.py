"""A case per field of ``InstanceConfig``: it takes effect, or it is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from swarmd.core.changes import DAEMON_FIELDS, covered
from swarmd.core.validation import check_config
from swarmd.errors import ProviderError, SwarmError, ValidationError
from swarmd.messages.enums import AuthType, ProbeKind
from swarmd.messages.instance import (
    Auth,
    HealthCheck,
    Instance,
    InstanceConfig,
    Network,
    PortSpec,
    Resources,
)
from swarmd.messages.secret import Secret
from swarmd.messages.units import Duration, Size, Storage
from swarmd.ports import Call, Provider
from tests.contract.cases import ProviderCase, execute

HASH = "$argon2id$v=19$m=4096,t=3,p=1$c29tZXNhbHQ$dGhpcyBpcyBub3QgYSByZWFsIGhhc2g"
PASSWORD = Auth(credentials=Secret("canary-815"))


@dataclass
class Look:
    """What an effect is looked for in: an instance that runs."""

    case: ProviderCase
    provider: Provider
    instance: Instance

    def run(self, *command: str) -> tuple[int | None, bytes, bytes]:
        return execute(self.provider, self.instance, *command)


@dataclass
class Field:
    """How a field is set, and how its effect is seen."""

    make: Callable[[ProviderCase], dict[str, Any]]
    seen: Callable[[Look], object]
    name: str = "web"
    also_refused: str | None = None
    """Words of the refusal with which the provider itself may answer, though it could do it."""


def kept(look: Look) -> bool:
    """The daemon sees to it; the provider gives back what it was made with, but no secret."""
    found, made = look.provider.get(look.instance.id), look.instance.config
    return found is not None and found.config == replace(made, auth=Auth(type=made.auth.type))


def named(look: Look) -> bool:
    (found,) = look.provider.list()
    return (found.name, found.owner) == ("special", look.instance.owner)


def memory_ends(look: Look) -> bool:
    told = look.run("sh", "-c", "head -c 300000000 /dev/zero | tail | wc -c")
    return told[1].strip() != b"300000000"


def pids_end(look: Look) -> bool:
    code, _, errors = look.run(
        "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do sleep 3 & done; wait"
    )
    return code != 0 or b"fork" in errors


def cpu_is_shared(look: Look) -> bool:
    (before,) = look.provider.stats([look.instance])
    look.run("timeout", "1.5", "sh", "-c", "while :; do :; done")
    (after,) = look.provider.stats([look.instance])
    assert before.cpu_seconds is not None
    assert after.cpu_seconds is not None
    return after.cpu_seconds - before.cpu_seconds < 1.0


def port_is(look: Look) -> bool:
    address = look.provider.address(look.instance.id)
    return address is not None and address.port == look.instance.config.network.ports[0].host_port


def never_implemented(look: Look) -> bool:
    pytest.fail(f"{look.provider.type} accepts a field whose effect no one can see yet")


FIELDS: dict[str, Field] = {
    "name": Field(lambda case: {}, named, name="special"),
    "image": Field(
        lambda case: {"image": case.image()},
        lambda look: look.run("printenv", "IMAGE")[1].strip() == b"other",
    ),
    "provider": Field(lambda case: {"provider": "local"}, kept),
    "region": Field(lambda case: {"region": "ams"}, kept),
    "provider_labels": Field(lambda case: {"provider_labels": {"gpu": "yes"}}, kept),
    "workspace": Field(
        lambda case: {"workspace": case.workspace()},
        lambda look: look.run("cat", "mark")[1] == b"here",
    ),
    "workspace_path": Field(
        lambda case: {"workspace_path": "src/app"},
        lambda look: look.run("pwd")[1].strip().endswith(b"/src/app"),
    ),
    "resources.cpu": Field(lambda case: {"resources": Resources(cpu=0.25)}, cpu_is_shared),
    "resources.memory": Field(
        lambda case: {"resources": Resources(memory=Size((512 if case.real else 128) << 20))},
        lambda look: memory_ends(look) or look.case.real,
    ),
    "resources.storage": Field(
        lambda case: {"resources": Resources(storage=Storage(1 << 30))}, never_implemented
    ),
    "resources.pids": Field(
        lambda case: {"resources": Resources(pids=64 if case.real else 16)},
        lambda look: pids_end(look) or look.case.real,
    ),
    "network.ports": Field(
        lambda case: {
            "network": Network(ports=(PortSpec(container_port=8080, host_port=case.host_port()),))
        },
        port_is,
    ),
    "network.enable_public_access": Field(
        lambda case: {"network": Network(enable_public_access=True)},
        never_implemented,
        also_refused="TLS",
    ),
    "env": Field(
        lambda case: {"env": {"GREETING": "hello there"}},
        lambda look: look.run("printenv", "GREETING")[1].strip() == b"hello there",
    ),
    "extensions": Field(
        lambda case: {"extensions": (case.extension(),)},
        lambda look: "some.extension" in look.case.installed(look.instance),
    ),
    "auth.type": Field(
        lambda case: {"auth": Auth(type=AuthType.NONE)},
        lambda look: "none" in look.case.login(look.instance),
    ),
    "auth.credentials": Field(
        lambda case: {"auth": Auth(type=AuthType.HASHED_PASSWORD, credentials=Secret(HASH))},
        lambda look: HASH in look.case.login(look.instance),
    ),
    "labels": Field(lambda case: {"labels": {"team": "red"}}, kept),
    "metadata": Field(lambda case: {"metadata": {"note": "a b c"}}, kept),
    "health.start_timeout": Field(
        lambda case: {"health": HealthCheck(start_timeout=Duration(45))}, kept
    ),
    "health.probe": Field(lambda case: {"health": HealthCheck(probe=ProbeKind.TCP)}, kept),
    "health.path": Field(
        lambda case: {"health": HealthCheck(probe=ProbeKind.HTTP, path="/login")}, kept
    ),
    "health.command": Field(
        lambda case: {"health": HealthCheck(probe=ProbeKind.EXEC, command=("true",))}, kept
    ),
    "health.interval": Field(lambda case: {"health": HealthCheck(interval=Duration(9))}, kept),
    "health.timeout": Field(lambda case: {"health": HealthCheck(timeout=Duration(2))}, kept),
    "health.failures": Field(lambda case: {"health": HealthCheck(failures=7)}, kept),
    "health.successes": Field(lambda case: {"health": HealthCheck(successes=2)}, kept),
    "health.grace": Field(lambda case: {"health": HealthCheck(grace=Duration(90))}, kept),
    "health.recover": Field(lambda case: {"health": HealthCheck(recover=False)}, kept),
    "idle_timeout": Field(lambda case: {"idle_timeout": Duration(600)}, kept),
    "max_age": Field(lambda case: {"max_age": Duration(600)}, kept),
    "protect": Field(lambda case: {"protect": True}, kept),
    "swarm": Field(lambda case: {"swarm": "blue"}, never_implemented),
}


def leaves(struct: Struct, prefix: str = "") -> Iterator[str]:
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        if isinstance(value, Struct):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name


ALL = tuple(leaves(InstanceConfig(name="")))


def test_every_field_has_a_case() -> None:
    assert set(ALL) == set(FIELDS)


def refuses(case: ProviderCase, provider: Provider, path: str, field: Field) -> None:
    """Somebody must say no, and name the field."""
    instance = case.instance(field.name, **{"auth": PASSWORD, **field.make(case)})
    with pytest.raises(ValidationError) as caught:
        check_config(instance.config, provider.capabilities(), provider=provider.name)
    assert caught.value.field == f"config.{path}"
    assert caught.value.next_step
    assert case.remains(instance) == []


@pytest.mark.parametrize("path", ALL)
def test_a_field_takes_effect_or_is_refused(
    provider_case: ProviderCase, provider: Provider, call: Call, path: str
) -> None:
    field, able = FIELDS[path], {*provider.capabilities().config_fields, *DAEMON_FIELDS}
    if not covered(path, able) or field.also_refused:
        refuses(provider_case, provider, path, field)
        return
    fields = {"auth": PASSWORD, **field.make(provider_case)}
    instance = provider_case.instance(field.name, **fields)
    check_config(instance.config, provider.capabilities(), provider=provider.name)
    provider.validate(instance)
    assert provider_case.remains(instance) == [], "validate has no side effects"
    provider.create(instance, call)
    provider.start(instance, call)
    assert field.seen(Look(provider_case, provider, instance)), path


def test_what_only_the_provider_knows_is_refused_by_name(
    provider_case: ProviderCase, provider: Provider
) -> None:
    for fields, path in (
        ({"workspace": "/no/such/place"}, "config.workspace"),
        ({"workspace": "http://example.org/x"}, "config.workspace"),
        ({"workspace_path": "../up"}, "config.workspace_path"),
        ({"workspace_path": "/absolute"}, "config.workspace_path"),
        ({"network": Network(enable_public_access=True)}, "config.network.enable_public_access"),
        ({"image": "x"}, "config.image"),
    ):
        able = provider.capabilities().config_fields
        if path == "config.image" and "image" in able:
            continue
        instance = provider_case.instance(auth=PASSWORD, **fields)
        with pytest.raises(SwarmError) as caught:
            provider.validate(instance)
        assert caught.value.field == path
        assert caught.value.next_step
        assert provider_case.remains(instance) == []


def test_an_extension_that_does_not_exist_is_named(
    provider_case: ProviderCase, provider: Provider, call: Call
) -> None:
    if not provider_case.real:
        pytest.skip("the stand-in installs whatever is asked for")
    instance = provider_case.instance(extensions=("no-such-publisher.no-such-extension",))
    with pytest.raises(ProviderError, match="no-such-extension") as caught:
        provider.create(instance, call)
    assert caught.value.field == "config.extensions[0]"
    assert caught.value.details["cause"]
    assert caught.value.next_step
    assert provider_case.remains(instance) == []


def test_start_timeout_ends_a_start_that_hangs(
    provider_case: ProviderCase, provider: Provider, call: Call
) -> None:
    if provider_case.real:
        pytest.skip("the real server does answer")
    instance = provider_case.instance("mute-web", health=HealthCheck(start_timeout=Duration(0.5)))
    provider.create(instance, call)
    with pytest.raises(SwarmError) as caught:
        provider.start(instance, call)
    assert caught.value.next_step
    assert call.remaining > 30, "its own timeout, not the call's"
    assert provider_case.running(instance) == []
