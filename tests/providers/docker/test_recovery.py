"""What was left half done, or changed by hand, is completed: nothing is lost or empty."""

from __future__ import annotations

import contextlib
import errno
import secrets
import socket
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import NotFound
from msgspec.structs import replace

from swarmd.errors import InstanceNotFound, ResourceLimitError
from swarmd.messages.enums import InstanceStatus
from swarmd.messages.instance import Instance, Network, PortSpec
from swarmd.messages.requests import ExecInstance
from swarmd.providers.docker.engine import Engine
from swarmd.providers.docker.maker import Maker
from swarmd.providers.docker.provider import DockerProvider
from swarmd.providers.shared.portbook import PortTaken, bind
from tests.contract.docker_case import DockerCase
from tests.docker_engine import remove_container
from tests.providers.local.kit import call
from tests.support import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]
JOB = "dev.swarmd.job"


class Killed(BaseException):
    """The process ended here."""


@pytest.fixture
def case(tmp_path: Path, docker_client: docker.DockerClient) -> Iterator[DockerCase]:
    network = f"t{secrets.token_hex(6)}"
    made = DockerCase(tmp_path, network)
    yield made
    made.close()
    docker_client.api.remove_network(network)


def opened(case: DockerCase, **options: Any) -> DockerProvider:
    provider = case.open(**options)
    assert isinstance(provider, DockerProvider)
    return provider


def create_until(
    provider: DockerProvider,
    instance: Instance,
    at: str,
    monkeypatch: pytest.MonkeyPatch,
    data: bytes | None = None,
) -> None:
    """A creation that is cut off at a step, as kill -9 does it: nothing is undone."""

    def step(name: str) -> None:
        if name == at:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Maker, "_undo", lambda maker, instance: None)
        patch.setattr(provider._context, "step", step)
        with pytest.raises(Killed):
            if data is None:
                provider.create(instance, call())
            else:
                provider.import_data(instance, [data], call())


def said(provider: DockerProvider, instance: Instance, *command: str) -> str:
    session = provider.exec(instance, ExecInstance(id=instance.id, command=command))
    pieces = list(iter(session.read, None))
    session.close()
    return b"".join(piece[1] for piece in pieces).decode().strip()


def container(client: docker.DockerClient, instance: Instance) -> str:
    (found,) = client.api.containers(all=True, filters={"label": f"dev.swarmd.id={instance.id}"})
    return str(found["Id"])


