"""From create to purge on real processes."""

from __future__ import annotations

import errno
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarmd.errors import (
    Conflict,
    DeadlineExceeded,
    InstanceNotFound,
    OperationCancelled,
    ProviderError,
    ProviderUnreachable,
    ResourceLimitError,
    Unavailable,
    ValidationError,
)
from swarmd.messages.enums import InstanceStatus
from swarmd.messages.instance import HealthCheck, Network, PortSpec
from swarmd.messages.provider import ProviderRecord
from swarmd.messages.requests import ExecInstance, LogsInstance
from swarmd.messages.state import Node
from swarmd.messages.units import Duration
from swarmd.providers.local import factory, tree
from swarmd.providers.local import record as record_module
from swarmd.providers.local.identity import Identity
from swarmd.providers.local.provider import LocalProvider
from tests.providers.local.conftest import Make
from tests.providers.local.kit import (
    RealClock,
    call,
    config,
    first_port,
    make_instance,
    options,
    running,
)
from tests.support import free_port, wait_until


def status(provider: LocalProvider, instance_id: str) -> InstanceStatus:
    """What the list says."""
    return {seen.id: seen for seen in provider.list()}[instance_id].status


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
    assert provider.start(instance, call()) == first
    assert running(instance.id) == pids
    assert provider.stop(instance, call()) == provider.stop(instance, call())
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


def test_a_server_that_ends_at_once(provider: LocalProvider) -> None:
    instance = make_instance("exit-web")
    provider.create(instance, call())
    with pytest.raises(ProviderError, match="exit status 3") as caught:
        provider.start(instance, call())
    assert "I was told to end" in caught.value.details["cause"]
    assert running(instance.id) == []
    assert status(provider, instance.id) is InstanceStatus.STOPPED


def test_a_server_that_never_answers(provider: LocalProvider) -> None:
    instance = make_instance("mute-web", health=HealthCheck(start_timeout=Duration(0.5)))
    provider.create(instance, call())
    begun = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"within 0\.5 s") as caught:
        provider.start(instance, call())
    assert 0.5 <= time.monotonic() - begun < 3
    assert caught.value.field == "config.health.start_timeout"
    assert running(instance.id) == []


def test_a_server_that_is_ill_at_first(provider: LocalProvider) -> None:
    instance = make_instance("late-web")
    provider.create(instance, call())
    assert provider.start(instance, call()).status is InstanceStatus.RUNNING


def test_a_server_that_is_ill(provider: LocalProvider) -> None:
    instance = make_instance(env={"STANDIN": ""})
    ill = make_instance("ill-web", health=HealthCheck(start_timeout=Duration(0.5)))
    provider.create(instance, call())
    provider.create(ill, call())
    with pytest.raises(DeadlineExceeded):
        provider.start(ill, call())
    with pytest.raises(ProviderError, match="does not run"):
        provider.check(instance, call())


def test_a_start_is_cancelled_quickly(provider: LocalProvider) -> None:
    instance = make_instance("mute-web")
    provider.create(instance, call())
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()
    begun = time.monotonic()
    with pytest.raises(OperationCancelled):
        provider.start(instance, call(cancelled=cancelled))
    assert time.monotonic() - begun < 2
    assert running(instance.id) == []


def test_sigterm_ignored(provider: LocalProvider) -> None:
    instance = make_instance("stubborn-web")
    provider.create(instance, call())
    provider.start(instance, call())
    begun = time.monotonic()
    provider.stop(instance, call())
    assert time.monotonic() - begun >= 1.0
    assert running(instance.id) == []
    provider.start(instance, call())
    begun = time.monotonic()
    provider.stop(instance, call(), force=True)
    assert time.monotonic() - begun < 1.0
    assert running(instance.id) == []


@pytest.mark.parametrize("kind", ["fork", "orphan"])
def test_sessions_of_their_own_are_ended_too(provider: LocalProvider, kind: str) -> None:
    instance = make_instance(f"{kind}-web")
    provider.create(instance, call())
    provider.start(instance, call())
    wait_until(lambda: len(running(instance.id)) == 3, describe=lambda: running(instance.id))
    provider.stop(instance, call())
    assert running(instance.id) == []


def test_a_cancelled_stop_is_completed_by_the_next(provider: LocalProvider) -> None:
    instance = make_instance("stubborn-web")
    provider.create(instance, call())
    provider.start(instance, call())
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(OperationCancelled):
        provider.stop(instance, call(cancelled=cancelled))
    provider.stop(instance, call(), force=True)
    assert running(instance.id) == []


def test_half_a_tree_is_told_and_ended_before_a_start(provider: LocalProvider) -> None:
    instance = make_instance("orphan-web")
    provider.create(instance, call())
    provider.start(instance, call())
    wait_until(lambda: len(running(instance.id)) == 3)
    before = running(instance.id)
    record = provider._context.index.get(instance.id)
    assert record is not None
    assert record.process is not None
    os.kill(record.process.identity.pid, signal.SIGKILL)
    wait_until(lambda: status(provider, instance.id) is InstanceStatus.ERROR)
    seen = provider.get(instance.id)
    assert seen is not None
    assert "2 of its processes" in str(seen.exit)
    assert "SIGKILL" in str(seen.exit)
    provider.start(instance, call())
    wait_until(lambda: len(running(instance.id)) == 3)
    assert not set(before) & set(running(instance.id))


