"""Calls that race, files that are not what they should be, and instances that must not meet."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from swarmd.errors import (
    OperationCancelled,
    PermissionDenied,
    ProviderError,
    ResourceLimitError,
    Unavailable,
    ValidationError,
)
from swarmd.messages.enums import AuthType
from swarmd.messages.instance import Auth, Instance
from swarmd.messages.requests import ExecInstance, LogsInstance
from swarmd.providers.local import commands, server
from swarmd.providers.local.cgroup_probe import Found
from swarmd.providers.local.launcher import Child, Launch, spawn
from swarmd.providers.local.provider import LocalProvider
from swarmd.providers.shared import answer
from swarmd.providers.shared.account import Account
from swarmd.providers.shared.durable import write_durably
from tests.providers.local.conftest import Make
from tests.providers.local.kit import call, make_instance, running
from tests.support import wait_until


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
        wait_until(lambda: context.turns.callers("a") == 2)
    assert entered.wait(10)
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(OperationCancelled), context.turn("a", call(cancelled=cancelled)):
        pass
    leave.set()
    waiter.join(10)
    assert context.turns.callers("a") == 0


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
