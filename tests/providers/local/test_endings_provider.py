"""The provider hears when the main process of an instance ends, whoever started it."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from swarmd.errors import OperationCancelled
from swarmd.messages.enums import InstanceStatus
from swarmd.messages.instance import Instance
from swarmd.providers.local import endings as module
from swarmd.providers.local.identity import Identity
from swarmd.providers.local.provider import LocalProvider
from tests.providers.local.conftest import Make
from tests.providers.local.endings_kit import Heard, descriptors, kill
from tests.providers.local.kit import call, make_instance, running, status
from tests.support import wait_until


def started(provider: LocalProvider, name: str = "web") -> Instance:
    """An instance that runs."""
    instance = make_instance(name)
    provider.create(instance, call())
    provider.start(instance, call())
    return instance


def main_process(provider: LocalProvider, instance: Instance) -> Identity:
    """Its main process."""
    record = provider._context.index.get(instance.id)
    assert record is not None
    assert record.process is not None
    return record.process.identity


def threads(provider: LocalProvider) -> list[str]:
    """Those that hear for this provider."""
    name = f"swarmd-{provider.name}-endings"
    return [each.name for each in threading.enumerate() if each.name == name]


def test_the_end_of_an_instance_is_heard(provider: LocalProvider, heard: Heard) -> None:
    provider.watch(heard)
    assert not threads(provider)
    instance = started(provider)
    kill(main_process(provider, instance))
    wait_until(lambda: heard.times == 1)
    assert status(provider, instance.id) is InstanceStatus.STOPPED
    provider.start(instance, call())
    kill(main_process(provider, instance))
    wait_until(lambda: heard.times == 2)


def test_nothing_is_heard_before_anyone_listens(provider: LocalProvider) -> None:
    started(provider)
    assert not threads(provider)


def test_what_was_found_running_is_heard_too(make: Make, heard: Heard) -> None:
    earlier = make()
    instances = [started(earlier, name) for name in ("web", "gone", "stopped")]
    web, gone, stopped = instances
    earlier.stop(stopped, call())
    kill(main_process(earlier, gone))
    earlier.dispose()
    later = make()
    later.watch(heard)
    wait_until(lambda: heard.times == 1)  # of what had ended meanwhile
    kill(main_process(later, web))
    wait_until(lambda: heard.times == 2)
    assert [status(later, each.id) for each in instances] == [InstanceStatus.STOPPED] * 3


@pytest.mark.parametrize("how", ["stop", "trash", "purge"])
def test_what_we_end_ourselves_is_no_news(provider: LocalProvider, heard: Heard, how: str) -> None:
    provider.watch(heard)
    ended, other = started(provider), started(provider, "other")
    getattr(provider, how)(ended, call())
    assert running(ended.id) == []
    kill(main_process(provider, other))
    wait_until(lambda: heard.times == 1)


def test_a_stop_that_fails_leaves_it_heard(provider: LocalProvider, heard: Heard) -> None:
    provider.watch(heard)
    instance = started(provider, "stubborn-web")
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(OperationCancelled):
        provider.stop(instance, call(cancelled=cancelled))
    assert status(provider, instance.id) is InstanceStatus.RUNNING
    kill(main_process(provider, instance))
    wait_until(lambda: heard.times == 1)


def test_a_start_that_fails_is_not_told(provider: LocalProvider, heard: Heard) -> None:
    provider.watch(heard)
    failing, other = make_instance("exit-web"), started(provider, "other")
    provider.create(failing, call())
    with pytest.raises(Exception, match="ended before it answered"):
        provider.start(failing, call())
    kill(main_process(provider, other))
    wait_until(lambda: heard.times == 1)


def test_what_follows_its_server_in_a_moment_is_no_error(
    provider: LocalProvider, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server's children need a moment to end after it: an error would hold the instance."""
    provider.watch(heard)
    instance = started(provider, "orphan-web")
    wait_until(lambda: len(running(instance.id)) == 3, describe=lambda: running(instance.id))
    kill(main_process(provider, instance))
    wait_until(lambda: heard.times == 1)
    found = provider.get(instance.id)
    assert found is not None
    assert (found.status, found.exit) == (InstanceStatus.STOPPED, "ended by SIGKILL")
    assert status(provider, instance.id) is InstanceStatus.STOPPED
    monkeypatch.setattr(module, "_JUST_SECONDS", 0.0)
    assert status(provider, instance.id) is InstanceStatus.ERROR
    for pid in running(instance.id):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: status(provider, instance.id) is InstanceStatus.STOPPED)


def test_disposed_it_hears_nothing(provider: LocalProvider, heard: Heard) -> None:
    before = descriptors()
    provider.watch(heard)
    instance = started(provider)
    process = main_process(provider, instance)
    assert threads(provider)
    provider.dispose()
    assert not threads(provider)
    assert descriptors() == before
    kill(process)
    provider.dispose()
    assert heard.times == 0
