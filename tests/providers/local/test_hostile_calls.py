"""Calls that race, files that are not what they should be, and instances that must not meet."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.errors import (
    Conflict,
    OperationCancelled,
    PermissionDenied,
    ProviderError,
    ResourceLimitError,
    Unavailable,
    ValidationError,
)
from swarmd.messages.enums import AuthType
from swarmd.messages.instance import Auth, Instance, Network, PortSpec, Resources
from swarmd.messages.requests import ExecInstance, LogsInstance
from swarmd.messages.units import Size
from swarmd.providers.local import answer, commands, server
from swarmd.providers.local.account import Account, own
from swarmd.providers.local.cgroup_probe import Found
from swarmd.providers.local.data import children
from swarmd.providers.local.durable import write_durably
from swarmd.providers.local.identity import identify
from swarmd.providers.local.launcher import Child, Launch, spawn
from swarmd.providers.local.provider import LocalProvider
from tests.providers.local.conftest import Make
from tests.providers.local.kit import call, make_instance, running
from tests.providers.local.test_cgroups import limit_in_force, real
from tests.support import free_port, wait_until

HELPER = """#!/bin/sh
cat /proc/self/cgroup >"$HOME/groups"
env -i setsid sh -c 'echo $$ >"$0/pid"; exec sleep 1000' "$HOME" </dev/null >/dev/null 2>&1 &
while ! [ -s "$HOME/pid" ]; do :; done
echo installed
"""


def open_descriptors() -> int:
    """How many descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


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


# --- two at once -----------------------------------------------------------------------------


def test_two_owners_at_once_do_not_share_a_uid(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = make()
    both_looked, look = threading.Barrier(2), provider._context.check_shared
    looked: set[str] = set()

    def check(instance: Instance, account: Account) -> None:
        look(instance, account)
        if instance.id not in looked:
            looked.add(instance.id)
            both_looked.wait(10)

    monkeypatch.setattr(type(provider._context), "check_shared", lambda _, *given: check(*given))
    outcomes: list[object] = []

    def create(instance: Instance) -> None:
        try:
            outcomes.append(provider.create(instance, call()).owner)
        except PermissionDenied:
            outcomes.append(None)

    makers = [
        threading.Thread(target=create, args=(make_instance(owner, owner=owner),))
        for owner in ("ana", "bob")
    ]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join(30)
    assert outcomes.count(None) == 1
    assert len(outcomes) == 2


def test_who_waits_for_a_turn_keeps_others_out(provider: LocalProvider) -> None:
    context = provider._context
    entered, leave = threading.Event(), threading.Event()

    def second() -> None:
        with context.turn("a", call()):
            entered.set()
            leave.wait(10)

    waiter = threading.Thread(target=second)
    with context.turn("a", call()):
        waiter.start()
        wait_until(lambda: context._turns["a"].callers == 2)
    assert entered.wait(10)
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(OperationCancelled), context.turn("a", call(cancelled=cancelled)):
        pass
    leave.set()
    waiter.join(10)
    assert not context._turns


def test_a_stale_record_undoes_nothing(provider: LocalProvider, instance: Instance) -> None:
    index = provider._context.index
    stale = index.get(instance.id)
    assert stale is not None
    index.change(stale, folder="/elsewhere")
    assert index.change(stale, name="new").folder == "/elsewhere"


def test_who_only_looks_writes_nothing(provider: LocalProvider, instance: Instance) -> None:
    index = provider._context.index
    before = index.get(instance.id)
    renamed = replace(instance, name="renamed", epoch=instance.epoch + 1)
    provider.check(renamed, call())
    provider.logs(renamed, LogsInstance(id=instance.id)).close()
    provider.exec(renamed, ExecInstance(id=instance.id, command=("true",))).close()
    assert b"".join(provider.export(renamed, call()))
    assert index.get(instance.id) == before


def test_two_writers_of_a_file_do_not_mix(tmp_path: Path) -> None:
    file = tmp_path / "record"
    contents = [bytes([65 + n]) * 200_000 for n in range(2)]
    problems: list[object] = []

    def write(data: bytes) -> None:
        try:
            for _ in range(150):
                write_durably(file, data, sync=False)
                if file.read_bytes() not in contents:
                    problems.append("mixed")
        except OSError as error:
            problems.append(error)

    writers = [threading.Thread(target=write, args=(data,)) for data in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    assert problems == []
    assert [path.name for path in tmp_path.iterdir()] == ["record"]


# --- commands --------------------------------------------------------------------------------


def test_a_command_after_the_stop_does_not_begin(
    provider: LocalProvider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    provider._context.groups = Found(None)
    instance = make_instance()
    provider.create(instance, call())
    provider.start(instance, call())

    def late(launch: Launch) -> Child:
        provider.stop(instance, call(), force=True)
        return spawn(launch)

    monkeypatch.setattr(commands, "spawn", late)
    touch = ExecInstance(id=instance.id, command=("touch", str(tmp_path / "begun")))
    with pytest.raises(Unavailable, match="stopped meanwhile"):
        provider.exec(instance, touch)
    assert running(instance.id) == []
    assert not (tmp_path / "begun").exists()


def test_a_session_that_cannot_be_made_leaves_no_command(
    provider: LocalProvider, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(identity: object) -> int | None:
        raise OSError(24, "Too many open files")

    before = open_descriptors()
    monkeypatch.setattr(commands, "open_pidfd", fail)
    with pytest.raises(ResourceLimitError):
        provider.exec(instance, ExecInstance(id=instance.id, command=("sleep", "1000")))
    assert len(running(instance.id)) == 1
    assert open_descriptors() == before


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"env": {"A=B": "x"}}, "env"),
        ({"env": {"A": "x\0y"}}, "env.A"),
        ({"env": {"PASSWORD": "x"}}, "env.PASSWORD"),
        ({"env": {"SWARMD_INSTANCE": "x"}}, "env.SWARMD_INSTANCE"),
        ({"env": {"CODE_SERVER_CONFIG": "x"}}, "env.CODE_SERVER_CONFIG"),
        ({"command": ("echo", "a\0b")}, "command[1]"),
        ({"workdir": "a\0b"}, "workdir"),
    ],
)
def test_what_no_process_can_be_given_is_refused(
    provider: LocalProvider, instance: Instance, fields: dict[str, Any], field: str
) -> None:
    wish = ExecInstance(id=instance.id, command=("true",))
    with pytest.raises(ValidationError) as caught:
        provider.exec(instance, replace(wish, **fields))
    assert caught.value.field == field


