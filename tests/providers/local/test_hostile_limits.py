"""Limits that hold for helpers, after failures, and for what has ended."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarmd.errors import (
    Conflict,
    ProviderError,
)
from swarmd.messages.instance import Auth, Instance, Network, PortSpec, Resources
from swarmd.messages.requests import ExecInstance
from swarmd.messages.units import Size
from swarmd.providers.local.data import children
from swarmd.providers.local.identity import identify
from swarmd.providers.local.provider import LocalProvider
from swarmd.providers.shared.account import own
from tests.providers.local.conftest import Make
from tests.providers.local.kit import call, make_instance
from tests.providers.local.test_cgroups import limit_in_force, real
from tests.support import free_port

HELPER = """#!/bin/sh
cat /proc/self/cgroup >"$HOME/groups"
env -i setsid sh -c 'echo $$ >"$0/pid"; exec sleep 1000' "$HOME" </dev/null >/dev/null 2>&1 &
while ! [ -s "$HOME/pid" ]; do :; done
echo installed
"""


@pytest.fixture
def instance(provider: LocalProvider) -> Iterator[Instance]:
    """A running instance."""
    made = make_instance()
    provider.create(made, call())
    provider.start(made, call())
    yield made
    provider.stop(made, call(), force=True)


# --- helpers ---------------------------------------------------------------------------------


@pytest.mark.root
def test_a_helper_is_limited_and_leaves_nothing(make: Make, tmp_path: Path, data: Path) -> None:
    program = tmp_path / "server"
    program.write_text(HELPER)
    program.chmod(0o755)
    provider = make(command=[str(program)])
    real(provider, "memory", "pids")
    instance = make_instance(extensions=("some.extension",), resources=Resources(pids=64))
    provider.create(instance, call())
    home = data / instance.id / "home"
    told = dict(
        line.split(":", 2)[1:] for line in (home / "groups").read_text().splitlines() if line
    )
    assert any(path.endswith(instance.id) for path in told.values())
    assert identify(int((home / "pid").read_text())) is None
    record = provider._context.index.get(instance.id)
    assert record is not None
    assert not any(path.exists() for path in provider._runner.group_paths(record))


def test_a_helper_ends_as_it_says(tmp_path: Path) -> None:
    lines: list[str] = []
    env = {"PATH": os.environ["PATH"], "WORD": "hello"}
    ended = children.run(
        ["sh", "-c", 'echo "$WORD"; pwd >&2; read x || exit 7'],
        account=own(),
        env=env,
        cwd=tmp_path,
        mark="none",
        call=call(),
        on_line=lines.append,
    )
    assert (ended.code, lines) == (7, ["hello", str(tmp_path)])
    with pytest.raises(ProviderError, match="no-such-program is not there"):
        children.run(
            ["no-such-program"], account=own(), env=env, cwd=tmp_path, mark="none", call=call()
        )


# --- updates ---------------------------------------------------------------------------------


@pytest.mark.root
def test_an_update_that_fails_leaves_the_old_limits(provider: LocalProvider) -> None:
    real(provider, "memory")
    other = make_instance("other")
    provider.create(other, call())
    taken = provider._context.index.get(other.id)
    assert taken is not None
    instance = make_instance(resources=Resources(memory=Size(128 << 20)))
    provider.create(instance, call())
    provider.start(instance, call())
    ports = (PortSpec(container_port=8080, host_port=taken.port),)
    wish = replace(
        instance.config,
        resources=Resources(memory=Size(256 << 20)),
        network=Network(ports=ports),
    )
    with pytest.raises(Conflict):
        provider.update(replace(instance, config=wish), call())
    assert limit_in_force(provider, instance.id) == 128 << 20
    assert provider._context.index.config(instance.id) == replace(
        instance.config, auth=Auth(type=instance.config.auth.type)
    )


def test_a_port_is_reserved_before_it_is_left(make: Make, data: Path) -> None:
    seen: list[tuple[bool, bool]] = []

    def step(name: str) -> None:
        if name == "old port reserved":
            lines = (data / ".swarmd" / ".ports.jsonl").read_text().splitlines()
            reserved = [json.loads(line)["port"] for line in lines]
            record = json.loads((data / ".swarmd" / instance.id / "record.json").read_text())
            seen.append((old in reserved, record["port"] == old))

    provider = make(step=step)
    instance = make_instance()
    provider.create(instance, call())
    record = provider._context.index.get(instance.id)
    assert record is not None
    old, wanted = record.port, free_port()
    ports = (PortSpec(container_port=8080, host_port=wanted),)
    wish = replace(instance, config=replace(instance.config, network=Network(ports=ports)))
    provider.update(wish, call())
    assert seen == [(True, True)]
    record = provider._context.index.get(instance.id)
    assert record is not None
    assert record.port == wanted


# --- what was used ---------------------------------------------------------------------------


@pytest.mark.root
def test_cpu_time_of_what_has_ended_is_counted(provider: LocalProvider, instance: Instance) -> None:
    hierarchies = provider._context.groups.hierarchies
    real(provider, "cpu")
    assert hierarchies is not None
    record = provider._context.index.get(instance.id)
    assert record is not None
    counted = hierarchies.usage(provider._runner.group_paths(record)).cpu_seconds
    if counted is None:
        pytest.skip("cpuacct: not mounted here")
    [before] = provider.stats([instance])
    script = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; times"
    session = provider.exec(instance, ExecInstance(id=instance.id, command=("sh", "-c", script)))
    while session.read() is not None:
        pass
    session.close()
    [after] = provider.stats([instance])
    assert after.cpu_seconds is not None
    assert before.cpu_seconds is not None
    assert after.cpu_seconds - before.cpu_seconds > 0.1
