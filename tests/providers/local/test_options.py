"""Options, accounts and what is refused before anything is made."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from swarmd.configuration import render_options
from swarmd.errors import (
    ConfigError,
    InitializationError,
    PermissionDenied,
    ProviderError,
    ResourceLimitError,
    SwarmError,
    ValidationError,
)
from swarmd.messages.enums import Isolation, Transport
from swarmd.messages.instance import Network, PortSpec, Resources
from swarmd.messages.units import Size, Storage
from swarmd.providers.local import factory
from swarmd.providers.local.cgroup_probe import Found
from swarmd.providers.local.options import LocalOptions, data_dir, read_options, server_dir
from swarmd.providers.local.provider import LocalProvider
from swarmd.providers.shared import account
from tests.providers.local.conftest import Make
from tests.providers.local.kit import call, make_instance


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"comand": []}, "comand"),
        ({"port_range": "high"}, "port_range"),
        ({"port_range": "41999-41000"}, "port_range"),
        ({"port_range": "1-70000"}, "port_range"),
        ({"memory": "12x"}, "memory"),
        ({"cpu": 0}, "cpu"),
        ({"cpu": -1}, "cpu"),
        ({"pids": 3}, "pids"),
        ({"home": "elsewhere"}, "home"),
        ({"roots": ["relative"]}, "roots"),
        ({"tls_cert": "/x"}, "tls_key"),
        ({"tls_key": "/x"}, "tls_cert"),
        ({"publish_address": "localhost"}, "publish_address"),
        ({"public_address": "everywhere"}, "public_address"),
        ({"require_limits": ["disk"]}, "require_limits[0]"),
        ({"env_allow": ["A=B"]}, "env_allow"),
        ({"log_files": 0}, "log_files"),
    ],
)
def test_wrong_options(options: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        factory.check_options(options)
    assert caught.value.field == field
    assert caught.value.next_step


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        read_options({"comand": []})
    assert caught.value.next_step == "Did you mean command?"


def test_defaults_are_right_options() -> None:
    factory.check_options({})
    options = read_options({"tls_cert": "/c", "tls_key": "/k"})
    assert options.tls
    assert options.ports == range(21000, 22000)


def test_every_option_is_described() -> None:
    lines = render_options(LocalOptions).splitlines()
    for name in LocalOptions.__struct_fields__:
        starts = (f"#{name} = ", f"# {name}: ")
        [number] = [n for n, line in enumerate(lines) if line.startswith(starts)]
        assert lines[number - 1].startswith("# "), name


def test_places() -> None:
    assert data_dir("/a", {}) == Path("/a")
    assert data_dir("/a", {"SWARMD_DATA_DIR": "/b"}) == Path("/b")
    assert server_dir("/a", {}) == Path("/a")
    assert server_dir("", {"SWARMD_SERVER_DIR": "/b"}) == Path("/b")
    if os.geteuid() == 0:
        assert data_dir("", {}) == Path("/var/lib/swarmd-instances")
        assert server_dir("", {}) == Path("/opt/swarmd")
    else:
        assert data_dir("", {"XDG_DATA_HOME": "/x"}) == Path("/x/swarmd/instances")
        assert server_dir("", {"XDG_DATA_HOME": "/x"}) == Path("/x/swarmd/server")


# --- accounts --------------------------------------------------------------------------------


def test_our_own_account() -> None:
    own = account.own()
    assert own.uid == os.geteuid()
    assert not own.foreign
    assert own.popen == {}


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a choice")
def test_root_chooses() -> None:
    nobody = account.resolve("nobody", "ana")
    assert nobody.foreign
    assert nobody.popen["user"] == nobody.uid
    assert account.resolve("owner", "nobody") == nobody
    for run_as, owner, error in (
        ("no-such-user", "ana", ValidationError),
        ("owner", "no-such-user", ValidationError),
        ("root", "ana", PermissionDenied),
        ("owner", "root", PermissionDenied),
    ):
        with pytest.raises(error) as caught:
            account.resolve(run_as, owner)
        assert caught.value.next_step
    assert account.resolve("root", "ana", allow_root=True).uid == 0


def test_without_privileges_there_is_no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    name = account.own().name
    assert account.resolve("", "ana").name == name
    assert account.resolve("owner", name).name == name
    with pytest.raises(ValidationError) as caught:
        account.resolve("someone", "ana")
    assert caught.value.field == "run_as"


def test_an_account_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 3_999_999)
    assert account.own().name == "3999999"


def test_two_owners_do_not_share_a_uid(make: Make) -> None:
    provider = make()
    provider.create(make_instance("a", owner="ana"), call())
    provider.validate(make_instance("b", owner="ana"))
    other = make_instance("c", owner="ben")
    for wish in (provider.validate, lambda instance: provider.create(instance, call())):
        with pytest.raises(PermissionDenied) as caught:
            wish(other)
        assert "allow_shared_uid" in str(caught.value.next_step)
    assert len(provider.list()) == 1


def test_unless_they_are_allowed_to(make: Make) -> None:
    provider = make(allow_shared_uid=True)
    provider.create(make_instance("a", owner="ana"), call())
    provider.create(make_instance("b", owner="ben"), call())
    assert len(provider.list()) == 2


# --- what cannot work ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"image": "x"}, "config.image"),
        ({"resources": Resources(storage=Storage(1 << 30))}, "config.resources.storage"),
        ({"workspace": "/etc"}, "config.workspace"),
        ({"workspace_path": "/abs"}, "config.workspace_path"),
        ({"extensions": ("rel.vsix",)}, "config.extensions[0]"),
        ({"network": Network(enable_public_access=True)}, "config.network.enable_public_access"),
        (
            {"network": Network(ports=(PortSpec(container_port=3000),))},
            "config.network.ports[0].container_port",
        ),
        (
            {"network": Network(ports=(PortSpec(container_port=8080, protocol=Transport.UDP),))},
            "config.network.ports[0].container_port",
        ),
    ],
)
def test_refused_by_name(provider: LocalProvider, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        provider.validate(make_instance(**fields))
    assert caught.value.field == field
    assert caught.value.next_step
    assert provider.list() == []


def test_a_limit_that_cannot_hold_is_refused(provider: LocalProvider) -> None:
    provider._context.groups = Found(None, ("no control groups are mounted here",))
    with pytest.raises(ValidationError) as caught:
        provider.validate(make_instance(resources=Resources(memory=Size(1 << 30))))
    assert caught.value.field == "config.resources.memory"
    described = provider._describe()
    assert described.limits_enforced == ()
    assert "resources.memory" not in described.config_fields
    assert any("control groups" in note for note in described.notes)


def test_a_limit_that_is_required_is_refused_at_start(make: Make) -> None:
    provider = make(require_limits=["memory"], memory="1g")
    provider._context.groups = Found(None, ("nothing works",))
    instance = make_instance()
    provider.create(instance, call())
    with pytest.raises(ResourceLimitError) as caught:
        provider.start(instance, call())
    assert caught.value.field == "require_limits"
    assert caught.value.details["cause"] == "nothing works"
    assert not provider.probe().ok
    assert any("the option memory" in note for note in provider._describe().notes)


def test_no_server(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARMD_SERVER_DIR", str(tmp_path / "server"))
    monkeypatch.setenv("PATH", str(tmp_path))
    for command in ([], ["no-such-server"]):
        provider = make(command=command)
        with pytest.raises(ProviderError) as caught:
            provider.validate(make_instance())
        assert "swarmctl setup code-server" in str(caught.value.next_step)
        health = provider.probe()
        assert not health.ok
        assert "swarmctl setup code-server" in health.message


def test_the_one_on_path_is_found(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "code-server"
    program.write_text(f"#!{sys.executable}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    health = make(command=[]).probe()
    assert health.ok
    assert str(program) in health.message


def test_a_manifest_that_may_not_be_read(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "server"
    (folder / "code-server.json").mkdir(parents=True)
    monkeypatch.setenv("SWARMD_SERVER_DIR", str(folder))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProviderError):
        make(command=[]).validate(make_instance())


def test_data_that_cannot_be_used(make: Make, tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("")
    with pytest.raises(InitializationError, match="provider local"):
        make(data=place)


def test_a_second_provider_has_a_place_of_its_own(make: Make, data: Path) -> None:
    first, second = make(), make(name="other")
    first.create(make_instance(), call())
    assert second.list() == []
    assert (second.name, second.type) == ("other", "local")
    assert (data / ".provider-other" / ".swarmd").is_dir()


def test_capabilities_come_from_the_host(make: Make) -> None:
    provider = make()
    found = provider.capabilities()
    limits = found.max_resources_per_instance
    assert limits.cpu.cores == len(os.sched_getaffinity(0))
    assert limits.memory.max is not None
    assert limits.memory.max > limits.memory.min
    assert limits.storage is not None
    assert limits.storage.size > 0
    assert found.isolation is Isolation.NONE
    assert ("resources.memory" in found.config_fields) == ("memory" in found.limits_enforced)
    assert provider.probe().ok


def test_another_account_than_the_folders_is_refused(provider: LocalProvider) -> None:
    instance = make_instance()
    provider.create(instance, call())
    index = provider._context.index
    record = index.get(instance.id)
    assert record is not None
    index.change(record, uid=12345)
    with pytest.raises(SwarmError, match="uid 12345") as caught:
        provider.start(instance, call())
    assert caught.value.field == "run_as"
