"""From create to purge on real processes."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarmd.errors import (
    Conflict,
    InstanceNotFound,
    OperationCancelled,
    ProviderUnreachable,
    ResourceLimitError,
    Unavailable,
    ValidationError,
)
from swarmd.messages.enums import InstanceStatus
from swarmd.messages.instance import Network, PortSpec
from swarmd.messages.provider import ProviderRecord
from swarmd.messages.requests import ExecInstance, LogsInstance
from swarmd.messages.state import Node
from swarmd.providers.local import factory, tree
from swarmd.providers.local import record as record_module
from swarmd.providers.local.provider import LocalProvider
from tests.providers.local.conftest import Make
from tests.providers.local.kit import (
    RealClock,
    call,
    config,
    make_instance,
    options,
    running,
    status,
)
from tests.support import free_port, wait_until


def test_the_whole_way(provider: LocalProvider, data: Path) -> None:
    instance = make_instance()
    created = provider.create(instance, call())
    assert (created.status, created.complete) == (InstanceStatus.CREATED, True)
    started = provider.start(instance, call())
    assert started.status is InstanceStatus.RUNNING
    assert started.address == provider.address(instance.id)
    assert '"alive"' in provider.check(instance, call())
    assert provider.list() == [started]
    stopped = provider.stop(instance, call())
    assert stopped.status is InstanceStatus.STOPPED
    assert provider.address(instance.id) is None
    provider.trash(instance, call())
    assert status(provider, instance.id) is InstanceStatus.DELETED
    assert provider.restore(instance, call()).status is InstanceStatus.STOPPED
    provider.purge(instance, call())
    assert provider.list() == []
    assert provider.get(instance.id) is None
    assert not list(data.glob("[!.]*"))
    provider.purge(instance, call())


def test_the_port_stays_over_stop_and_start(provider: LocalProvider) -> None:
    instance = make_instance()
    provider.create(instance, call())
    first = provider.start(instance, call()).address
    provider.stop(instance, call())
    assert provider.start(instance, call()).address == first


def test_the_port_of_a_deleted_instance_is_not_given_again(provider: LocalProvider) -> None:
    old, new = make_instance("old"), make_instance("new")
    provider.create(old, call())
    before = provider.start(old, call()).address
    provider.trash(old, call())
    provider.purge(old, call())
    provider.create(new, call())
    after = provider.start(new, call()).address
    assert before is not None
    assert after is not None
    assert after.port == before.port + 1


def test_everything_may_be_asked_twice(provider: LocalProvider) -> None:
    instance = make_instance()
    assert provider.create(instance, call()) == provider.create(instance, call())
    first = provider.start(instance, call())
    pids = running(instance.id)
    assert provider.start(instance, call()) == replace(first, unchanged=True)
    assert running(instance.id) == pids
    stopped = provider.stop(instance, call())
    assert provider.stop(instance, call()) == replace(stopped, unchanged=True)
    provider.trash(instance, call())
    provider.trash(instance, call())
    assert provider.restore(instance, call()) == provider.restore(instance, call())


def test_get_tells_the_configuration_without_credentials(provider: LocalProvider) -> None:
    instance = make_instance(env={"A": "1"}, labels={"team": "red"})
    provider.create(instance, call())
    observed = provider.get(instance.id)
    assert observed is not None
    assert observed.config is not None
    assert observed.config.env == {"A": "1"}
    assert observed.config.auth.credentials is None


def test_an_older_epoch_is_refused(provider: LocalProvider) -> None:
    instance = make_instance(epoch=3)
    provider.create(instance, call())
    with pytest.raises(Conflict, match="epoch 3"):
        provider.start(replace(instance, epoch=2), call())
    assert provider.start(replace(instance, epoch=4), call()).epoch == 4


def test_what_is_unknown_is_not_found(provider: LocalProvider) -> None:
    instance = make_instance()
    for wish in (provider.start, provider.stop, provider.restore, provider.update, provider.check):
        with pytest.raises(InstanceNotFound) as caught:
            wish(instance, call())
        assert caught.value.next_step
    provider.trash(instance, call())


def test_the_trash_neither_starts_nor_is_made_anew(provider: LocalProvider) -> None:
    instance = make_instance()
    provider.create(instance, call())
    provider.trash(instance, call())
    with pytest.raises(Conflict, match="trash"):
        provider.start(instance, call())
    with pytest.raises(Conflict, match="trash"):
        provider.create(instance, call())


# --- servers that misbehave ------------------------------------------------------------------
# --- ports -----------------------------------------------------------------------------------
# --- the rest --------------------------------------------------------------------------------


def test_a_create_that_fails_leaves_nothing(provider: LocalProvider, data: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(OperationCancelled):
        provider.create(make_instance(), call(cancelled=cancelled))
    assert provider.list() == []
    assert not list(data.glob("[!.]*"))


def test_an_update_says_what_waits_for_a_restart(provider: LocalProvider) -> None:
    instance = make_instance()
    provider.create(instance, call())
    changed = replace(instance, config=replace(instance.config, env={"NEW": "1"}))
    assert provider.update(changed, call()).restart_required == ()
    provider.start(changed, call())
    again = replace(changed, config=replace(changed.config, env={"NEW": "2"}, labels={"a": "b"}))
    assert provider.update(again, call()).restart_required == ("env",)
    observed = provider.get(instance.id)
    assert observed is not None
    assert observed.config == replace(
        again.config, auth=observed.config.auth if observed.config else None
    )


def test_an_update_moves_the_port_at_the_next_start(provider: LocalProvider) -> None:
    instance = make_instance()
    provider.create(instance, call())
    before = provider.start(instance, call()).address
    port = free_port()
    network = Network(ports=(PortSpec(container_port=8080, host_port=port),))
    moved = replace(instance, config=replace(instance.config, network=network))
    outcome = provider.update(moved, call())
    assert outcome.restart_required == ("network",)
    assert outcome.observed.address == before
    provider.stop(moved, call())
    after = provider.start(moved, call()).address
    assert after is not None
    assert after.port == port


def test_stats_of_what_runs(provider: LocalProvider) -> None:
    runs, rests = make_instance("runs"), make_instance("rests")
    for instance in (runs, rests):
        provider.create(instance, call())
    provider.start(runs, call())
    [stats] = provider.stats([runs, rests])
    assert stats.id == runs.id
    assert stats.pids == 1
    assert stats.memory_bytes is not None
    assert 0 < stats.memory_bytes < 1 << 30
    assert stats.cpu_seconds is not None
    wait_until(lambda: provider.stats([runs])[0].disk_bytes)


def test_an_export_comes_back(provider: LocalProvider, data: Path) -> None:
    first, second = make_instance("first"), make_instance("second")
    provider.create(first, call())
    (data / first.id / "workspace" / "notes.txt").write_text("hello")
    archive = b"".join(provider.export(first, call()))
    observed = provider.import_data(second, [archive], call())
    assert (observed.status, observed.complete) == (InstanceStatus.CREATED, True)
    assert (data / second.id / "workspace" / "notes.txt").read_text() == "hello"
    assert provider.start(second, call()).status is InstanceStatus.RUNNING


def test_an_export_out_of_the_trash(provider: LocalProvider, data: Path) -> None:
    instance = make_instance()
    provider.create(instance, call())
    (data / instance.id / "workspace" / "notes.txt").write_text("still here")
    provider.trash(instance, call())
    assert b"still here" in b"".join(provider.export(instance, call()))


def test_a_host_folder_is_exported_and_not_imported(make: Make, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "mine").mkdir(parents=True)
    (root / "mine" / "notes.txt").write_text("from the host")
    provider = make(roots=[str(root)])
    instance = make_instance(workspace=str(root / "mine"))
    provider.create(instance, call())
    archive = b"".join(provider.export(instance, call()))
    assert b"from the host" in archive
    with pytest.raises(ValidationError) as caught:
        provider.import_data(make_instance("b", workspace=str(root / "mine")), [archive], call())
    assert caught.value.field == "config.workspace"
    provider.purge(instance, call())
    assert (root / "mine" / "notes.txt").exists()


def test_a_server_that_died_does_not_answer(provider: LocalProvider) -> None:
    instance = make_instance()
    provider.create(instance, call())
    provider.start(instance, call())
    for pid in running(instance.id):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not running(instance.id))
    with pytest.raises(ProviderUnreachable, match="does not answer"):
        provider.check(instance, call())


def test_the_factory_makes_it(data: Path) -> None:
    record = ProviderRecord(name="local", type="local", options=options())
    node = Node(id="n", created_at=RealClock().now())
    made = factory.make(record, config(data), node, RealClock())
    made.initialize()
    assert (made.name, made.type, list(made.list())) == ("local", "local", [])
    made.dispose()


def test_a_full_disk_at_the_record_starts_nothing(
    provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = make_instance()
    provider.create(instance, call())

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(record_module, "write_durably", full)
    with pytest.raises(ResourceLimitError, match="disk is full"):
        provider.start(instance, call())
    monkeypatch.undo()
    assert running(instance.id) == []
    assert provider.start(instance, call()).status is InstanceStatus.RUNNING


def test_the_log_is_read_and_rotated(make: Make) -> None:
    provider = make(log_max_size="64k")
    instance = make_instance("chatty-web")
    provider.create(instance, call())
    provider.start(instance, call())
    provider.upkeep(provider._context.clock.now())
    session = provider.logs(instance, LogsInstance(id=instance.id))
    read = b""
    while (piece := session.read()) is not None:
        read += piece[1]
    session.close()
    assert b"stand-in chatty" in read


def test_children_are_let_go_and_found_again(make: Make) -> None:
    first = make()
    instance = make_instance()
    first.create(instance, call())
    started = first.start(instance, call())
    first.dispose()
    second = make()
    assert second.list() == [started]
    assert second.start(instance, call()) == replace(started, unchanged=True)
    assert second.stop(instance, call()).status is InstanceStatus.STOPPED
    assert running(instance.id) == []


def test_exec_needs_a_running_instance(provider: LocalProvider) -> None:
    instance = make_instance()
    provider.create(instance, call())
    with pytest.raises(Unavailable, match="does not run"):
        provider.exec(instance, ExecInstance(id=instance.id, command=("true",)))


def test_thousands_of_stopped_instances_are_listed_in_one_sweep(
    provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_instance()
    provider.create(first, call())
    index = provider._context.index
    record = index.get(first.id)
    assert record is not None
    for number in range(2000):
        index._records[f"x{number}"] = replace(record, id=f"x{number}", complete=False)
    scans: list[tree.Table] = []
    scan = tree.scan

    def noted() -> tree.Table:
        scans.append(scan())
        return scans[-1]

    monkeypatch.setattr(tree, "scan", noted)
    assert len(provider.list()) == 2001
    assert len(scans) == 1
    for number in range(2000):
        index.drop(f"x{number}")


@pytest.mark.parametrize("lost", ["workspace", "."])
def test_a_workspace_that_is_gone_is_never_replaced_by_an_empty_one(
    provider: LocalProvider, data: Path, lost: str
) -> None:
    instance = make_instance()
    provider.create(instance, call())
    provider.start(instance, call())
    provider.stop(instance, call())
    folder = data / instance.id
    shutil.rmtree(folder / lost if lost != "." else folder)
    with pytest.raises(InstanceNotFound) as refused:
        provider.start(instance, call())
    assert str(folder / "workspace") in refused.value.message
    assert refused.value.next_step
    assert not (folder / "workspace").exists()