def test_a_reused_pid_is_not_touched(provider: LocalProvider) -> None:
    instance = make_instance()
    provider.create(instance, call())
    index = provider._context.index
    provider.start(instance, call())
    record = index.get(instance.id)
    assert record is not None
    assert record.process is not None
    provider.stop(instance, call())
    ours = Identity(boot=record.process.identity.boot, pid=os.getpid(), started=1)
    bystander = replace(record.process, identity=ours)
    index.change(record, process=bystander)
    assert status(provider, instance.id) is InstanceStatus.STOPPED
    assert provider.address(instance.id) is None
    assert provider.stop(instance, call()).status is InstanceStatus.STOPPED


def test_a_process_without_a_record_is_a_stray(provider: LocalProvider, data: Path) -> None:
    instance = make_instance()
    provider.create(instance, call())
    provider.start(instance, call())
    provider._context.index.drop(instance.id)
    [stray] = provider.list()
    assert (stray.id, stray.complete, stray.status) == (instance.id, False, InstanceStatus.RUNNING)
    provider.discard(instance.id, call())
    assert provider.list() == []
    assert running(instance.id) == []
    assert not (data / instance.id).exists()


def test_a_folder_that_is_gone_is_told(provider: LocalProvider, data: Path) -> None:
    instance = make_instance()
    provider.create(instance, call())
    (data / instance.id).rename(data / "elsewhere")
    [seen] = provider.list()
    assert (seen.status, seen.exit) == (InstanceStatus.ERROR, "its folder is gone")


def test_a_record_that_cannot_be_read_is_told(make: Make, data: Path) -> None:
    instance = make_instance()
    make().create(instance, call())
    (data / ".swarmd" / instance.id / "record.json").write_text("{")
    second = make()
    [seen] = second.list()
    assert seen.status is InstanceStatus.ERROR
    assert "cannot be read" in str(seen.exit)
    second.discard(instance.id, call())
    assert second.list() == []


# --- ports -----------------------------------------------------------------------------------


def test_a_port_taken_while_it_was_stopped(provider: LocalProvider) -> None:
    instance = make_instance()
    provider.create(instance, call())
    record = provider._context.index.get(instance.id)
    assert record is not None
    told = f"port {record.port}.*process {os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", record.port)),
        pytest.raises(ProviderError, match=told),
    ):
        provider.start(instance, call())
    assert provider.start(instance, call()).status is InstanceStatus.RUNNING


def test_the_range_is_used_up(make: Make) -> None:
    start = first_port()
    provider = make(port_range=f"{start}-{start + 1}")
    for name in ("a", "b"):
        provider.create(make_instance(name), call())
    with pytest.raises(ResourceLimitError, match=f"{start}-{start + 1}") as caught:
        provider.create(make_instance("c"), call())
    assert caught.value.next_step
    assert len(provider.list()) == 2


def test_a_port_of_ones_own_choice(provider: LocalProvider) -> None:
    port = free_port()
    network = Network(ports=(PortSpec(container_port=8080, host_port=port),))
    instance = make_instance(network=network)
    provider.create(instance, call())
    address = provider.start(instance, call()).address
    assert address is not None
    assert address.port == port
    with pytest.raises(Conflict, match="another instance"):
        provider.create(make_instance("other", network=network), call())
    assert len(provider.list()) == 1


def test_a_chosen_port_that_someone_has(provider: LocalProvider) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        network = Network(ports=(PortSpec(container_port=8080, host_port=port),))
        with pytest.raises(ProviderError, match=f"port {port}"):
            provider.create(make_instance(network=network), call())
    assert provider.list() == []


def test_a_limit_of_instances(make: Make) -> None:
    provider = make(max_instances=1)
    provider.create(make_instance("a"), call())
    second = make_instance("b")
    with pytest.raises(ResourceLimitError, match="takes 1"):
        provider.validate(second)
    with pytest.raises(ResourceLimitError, match="takes 1"):
        provider.create(second, call())


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
    assert second.start(instance, call()) == started
    assert second.stop(instance, call()).status is InstanceStatus.STOPPED
    assert running(instance.id) == []


def test_exec_needs_a_running_instance(provider: LocalProvider) -> None:
    instance = make_instance()
    provider.create(instance, call())
    with pytest.raises(Unavailable, match="does not run"):
        provider.exec(instance, ExecInstance(id=instance.id, command=("true",)))


def test_a_thousand_stopped_instances_are_listed_at_once(provider: LocalProvider) -> None:
    first = make_instance()
    provider.create(first, call())
    index = provider._context.index
    record = index.get(first.id)
    assert record is not None
    for number in range(2000):
        index._records[f"x{number}"] = replace(record, id=f"x{number}", complete=False)
    begun = time.monotonic()
    assert len(provider.list()) == 2001
    spent = time.monotonic() - begun
    begun = time.monotonic()
    tree.scan()
    scan = time.monotonic() - begun
    for number in range(2000):
        index.drop(f"x{number}")
    assert spent < scan + 0.3