@pytest.mark.parametrize("at", ["volume made", "container made"])
def test_a_creation_that_was_cut_off_is_completed(
    case: DockerCase, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    provider, instance = opened(case), case.instance()
    create_until(provider, instance, at, monkeypatch)
    assert provider.create(instance, call()).complete
    assert provider.start(instance, call()).status is InstanceStatus.RUNNING
    assert said(provider, instance, "pwd") == "/home/coder/project"


@pytest.mark.parametrize("at", ["volume made", "container made"])
def test_an_extension_is_not_forgotten_by_a_creation_that_was_cut_off(
    case: DockerCase, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    provider, instance = opened(case), case.instance(extensions=(case.extension(),))
    create_until(provider, instance, at, monkeypatch)
    assert provider.create(instance, call()).complete
    assert len(case.installed(instance)) == 1, "before its first start"


@pytest.mark.parametrize("at", ["volume made", "container made"])
def test_an_import_that_was_cut_off_has_its_files(
    case: DockerCase, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    provider, first, second = opened(case), case.instance("first"), case.instance("second")
    provider.create(first, call())
    provider.start(first, call())
    said(provider, first, "sh", "-c", "echo mine >kept")
    data = b"".join(provider.export(first, call()))
    create_until(provider, second, at, monkeypatch, data)
    assert provider.import_data(second, [data], call()).complete
    provider.start(second, call())
    assert said(provider, second, "cat", "kept") == "mine"


def test_what_has_lost_its_container_is_put_into_the_trash_all_the_same(
    case: DockerCase, docker_client: docker.DockerClient
) -> None:
    provider, instance = opened(case), case.instance()
    provider.create(instance, call())
    remove_container(docker_client, container(docker_client, instance))
    provider.trash(instance, call())
    found = provider.get(instance.id)
    assert found is not None
    assert found.status is InstanceStatus.DELETED
    assert provider.restore(instance, call()).status is not InstanceStatus.DELETED


def test_an_empty_volume_is_never_put_in_place_of_one_that_vanished_meanwhile(
    case: DockerCase, docker_client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, instance = opened(case), case.instance()
    provider.create(instance, call())
    volume = f"swarmd-{instance.id}"

    def step(name: str) -> None:
        if name == "container removed":
            docker_client.api.remove_volume(volume)

    monkeypatch.setattr(provider._context, "step", step)
    changed = replace(instance, config=replace(instance.config, env={"NEW": "1"}))
    with pytest.raises(InstanceNotFound):
        provider.start(changed, call())
    assert provider.get(instance.id) is None
    docker_client.api.remove_volume(volume)  # the engine's own, without a mark


def test_looking_takes_no_ports(case: DockerCase) -> None:
    provider, instance = opened(case), case.instance()
    provider.create(instance, call())
    more = Network(ports=(PortSpec(container_port=3000),))
    changed = replace(instance, config=replace(instance.config, network=more))
    before = dict(provider._context.ports._owners)
    provider.update(changed, call())
    list(provider.export(changed, call()))
    assert provider._context.ports._owners == before


def test_an_extension_asked_for_after_the_container_was_removed_is_installed(
    case: DockerCase, docker_client: docker.DockerClient
) -> None:
    provider, instance = opened(case), case.instance()
    provider.create(instance, call())
    remove_container(docker_client, container(docker_client, instance))
    wanted = replace(instance.config, extensions=(case.extension(),))
    provider.update(replace(instance, config=wanted), call())
    provider.start(replace(instance, config=wanted), call())
    assert len(case.installed(instance)) == 1


def test_no_more_are_made_than_may_be_however_many_ask_at_once(case: DockerCase) -> None:
    from concurrent.futures import ThreadPoolExecutor

    provider = opened(case, max_instances=1)
    asked = [case.instance(f"web-{number}") for number in range(4)]

    def made(instance: Instance) -> bool:
        try:
            provider.create(instance, call())
        except ResourceLimitError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(made, asked)) == 1


def test_work_of_another_daemon_is_left_alone(
    case: DockerCase, tiny_image: str, docker_client: docker.DockerClient
) -> None:
    provider = opened(case)
    own = {JOB: "x", "dev.swarmd.provider": provider.name}
    made = {
        node: docker_client.api.create_container(
            tiny_image, ["true"], labels=own | {"dev.swarmd.node": node}
        )["Id"]
        for node in (provider._context.node.id, "another")
    }
    opened(case)
    docker_client.api.inspect_container(made["another"])
    with pytest.raises(NotFound):
        docker_client.api.inspect_container(made[provider._context.node.id])


def test_a_deletion_ends_the_work_for_it(
    case: DockerCase, tiny_image: str, docker_client: docker.DockerClient
) -> None:
    provider, instance = opened(case), case.instance()
    provider.create(instance, call())
    labels = {JOB: instance.id, "dev.swarmd.provider": provider.name}
    docker_client.api.create_container(tiny_image, ["true"], labels=labels)
    provider.purge(instance, call())
    assert case.remains(instance) == []
    assert not docker_client.api.containers(all=True, filters={"label": f"{JOB}={instance.id}"})


def test_a_container_made_of_an_image_of_another_is_not_taken_for_it(
    case: DockerCase, docker_client: docker.DockerClient
) -> None:
    provider, instance = opened(case), case.instance()
    provider.create(instance, call())
    own = container(docker_client, instance)
    labels = docker_client.api.inspect_container(own)["Config"]["Labels"]
    docker_client.api.create_container(
        docker_client.api.inspect_container(own)["Config"]["Image"], ["true"], labels=labels
    )
    found = provider._looker.find(instance.id)
    assert found is not None
    assert found.ref == own


def test_a_full_disk_is_told_as_such(case: DockerCase, monkeypatch: pytest.MonkeyPatch) -> None:
    provider, instance = opened(case), case.instance()
    provider.create(instance, call())

    def full(file: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("swarmd.providers.shared.reserved.write_durably", full)
        with pytest.raises(ResourceLimitError, match="disk is full"):
            provider.purge(instance, call())
    provider.purge(instance, call())
    assert case.remains(instance) == []
    assert provider._context.ports.owned(instance.id) == []


def test_ports_that_others_have_are_left_alone_and_the_address_stays(
    case: DockerCase, docker_client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, instance = opened(case), case.instance()
    book = provider._context.ports
    monkeypatch.setattr(book, "_free", lambda address, port: True)  # as for an engine elsewhere
    first = int(case._options["port_range"].partition("-")[0])
    with contextlib.ExitStack() as stack:
        for port in (first, first + 1):
            stack.enter_context(bind(socket.AF_INET, "127.0.0.1", port)).listen()
        provider.create(instance, call())
        address = provider.start(instance, call()).address
    assert address is not None
    assert address.port > first + 1
    assert book.owned(instance.id) == [address.port]
    assert not book.regain(first, instance.id), "it waits for a day"
    remove_container(docker_client, container(docker_client, instance))
    assert provider.start(instance, call()).address == address


def test_a_port_that_was_added_stays(case: DockerCase, docker_client: docker.DockerClient) -> None:
    provider, instance = opened(case), case.instance()
    provider.create(instance, call())
    more = Network(ports=(PortSpec(container_port=3000),))
    changed = replace(instance, config=replace(instance.config, network=more))
    provider.update(changed, call())
    provider.start(changed, call())
    owned = provider._context.ports.owned(instance.id)
    assert len(owned) == 2
    remove_container(docker_client, container(docker_client, instance))
    provider.start(changed, call())
    assert provider._context.ports.owned(instance.id) == owned
    again = opened(case)
    assert again._context.ports.owned(instance.id) == owned


def test_a_port_that_was_asked_for_is_not_exchanged(case: DockerCase) -> None:
    provider = opened(case)
    with bind(socket.AF_INET, "127.0.0.1", 0) as listener:
        listener.listen()
        port = PortSpec(container_port=3000, host_port=listener.getsockname()[1])
        instance = case.instance(network=Network(ports=(port,)))
        provider.create(instance, call())
        owned = provider._context.ports.owned(instance.id)
        with pytest.raises(PortTaken):
            provider.start(instance, call())
    assert provider._context.ports.owned(instance.id) == owned
    assert provider.start(instance, call()).status is InstanceStatus.RUNNING


@pytest.fixture
def archives(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The containers whose files an engine was asked to read or put."""
    asked: list[str] = []
    put, get = Engine.put_archive, Engine.get_archive

    def putting(engine: Engine, ref: str, *rest: Any) -> None:
        asked.append(ref)
        put(engine, ref, *rest)

    def getting(engine: Engine, ref: str, *rest: Any) -> Generator[bytes]:
        asked.append(ref)
        return get(engine, ref, *rest)

    monkeypatch.setattr(Engine, "put_archive", putting)
    monkeypatch.setattr(Engine, "get_archive", getting)
    return asked


def test_no_file_is_touched_where_somebody_else_ended_the_container(
    case: DockerCase, docker_client: docker.DockerClient, archives: list[str]
) -> None:
    provider, instance = opened(case), case.instance()
    provider.create(instance, call())
    provider.start(instance, call())
    ref = container(docker_client, instance)
    for act in (docker_client.api.kill, docker_client.api.restart):
        archives.clear()
        act(ref)
        provider.start(instance, call())
        assert container(docker_client, instance) == ref
        assert not archives, "he may go on to remove it, and an old engine empties its volume"
    provider.stop(instance, call(), force=True)
    provider.start(instance, call())
    assert archives, "what we ended ourselves has its settings put in again"


def test_no_file_is_touched_in_a_container_that_is_being_removed(
    case: DockerCase,
    docker_client: docker.DockerClient,
    archives: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provider, instance = opened(case), case.instance()
    provider.create(instance, call())
    provider.start(instance, call())
    said(provider, instance, "sh", "-c", "echo mine >kept")
    provider.stop(instance, call(), force=True)
    ref, inspect = container(docker_client, instance), Engine.inspect

    def removing(engine: Engine, which: str, within: float) -> dict[str, Any]:
        found = inspect(engine, which, within)
        return {**found, "State": {"Status": "removing"}} if which == ref else found

    monkeypatch.setattr(Engine, "inspect", removing)
    archives.clear()
    provider.start(instance, call())
    assert ref not in archives
    assert said(provider, instance, "cat", "kept") == "mine"


def test_files_outlive_a_removal_by_hand_that_meets_a_restart(
    case: DockerCase, docker_client: docker.DockerClient
) -> None:
    provider, instance = opened(case), case.instance()
    provider.create(instance, call())
    provider.start(instance, call())
    said(provider, instance, "sh", "-c", "echo mine >kept")
    for number in range(10):
        ref = container(docker_client, instance)
        removal = threading.Thread(target=remove_container, args=(docker_client, ref))
        removal.start()
        wait_until(lambda ref=ref: not runs(docker_client, ref))  # type: ignore[misc]
        provider.start(instance, call())
        removal.join()
        assert container(docker_client, instance) != ref
        assert said(provider, instance, "cat", "kept") == "mine", f"removal {number}"


def runs(client: docker.DockerClient, ref: str) -> bool:
    try:
        return bool(client.api.inspect_container(ref)["State"]["Running"])
    except NotFound:
        return False
