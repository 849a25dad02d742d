from __future__ import annotations

from typing import Any

import pytest

from swarmd.core.health.schedule import LEAST_INTERVAL
from swarmd.core.validation import check_config
from swarmd.errors import ResourceLimitError, ValidationError
from swarmd.messages.enums import AuthType, ProbeKind, Transport
from swarmd.messages.instance import Auth, HealthCheck, Network, PortSpec, Resources
from swarmd.messages.provider import (
    CpuLimits,
    InstanceLimits,
    MemoryLimits,
)
from swarmd.messages.secret import MASK, Secret
from swarmd.messages.units import Duration, Size, Storage
from tests.core.samples import FIELDS, caps, config

HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"
EVERYTHING = caps(config_fields=(*FIELDS, "image", "region", "swarm", "resources.pids"))


def ports(*numbers: tuple[int, int]) -> Network:
    return Network(ports=tuple(PortSpec(container_port=c, host_port=h) for c, h in numbers))


def auth(kind: AuthType, secret: str | None = None) -> Auth:
    return Auth(type=kind, credentials=None if secret is None else Secret(secret))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"labels": {"team": "red", "a.b/c-d": ""}, "metadata": {"note": "any text\nat all"}},
        {"protect": True, "health": HealthCheck(start_timeout=Duration(5))},
        {"env": {"PATH": "/bin", "_x": "", "password": "lower case is another"}},
        {"extensions": ("ms-python.python", "a.b@1.2.3", "/tmp/x y.vsix")},
        {"resources": Resources(cpu=2, memory=Size(2 << 30), storage=Storage(10 << 30))},
        {"network": ports((80, 0), (81, 0), (82, 8082))},
        {"auth": auth(AuthType.PASSWORD, "x")},
        {"auth": auth(AuthType.HASHED_PASSWORD, HASH)},
        {"auth": auth(AuthType.NONE)},
        {"workspace": "https://example.org/x.git", "workspace_path": "src"},
    ],
)
def test_what_works(values: dict[str, Any]) -> None:
    check_config(config(**values), caps())


def test_the_same_port_with_two_protocols() -> None:
    two = (PortSpec(container_port=53), PortSpec(container_port=53, protocol=Transport.UDP))
    check_config(config(network=Network(ports=two)), caps())