# --- who may come in -------------------------------------------------------------------------


def test_an_address_of_the_network_takes_tls(make: Make, data: Path) -> None:
    provider = make()
    instance = make_instance()
    provider.create(instance, call())
    provider.dispose()
    exposed = make(publish_address="0.0.0.0")
    with pytest.raises(ValidationError, match="in the clear") as caught:
        exposed.validate(instance)
    assert caught.value.field == "publish_address"
    with pytest.raises(ValidationError, match="in the clear"):
        exposed.start(instance, call())
    exposed._context.insecure = True
    exposed.validate(instance)
    open_to_all = replace(instance, config=replace(instance.config, auth=Auth(type=AuthType.NONE)))
    with pytest.raises(ValidationError, match="terminal") as caught:
        exposed.validate(open_to_all)
    assert caught.value.field == "config.auth.type"


def test_an_address_of_this_host_takes_nothing(make: Make) -> None:
    make(publish_address="127.0.0.2").validate(make_instance(auth=Auth(type=AuthType.NONE)))
    make(publish_address="::1").validate(make_instance())


# --- files and answers -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["fifo", "folder", "link"])
def test_a_configuration_that_is_no_file_is_not_read(
    provider: LocalProvider, instance: Instance, kind: str
) -> None:
    dirs = provider._context.layout.instance(instance.id)
    dirs.config_file.unlink()
    if kind == "fifo":
        os.mkfifo(dirs.config_file)
    elif kind == "folder":
        dirs.config_file.mkdir()
    else:
        dirs.config_file.symlink_to("/etc/passwd")
    before = open_descriptors()
    assert server.read_config(dirs) is None
    assert open_descriptors() == before
    assert "auth" in provider.update(instance, call()).restart_required


@pytest.mark.parametrize("name", ["config.yaml", ".config.yaml.new"])
def test_a_folder_in_place_of_the_configuration_is_named(
    provider: LocalProvider, data: Path, name: str
) -> None:
    instance = make_instance()
    provider.create(instance, call())
    (data / instance.id / name).mkdir()
    with pytest.raises(ProviderError, match="a folder in its place") as caught:
        provider.start(instance, call())
    assert name in str(caught.value.next_step)
    (data / instance.id / name).rmdir()
    provider.start(instance, call())


@pytest.mark.parametrize("status", [b"9" * 5000, b"20", b"2000", "٢٠٠".encode()])
def test_a_status_has_three_digits(status: bytes) -> None:
    with pytest.raises(ConnectionError, match="not HTTP"):
        answer._parse(b"HTTP/1.1 " + status + b" OK\r\n\r\n")
    assert answer._parse(b"HTTP/1.1 503 Busy\r\n\r\n").status == 503


def test_faults_of_the_system_are_told_in_our_words(
    provider: LocalProvider, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object, **named: object) -> object:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(provider._runner, "is_running", fail)
    with pytest.raises(ResourceLimitError):
        provider.get(instance.id)
    with pytest.raises(ResourceLimitError):
        provider.address(instance.id)
    with pytest.raises(ResourceLimitError):
        provider.exec(instance, ExecInstance(id=instance.id, command=("true",)))
    monkeypatch.setattr(provider._maker, "workspace_of", fail)
    with pytest.raises(ResourceLimitError):
        provider.export(instance, call())
    monkeypatch.undo()


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
            reserved = json.loads((data / ".swarmd" / ".ports.json").read_text())["until"]
            record = json.loads((data / ".swarmd" / instance.id / "record.json").read_text())
            seen.append((str(old) in reserved, record["port"] == old))

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
