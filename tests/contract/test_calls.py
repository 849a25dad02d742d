"""Promises on calls: they may end early, fail, or run side by side, and leave nothing behind."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from swarmd.errors import (
    DeadlineExceeded,
    InstanceNotFound,
    OperationCancelled,
    ProviderError,
    SwarmError,
)
from swarmd.messages.enums import InstanceStatus
from swarmd.messages.instance import Instance
from swarmd.messages.requests import LogsInstance
from swarmd.ports import Call, Provider
from tests.contract.cases import ProviderCase, execute
from tests.contract.kit import cancelled_call, content, fresh_call, log_of, put, status
from tests.support import wait_until

# --- cancelled, out of time ---

Act = Callable[[Provider, Instance, Call], object]
ACTS: dict[str, tuple[tuple[str, ...], Act]] = {
    "create": ((), lambda provider, instance, call: provider.create(instance, call)),
    "start": (("create",), lambda provider, instance, call: provider.start(instance, call)),
    "stop": (("create", "start"), lambda provider, instance, call: provider.stop(instance, call)),
    "update": (("create",), lambda provider, instance, call: provider.update(instance, call)),
    "trash": (("create",), lambda provider, instance, call: provider.trash(instance, call)),
    "restore": (
        ("create", "trash"),
        lambda provider, instance, call: provider.restore(instance, call),
    ),
    "purge": (("create",), lambda provider, instance, call: provider.purge(instance, call)),
}


@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize("how", ["cancelled", "late"])
def test_a_call_that_was_ended_is_completed_or_undone_by_the_next(
    provider: Provider, provider_case: ProviderCase, instance: Instance, name: str, how: str
) -> None:
    before, act = ACTS[name]
    for earlier in before:
        ACTS[earlier][1](provider, instance, fresh_call())
    given = cancelled_call() if how == "cancelled" else fresh_call(-1)
    with contextlib.suppress(OperationCancelled, DeadlineExceeded):  # or it was quick enough
        act(provider, instance, given)
    act(provider, instance, fresh_call())
    wanted = {
        "create": InstanceStatus.CREATED,
        "start": InstanceStatus.RUNNING,
        "stop": InstanceStatus.STOPPED,
        "update": InstanceStatus.CREATED,
        "trash": InstanceStatus.DELETED,
        "restore": {InstanceStatus.CREATED, InstanceStatus.STOPPED},
        "purge": None,
    }[name]
    found = status(provider, instance)
    assert found in wanted if isinstance(wanted, set) else found is wanted
    provider.purge(instance, fresh_call())
    assert provider_case.remains(instance) == []


def test_a_start_that_hangs_ends_at_its_deadline_or_when_cancelled(
    provider: Provider, provider_case: ProviderCase, call: Call
) -> None:
    if provider_case.real:
        pytest.skip("the real server does answer")
    instance = provider_case.instance("mute-web")
    provider.create(instance, call)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        provider.start(instance, fresh_call(1))
    assert time.monotonic() - began < 30
    given = fresh_call()
    failed: list[BaseException] = []

    def start() -> None:
        try:
            provider.start(instance, given)
        except SwarmError as error:
            failed.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    wait_until(lambda: provider_case.running(instance))
    given.cancelled.set()
    thread.join(10)
    assert [type(error) for error in failed] == [OperationCancelled]
    provider.purge(instance, call)
    assert provider_case.remains(instance) == []


# --- errors, dispose ---


def test_only_errors_of_our_own_come_out(
    provider: Provider, instance: Instance, call: Call
) -> None:
    """Every call on what is not there answers, or raises one of ours; nothing appears."""
    for act in (
        lambda: provider.start(instance, call),
        lambda: provider.stop(instance, call),
        lambda: provider.update(instance, call),
        lambda: provider.restore(instance, call),
        lambda: list(provider.export(instance, call)),
        lambda: provider.check(instance, call),
        lambda: provider.logs(instance, LogsInstance(id=instance.id)),
        lambda: execute(provider, instance, "true"),
    ):
        with pytest.raises(InstanceNotFound) as caught:
            act()
        assert caught.value.next_step
    provider.trash(instance, call)
    provider.purge(instance, call)
    provider.discard(instance.id, call)
    assert provider.get(instance.id) is None


def test_a_server_that_ends_at_once_says_why(
    provider: Provider, provider_case: ProviderCase, call: Call
) -> None:
    if provider_case.real:
        pytest.skip("the real server does start")
    instance = provider_case.instance("exit-web")
    provider.create(instance, call)
    with pytest.raises(ProviderError) as caught:
        provider.start(instance, call)
    assert "I was told to end" in caught.value.details["cause"]
    assert caught.value.next_step
    assert provider_case.running(instance) == []
    provider.purge(instance, call)
    assert provider_case.remains(instance) == []


def test_dispose_lets_go_and_instances_keep_running(
    provider_case: ProviderCase, instance: Instance, call: Call
) -> None:
    descriptors, threads = open_descriptors(), threading.active_count()
    provider = provider_case.open()
    provider.create(instance, call)
    provider.start(instance, call)
    put(provider, instance)
    log_of(provider, instance)
    provider.dispose()
    wait_until(
        lambda: open_descriptors() <= descriptors,
        describe=lambda: sorted(open_descriptors() - descriptors),
    )
    wait_until(lambda: threading.active_count() <= threads)
    assert provider_case.running(instance)
    again = provider_case.open()
    assert status(again, instance) is InstanceStatus.RUNNING
    assert content(again, instance) == b"work"


def open_descriptors() -> set[str]:
    """What every open descriptor of this process is."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        try:
            found.add(f"{path.name} {os.readlink(path)}")  # noqa: PTH115
        except OSError:
            continue
    return {text for text in found if "/proc/" not in text}


def test_calls_for_different_instances_run_side_by_side(
    provider: Provider, provider_case: ProviderCase
) -> None:
    instances = [provider_case.instance(f"web{number}") for number in range(4)]
    failed: list[BaseException] = []

    def live(instance: Instance) -> None:
        try:
            provider.create(instance, fresh_call())
            provider.start(instance, fresh_call())
            provider.stop(instance, fresh_call())
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=live, args=(instance,)) for instance in instances]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert {found.status for found in provider.list()} == {InstanceStatus.STOPPED}
    assert len(provider.list()) == 4
