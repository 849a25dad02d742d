"""Promises on a life: made, looked at, started, changed, stopped, trashed and purged."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from swarmd.errors import Conflict, InstanceNotFound, SwarmError
from swarmd.messages.enums import InstanceStatus
from swarmd.messages.instance import Instance
from swarmd.ports import Call, Provider
from tests.contract.cases import ProviderCase, execute
from tests.contract.kit import content, put, status

# --- names, looking ---


def test_it_says_what_it_is(provider: Provider) -> None:
    assert provider.name
    assert provider.type
    health = provider.probe()
    assert health.ok, health.message
    capabilities = provider.capabilities()
    assert capabilities.max_resources_per_instance.cpu.cores > 0
    assert set(capabilities.limits_enforced) <= {"cpu", "memory", "storage", "pids"}


def test_nothing_is_there_at_first(provider: Provider, instance: Instance) -> None:
    assert list(provider.list()) == []
    assert provider.get(instance.id) is None
    assert provider.address(instance.id) is None
    assert list(provider.stats([instance])) == []


def test_get_and_list_agree_through_a_life(
    provider: Provider, provider_case: ProviderCase, instance: Instance, call: Call
) -> None:
    expected: list[tuple[Callable[[], object], InstanceStatus]] = [
        (lambda: provider.create(instance, call), InstanceStatus.CREATED),
        (lambda: provider.start(instance, call), InstanceStatus.RUNNING),
        (lambda: provider.stop(instance, call), InstanceStatus.STOPPED),
        (lambda: provider.trash(instance, call), InstanceStatus.DELETED),
        (lambda: provider.restore(instance, call), InstanceStatus.STOPPED),
        (lambda: provider.start(instance, call), InstanceStatus.RUNNING),
    ]
    for act, wanted in expected:
        act()
        one = provider.get(instance.id)
        (listed,) = provider.list()
        assert one is not None
        assert one.status is listed.status is wanted
        assert replace(one, config=None, bytes=None) == replace(listed, config=None, bytes=None)
        assert (one.id, one.name, one.owner) == (instance.id, instance.name, instance.owner)
        assert one.epoch == instance.epoch
        assert one.complete
        assert one.node
        assert (one.address is not None) == (wanted is InstanceStatus.RUNNING)
    again = provider_case.open()
    assert [found.id for found in again.list()] == [instance.id], "another daemon's start"
    assert status(again, instance) is InstanceStatus.RUNNING


def test_it_answers_where_it_says(provider: Provider, running: Instance, call: Call) -> None:
    address = provider.address(running.id)
    assert address is not None
    assert provider.check(running, call)
    with urllib.request.urlopen(
        f"http://{address.host}:{address.port}/healthz", timeout=10
    ) as answer:
        assert answer.status == 200


# --- idempotency, epochs ---


def test_asking_again_changes_nothing(
    provider: Provider, provider_case: ProviderCase, instance: Instance, call: Call
) -> None:
    provider.create(instance, call)
    first = provider.create(instance, call)
    assert first.status is InstanceStatus.CREATED
    assert not provider.start(instance, call).unchanged
    put(provider, instance)
    before = provider.get(instance.id)
    provider.create(instance, call)
    assert provider.start(instance, call).unchanged
    assert provider.get(instance.id) == before
    assert content(provider, instance) == b"work"
    for unchanged in (False, True):
        seen = provider.stop(instance, call)
        assert (seen.status, seen.unchanged) == (InstanceStatus.STOPPED, unchanged)
    for _ in range(2):
        provider.trash(instance, call)
    for _ in range(2):
        assert provider.restore(instance, call).status is InstanceStatus.STOPPED
    for _ in range(2):
        provider.purge(instance, call)
    assert provider_case.remains(instance) == []


def test_an_older_epoch_is_refused(
    provider: Provider, provider_case: ProviderCase, instance: Instance, call: Call
) -> None:
    now = replace(instance, epoch=3)
    provider.create(now, call)
    provider.start(now, call)
    for act in (
        lambda old: provider.create(old, call),
        lambda old: provider.start(old, call),
        lambda old: provider.stop(old, call),
        lambda old: provider.renew(old, call),
        lambda old: provider.update(old, call),
        lambda old: provider.trash(old, call),
        lambda old: provider.restore(old, call),
        lambda old: provider.purge(old, call),
    ):
        with pytest.raises(Conflict) as caught:
            act(instance)
        assert caught.value.next_step
    found = provider.get(instance.id)
    assert found is not None
    assert (found.status, found.epoch) == (InstanceStatus.RUNNING, 3)
    provider.stop(replace(instance, epoch=4), call)
    assert status(provider, instance) is InstanceStatus.STOPPED


# --- stop, address ---


def test_stop_ends_everything(
    provider: Provider, provider_case: ProviderCase, running: Instance, call: Call
) -> None:
    execute(provider, running, "sh", "-c", "setsid sleep 300 >/dev/null 2>&1 </dev/null &")
    assert provider_case.running(running)
    provider.stop(running, call)
    assert provider_case.running(running) == []
    assert provider.address(running.id) is None
    with pytest.raises(SwarmError):
        execute(provider, running, "true")


def test_stop_by_force_does_not_wait(
    provider: Provider, provider_case: ProviderCase, call: Call
) -> None:
    instance = provider_case.instance("web" if provider_case.real else "stubborn-web")
    provider.create(instance, call)
    provider.start(instance, call)
    began = time.monotonic()
    provider.stop(instance, call, force=True)
    assert time.monotonic() - began < provider_case.grace
    assert provider_case.running(instance) == []


def test_the_address_stays_over_stop_trash_and_restart_of_the_daemon(
    provider: Provider, provider_case: ProviderCase, running: Instance, call: Call
) -> None:
    before = provider.address(running.id)
    provider.stop(running, call)
    provider.start(running, call)
    assert provider.address(running.id) == before
    again = provider_case.open()
    assert again.address(running.id) == before
    again.stop(running, call)
    again.trash(running, call)
    assert again.address(running.id) is None
    again.restore(running, call)
    again.start(running, call)
    assert again.address(running.id) == before


def test_two_instances_have_two_addresses(
    provider: Provider, provider_case: ProviderCase, running: Instance, call: Call
) -> None:
    other = provider_case.instance("other")
    provider.create(other, call)
    provider.start(other, call)
    assert provider.address(other.id) != provider.address(running.id)
    put(provider, running)
    assert content(provider, other) == b""


# --- renew ---


def test_renewed_it_keeps_its_data_and_its_address(
    provider: Provider, provider_case: ProviderCase, running: Instance, call: Call
) -> None:
    put(provider, running)
    before = provider.address(running.id)
    provider.stop(running, call)
    for _ in range(2):
        provider.renew(running, call)
        assert status(provider, running) in (InstanceStatus.STOPPED, InstanceStatus.CREATED)
    assert provider_case.running(running) == []
    provider.start(running, call)
    assert provider.address(running.id) == before
    assert content(provider, running) == b"work"
    again = provider_case.open()
    assert status(again, running) is InstanceStatus.RUNNING


def test_what_is_not_there_cannot_be_renewed(
    provider: Provider, provider_case: ProviderCase, instance: Instance, call: Call
) -> None:
    with pytest.raises(InstanceNotFound):
        provider.renew(instance, call)
    assert provider.get(instance.id) is None
    assert provider_case.remains(instance) == []


# --- trash, purge ---


def test_trash_and_restore_keep_the_data(
    provider: Provider, provider_case: ProviderCase, running: Instance, call: Call
) -> None:
    put(provider, running)
    provider.stop(running, call)
    provider.trash(running, call)
    assert provider_case.running(running) == []
    assert status(provider, running) is InstanceStatus.DELETED
    with pytest.raises(SwarmError):
        provider.start(running, call)
    provider.restore(running, call)
    provider.start(running, call)
    assert content(provider, running) == b"work"


@pytest.mark.parametrize("state", ["created", "running", "stopped", "trashed"])
def test_purge_leaves_nothing(
    provider: Provider, provider_case: ProviderCase, instance: Instance, call: Call, state: str
) -> None:
    provider.create(instance, call)
    if state != "created":
        provider.start(instance, call)
    if state in ("stopped", "trashed"):
        provider.stop(instance, call)
    if state == "trashed":
        provider.trash(instance, call)
    provider.purge(instance, call)
    assert provider_case.remains(instance) == []
    assert provider.get(instance.id) is None
    assert list(provider.list()) == []
    provider.create(instance, call)
    assert status(provider, instance) is InstanceStatus.CREATED


def test_discard_removes_a_stray(
    provider: Provider, provider_case: ProviderCase, running: Instance, call: Call
) -> None:
    provider.discard(running.id, call)
    assert provider_case.remains(running) == []


# --- update ---


def test_update_takes_over_the_configuration(
    provider: Provider, running: Instance, call: Call
) -> None:
    changed = replace(running, config=replace(running.config, env={"COLOUR": "blue"}))
    outcome = provider.update(changed, call)
    assert outcome.restart_required
    assert outcome.observed.status is InstanceStatus.RUNNING
    provider.stop(changed, call)
    provider.start(changed, call)
    assert execute(provider, changed, "printenv", "COLOUR")[1].strip() == b"blue"
    assert provider.update(changed, call).restart_required == ()


# --- upkeep, stats ---


def test_upkeep_may_come_at_any_time(provider: Provider, running: Instance) -> None:
    provider.upkeep(datetime.now(UTC))
    assert status(provider, running) is InstanceStatus.RUNNING


def test_stats_of_what_runs(
    provider: Provider, provider_case: ProviderCase, running: Instance, call: Call
) -> None:
    other = provider_case.instance("other")
    provider.create(other, call)
    (found,) = provider.stats([running, other])
    assert found.id == running.id
    assert found.pids is None or found.pids >= 1
    assert found.memory_bytes is None or found.memory_bytes > 1 << 20
    assert found.taken_at.tzinfo is not None