@pytest.mark.parametrize(
    ("values", "field", "says"),
    [
        ({"name": ""}, "name", "empty"),
        ({"image": "x"}, "image", "no effect at provider here"),
        ({"swarm": "blue"}, "swarm", "no effect at provider here"),
        ({"resources": Resources(pids=20)}, "resources.pids", "no effect at provider here"),
        ({"env": {"1A": ""}}, "env", "'1A' is not the name"),
        ({"env": {"A-B": ""}}, "env", "is not the name"),
        ({"env": {"": ""}}, "env", "is not the name"),
        ({"env": {"A": "x\0y"}}, "env.A", "NUL"),
        ({"env": {"A": "x" * 70000}}, "env", "bytes, more than 65536"),
        ({"env": {"PASSWORD": "x"}}, "env.PASSWORD", "reserved"),
        ({"env": {"HASHED_PASSWORD": "x"}}, "env.HASHED_PASSWORD", "reserved"),
        ({"env": {"VSCODE_IPC_HOOK_CLI": "x"}}, "env.VSCODE_IPC_HOOK_CLI", "reserved"),
        ({"env": {"SWARMD_ID": "x"}}, "env.SWARMD_ID", "reserved"),
        ({"env": {"CODE_SERVER_CONFIG": "x"}}, "env.CODE_SERVER_CONFIG", "reserved"),
        ({"labels": {"a b": ""}}, "labels", "not a valid key"),
        ({"labels": {"": ""}}, "labels", "not a valid key"),
        ({"labels": {"a": "x\n"}}, "labels.a", "control"),
        ({"labels": {"a": "x" * 256}}, "labels.a", "too long"),
        ({"labels": {f"k{n}": "" for n in range(65)}}, "labels", "65 labels"),
        ({"metadata": {"": ""}}, "metadata", "empty"),
        ({"metadata": {"a": "x" * 70000}}, "metadata", "bytes, more than"),
        ({"network": ports((80, 0), (80, 0))}, "network.ports[1].container_port", "twice"),
        ({"network": ports((80, 9), (81, 9))}, "network.ports[1].host_port", "twice"),
        ({"extensions": ("nodot",)}, "extensions[0]", "not an extension"),
        ({"extensions": ("a.b", "a.b@")}, "extensions[1]", "not an extension"),
        ({"extensions": ("x\n.vsix",)}, "extensions[0]", "not an extension"),
        ({"extensions": ("--force",)}, "extensions[0]", "not an extension"),
        ({"extensions": ("a.b",) * 201}, "extensions", "201 extensions"),
        ({"workspace": ""}, "workspace", "empty"),
        ({"workspace": "/a\0b"}, "workspace", "control"),
        ({"workspace_path": "x" * 5000}, "workspace_path", "too long"),
        ({"auth": auth(AuthType.PASSWORD, "")}, "auth.credentials", "empty"),
        ({"auth": auth(AuthType.PASSWORD, "a\nb")}, "auth.credentials", "control"),
        ({"auth": auth(AuthType.PASSWORD, MASK)}, "auth.credentials", "mask"),
        ({"auth": auth(AuthType.HASHED_PASSWORD)}, "auth.credentials", "argon2"),
        ({"auth": auth(AuthType.HASHED_PASSWORD, "hunter2")}, "auth.credentials", "argon2"),
        ({"auth": auth(AuthType.NONE, "x")}, "auth.credentials", "no effect"),
        ({"network": Network(enable_public_access=True)}, "network.enable_public_access", "TLS"),
    ],
)
def test_what_is_refused(values: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        check_config(config(**values), caps(), provider="here")
    assert caught.value.field == f"config.{field}"
    assert caught.value.next_step
    assert "hunter2" not in str(caught.value.details) + caught.value.message


@pytest.mark.parametrize(
    ("resources", "field", "limit"),
    [
        (Resources(cpu=2.5), "cpu", "at most 2"),
        (Resources(cpu=float("inf")), "cpu", "at most 2"),
        (Resources(cpu=float("nan")), "cpu", "at most 2"),
        (Resources(memory=Size(1)), "memory", "at least 64m"),
        (Resources(memory=Size(3 << 30)), "memory", "at most 2g"),
        (Resources(storage=Storage(11 << 30)), "storage", "at most 10g"),
        (Resources(storage=Storage(0)), "storage", "more than 0"),
    ],
)
def test_more_than_the_provider_gives(resources: Resources, field: str, limit: str) -> None:
    with pytest.raises(ResourceLimitError, match=limit) as caught:
        check_config(config(resources=resources), caps(), provider="here")
    assert caught.value.field == f"config.resources.{field}"
    assert limit in str(caught.value.next_step)


def test_a_limit_is_told_as_it_can_be_asked_for() -> None:
    most = 24_684_096 << 10
    limits = InstanceLimits(cpu=CpuLimits(cores=4), memory=MemoryLimits(min=1, max=most))
    wide = caps(max_resources_per_instance=limits)
    with pytest.raises(ResourceLimitError, match=r"at most 23\.5g"):
        check_config(config(resources=Resources(memory=Size(200 << 30))), wide)
    check_config(config(resources=Resources(memory=Size.parse("23.5g"))), wide)


def test_limits_that_a_provider_does_not_have() -> None:
    open_ended = InstanceLimits(cpu=CpuLimits(cores=4), memory=MemoryLimits(min=1))
    wide = caps(max_resources_per_instance=open_ended)
    wanted = Resources(cpu=4, memory=Size(1 << 50), storage=Storage(1 << 50))
    check_config(config(resources=wanted), wide)
    with pytest.raises(ResourceLimitError, match="at most 4"):
        check_config(config(resources=Resources(cpu=4.5)), wide)


def test_a_refusal_names_who_could() -> None:
    with pytest.raises(ValidationError) as caught:
        check_config(config(image="x"), caps(), elsewhere={"box1": EVERYTHING, "local": caps()})
    assert "supports it: box1." in str(caught.value.next_step)


PUBLIC = Network(enable_public_access=True)


@pytest.mark.parametrize(("insecure", "tls"), [(True, False), (False, True)])
def test_public_access(insecure: bool, tls: bool) -> None:
    check_config(config(network=PUBLIC), caps(), insecure=insecure, tls=tls)
    with pytest.raises(ValidationError, match="everyone a terminal"):
        check_config(
            config(network=PUBLIC, auth=auth(AuthType.NONE)), caps(), insecure=insecure, tls=tls
        )


# --- health -------------------------------------------------------------------------------------

COMMAND = ("test", "-f", "ready")


@pytest.mark.parametrize("probe", list(ProbeKind))
@pytest.mark.parametrize("path", [None, "/login"])
@pytest.mark.parametrize("command", [(), COMMAND])
def test_a_probe_has_what_it_needs_and_nothing_else(
    probe: ProbeKind, path: str | None, command: tuple[str, ...]
) -> None:
    check = HealthCheck(probe=probe, path=path, command=command)
    if (probe is ProbeKind.EXEC) != bool(command):
        wrong = "config.health.command"
    elif path is not None and probe is not ProbeKind.HTTP:
        wrong = "config.health.path"
    else:
        check_config(config(health=check), caps())
        return
    with pytest.raises(ValidationError) as caught:
        check_config(config(health=check), caps())
    assert caught.value.field == wrong
    assert caught.value.message
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("check", "says"),
    [
        (HealthCheck(probe=ProbeKind.EXEC), "needs a command"),
        (HealthCheck(command=COMMAND), "a server probe runs no command"),
        (HealthCheck(probe=ProbeKind.TCP, path="/x"), "a tcp probe has no path"),
    ],
)
def test_a_wrong_probe_is_told_in_words(check: HealthCheck, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        check_config(config(health=check), caps())


@pytest.mark.parametrize(
    ("check", "field"),
    [
        (HealthCheck(interval=Duration(0)), "config.health.interval"),
        (HealthCheck(interval=Duration(LEAST_INTERVAL / 2)), "config.health.interval"),
        (HealthCheck(timeout=Duration(0)), "config.health.timeout"),
    ],
)
def test_a_probe_that_could_never_succeed_is_refused(check: HealthCheck, field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        check_config(config(health=check), caps())
    assert caught.value.field == field
    assert caught.value.next_step


def test_a_short_probe_is_taken() -> None:
    check = HealthCheck(interval=Duration(LEAST_INTERVAL), timeout=Duration(0.001))
    check_config(config(health=check), caps())
