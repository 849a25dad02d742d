"""Servers that end, hang, ignore signals or leave their tree; records that do not fit."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from swarmd.errors import (
    DeadlineExceeded,
    OperationCancelled,
    ProviderError,
)
from swarmd.messages.enums import InstanceStatus
from swarmd.messages.instance import HealthCheck
from swarmd.messages.units import Duration
from swarmd.providers.local.identity import Identity
from swarmd.providers.local.provider import LocalProvider
from tests.providers.local.conftest import Make
from tests.providers.local.kit import (
    call,
    make_instance,
    running,
    status,
)
from tests.support import wait_until


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
    assert 0.5 <= time.monotonic() - begun < 30
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
    assert time.monotonic() - begun < 30
    assert running(instance.id) == []


def test_sigterm_ignored(provider: LocalProvider) -> None:
    instance = make_instance("stubborn-web")
    provider.create(instance, call())
    provider.start(instance, call())
    begun = time.monotonic()
    provider.stop(instance, call())
    patient = time.monotonic() - begun
    assert patient >= 1.0  # the time of grace
    assert running(instance.id) == []
    provider.start(instance, call())
    begun = time.monotonic()
    provider.stop(instance, call(), force=True)
    assert time.monotonic() - begun < patient
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
