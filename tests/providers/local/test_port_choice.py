"""Which port an instance gets, and how many instances there may be."""

from __future__ import annotations

import os
import socket

import pytest

from swarmd.errors import (
    Conflict,
    ProviderError,
    ResourceLimitError,
    SwarmError,
)
from swarmd.messages.enums import InstanceStatus
from swarmd.messages.instance import Network, PortSpec
from swarmd.providers.local.provider import LocalProvider
from swarmd.providers.shared.portbook import bind
from tests.providers.local.conftest import Make
from tests.providers.local.kit import (
    call,
    first_port,
    make_instance,
)
from tests.support import free_port


def test_a_port_taken_while_it_was_stopped(provider: LocalProvider) -> None:
    instance = make_instance()
    provider.create(instance, call())
    provider.start(instance, call())
    provider.stop(instance, call())
    record = provider._context.index.get(instance.id)
    assert record is not None
    told = f"port {record.port}.*process {os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", record.port)),
        pytest.raises(ProviderError, match=told),
    ):
        provider.start(instance, call())
    assert provider.start(instance, call()).status is InstanceStatus.RUNNING


def test_a_port_taken_before_it_was_ever_served(provider: LocalProvider) -> None:
    """Another daemon with the same range was quicker: nobody knows that port, so it is given up."""
    instance = make_instance()
    provider.create(instance, call())
    before = provider._context.index.get(instance.id)
    assert before is not None
    with socket.create_server(("127.0.0.1", before.port)):
        address = provider.start(instance, call()).address
    assert address is not None
    assert address.port != before.port
    assert provider._context.ports.owned(instance.id) == [address.port]
    provider.stop(instance, call())
    again = provider.start(instance, call()).address
    assert again == address


@pytest.mark.parametrize("listens", [True, False])
def test_a_port_that_is_only_bound_is_exchanged_too(provider: LocalProvider, listens: bool) -> None:
    instance = make_instance()
    provider.create(instance, call())
    before = provider._context.index.get(instance.id)
    assert before is not None
    with bind(socket.AF_INET, "127.0.0.1", before.port) as other:
        if listens:
            other.listen()
        assert provider.start(instance, call()).address is not None


def test_a_port_is_not_lost_where_the_exchange_cannot_be_written(
    provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = make_instance()
    provider.create(instance, call())
    owned = provider._context.ports.owned(instance.id)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with (
        socket.create_server(("127.0.0.1", owned[0])),
        monkeypatch.context() as patch,
        pytest.raises(SwarmError),
    ):
        patch.setattr(provider._context.index, "put", full)
        patch.setattr(provider._context.index, "_put", full)
        provider.start(instance, call())
    assert provider._context.ports.owned(instance.id) == owned


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
