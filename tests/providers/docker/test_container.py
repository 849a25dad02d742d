"""The body of a container: every field has its place, and nothing secret has one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from swarmd.messages.enums import Transport
from swarmd.messages.instance import Instance, Network, PortSpec, Resources
from swarmd.messages.units import Size
from swarmd.providers.docker.container import (
    Image,
    Plan,
    digest,
    hostname,
    limits,
    wanted_ports,
    workspace_kind,
)
from swarmd.providers.docker.marks import marks_of, read_marks
from swarmd.providers.docker.options import DockerOptions
from tests.providers.local import kit

IMAGE = Image("an/image:1", "coder", 1000, 1000, "/home/coder", ("code-server",))
PORTS = {(8080, Transport.TCP): 22000}


def plan(instance: Instance | None = None, **options: Any) -> Plan:
    made = instance or kit.make_instance("web")
    marks = marks_of(made, "node", "box1", PORTS)
    return Plan(made, DockerOptions(**options), IMAGE, marks)


def test_a_container_may_do_little_and_use_no_more_than_it_is_given() -> None:
    host = plan().body()["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert "CapAdd" not in host
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["Init"] is True
    assert (host["NanoCpus"], host["Memory"], host["PidsLimit"]) == (2 * 10**9, 2 << 30, 2048)
    assert host["MemorySwap"] == host["Memory"], "no swap beyond the limit"
    assert host["PortBindings"] == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "22000"}]}
    assert host["NetworkMode"] == "swarmd"


def test_sudo_gets_back_what_it_needs_and_no_more() -> None:
    host = plan(allow_sudo=True).body()["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert {"SETUID", "SETGID"} <= set(host["CapAdd"])
    assert not {"SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "NET_RAW"} & set(host["CapAdd"])
    assert host["SecurityOpt"] == []


def test_nothing_secret_is_in_it() -> None:
    body = plan().body()
    assert kit.PASSWORD.encode() not in msgspec.json.encode(body)
    assert kit.PASSWORD.encode() not in msgspec.json.encode(plan().job(("true",)))


def test_what_would_change_the_server_is_not_let_in() -> None:
    made = kit.make_instance(env={"A": "b", "PASSWORD": "x", "VSCODE_IPC_HOOK_CLI": "y"})
    env = plan(made).body()["Env"]
    assert "A=b" in env
    assert not [line for line in env if line.startswith(("PASSWORD", "VSCODE"))]
    assert f"SWARMD_INSTANCE={made.id}" in env


def test_the_workspace_is_below_home() -> None:
    body = plan(kit.make_instance(workspace_path="src/app")).body()
    assert body["Cmd"][-1] == "/home/coder/project/src/app"
    assert body["HostConfig"]["Mounts"][0]["Target"] == "/home/coder"


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"env": {"A": "b"}}, False),
        ({"workspace_path": "src"}, False),
        ({"network": Network(ports=(PortSpec(container_port=8080, host_port=9),))}, True),
        ({"resources": Resources(cpu=1.0, memory=Size(1 << 30), pids=64)}, True),
        ({"labels": {"a": "b"}}, True),
        ({"metadata": {"a": "b"}}, True),
    ],
)
def test_only_what_the_engine_cannot_change_makes_another_container(
    change: dict[str, Any], same: bool
) -> None:
    made = kit.make_instance("web")
    other = replace(made, config=replace(made.config, **change))
    one, two = plan(made).body(), plan(other).body()
    assert (digest(one) == digest(two)) is same
    labels = read_marks(one["Labels"])
    assert labels is not None
    assert labels.spec == digest(one)


def test_limits_of_the_instance_come_before_the_providers() -> None:
    config = kit.make_instance(resources=Resources(cpu=0.5, memory=Size(64 << 20))).config
    assert limits(config, DockerOptions(pids=100)) == {
        "NanoCpus": 500_000_000,
        "Memory": 64 << 20,
        "MemorySwap": 64 << 20,
        "PidsLimit": 100,
    }


def test_ports_besides_the_servers_own() -> None:
    ports = (
        PortSpec(container_port=3000, host_port=0),
        PortSpec(container_port=53, host_port=5353, protocol=Transport.UDP),
    )
    config = kit.make_instance(network=Network(ports=ports)).config
    assert wanted_ports(config) == {
        (8080, Transport.TCP): 0,
        (3000, Transport.TCP): 0,
        (53, Transport.UDP): 5353,
    }


def test_a_job_has_the_files_and_the_limits_but_no_ports() -> None:
    made = kit.make_instance("web")
    job = plan(made).job(("git", "clone"))
    assert (job["Entrypoint"], job["Cmd"]) == (["git"], ["clone"])
    assert job["HostConfig"]["PortBindings"] == {}
    assert job["HostConfig"]["Mounts"] == plan(made).body()["HostConfig"]["Mounts"]
    assert read_marks(job["Labels"]) is None, "no instance of its own"


@pytest.mark.parametrize(
    ("name", "shown"),
    [("web", "vscode-web"), ("My Web_1", "vscode-my-web-1"), ("x" * 100, "vscode-" + "x" * 56)],
)
def test_the_prompt_shows_the_instances_name(name: str, shown: str) -> None:
    assert hostname(name) == shown


@pytest.mark.parametrize(
    ("workspace", "kind"),
    [
        (None, "volume"),
        ("managed", "volume"),
        ("/srv/a", "bind"),
        ("https://example.org/a.git", "git"),
    ],
)
def test_kinds_of_workspace(workspace: str | None, kind: str) -> None:
    assert workspace_kind(kit.make_instance(workspace=workspace).config) == kind
