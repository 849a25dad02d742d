"""A start that was cut off with its engine, which is killed: containerd keeps a process that nobody
can end, or the engine a port that nobody has.

The engine then refuses to start that container. When exactly it has to be killed for that
is chance (the storm does it), so its refusal is given in its place here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import docker
import pytest

from swarmd.providers.docker.engine import Engine, Stuck
from swarmd.providers.shared.portbook import PortTaken
from tests.contract.docker_case import DockerCase
from tests.providers.local.kit import call

pytestmark = pytest.mark.docker


def test_a_container_that_can_never_start_is_made_anew(
    tmp_path: Path, docker_client: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = f"swarmd-t{os.getpid()}-stuck"
    case = DockerCase(tmp_path, network)
    started: list[str] = []
    start = Engine.start

    def stuck(self: Engine, ref: str, within: float) -> None:
        started.append(ref)
        if len(started) == 1:
            raise Stuck("id already in use")
        start(self, ref, within)

    monkeypatch.setattr(Engine, "start", stuck)
    try:
        provider, instance = case.open(), case.instance()
        provider.create(instance, call())
        assert provider.start(instance, call()).status == "running"
        assert len(set(started)) == len(started) == 2
        left = docker_client.api.containers(
            all=True, filters={"label": f"dev.swarmd.id={instance.id}"}
        )
        assert [each["Id"] for each in left] == started[1:]
        provider.purge(instance, call())
    finally:
        case.close()
        docker_client.api.remove_network(network)


def shown_as_its_own(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Have the engine show a port at what does not run, as it does after it was killed."""
    list_them = Engine.containers

    def with_port(self: Engine, labels: Sequence[str], within: float) -> list[dict[str, Any]]:
        found = list_them(self, labels, within)
        stopped = [each for each in found if each["State"] == "exited"]
        for each in stopped:
            each["Ports"] = [{"PrivatePort": 8080, "PublicPort": port, "Type": "tcp"}]
        return found

    monkeypatch.setattr(Engine, "containers", with_port)


def held_by_another(client: docker.DockerClient, image: str, provider: str, port: int) -> None:
    """Have a container of somebody else run at a port."""
    bound = client.api.create_host_config(port_bindings={8080: ("127.0.0.1", port)})
    labels = {"dev.swarmd.provider": provider}
    other = client.api.create_container(
        image, ["sleep", "60"], labels=labels, ports=[8080], host_config=bound
    )
    client.api.start(other["Id"])


@pytest.mark.parametrize("case_of", ["leaked", "shown-as-its-own", "another-has-it"])
def test_a_port_that_the_engine_has_lost_is_given_up(
    tmp_path: Path,
    docker_client: docker.DockerClient,
    monkeypatch: pytest.MonkeyPatch,
    case_of: str,
) -> None:
    network = f"swarmd-t{os.getpid()}-port"
    case = DockerCase(tmp_path, network)
    try:
        provider, instance = case.open(), case.instance()
        provider.create(instance, call())
        before = provider.start(instance, call()).address
        assert before is not None
        provider.stop(instance, call(), force=True)
        failed: list[str] = []
        start = Engine.start

        def lost(self: Engine, ref: str, within: float) -> None:
            if not failed:
                failed.append(ref)
                words = f"Bind for 127.0.0.1:{before.port} failed: port is already allocated"
                raise PortTaken(words, details={"cause": words})
            start(self, ref, within)

        monkeypatch.setattr(Engine, "start", lost)
        if case_of == "shown-as-its-own":
            shown_as_its_own(monkeypatch, before.port)
        if case_of == "another-has-it":
            held_by_another(docker_client, case.image(), instance.provider, before.port)
            with pytest.raises(PortTaken):
                provider.start(instance, call())
        else:
            now = provider.start(instance, call()).address
            assert now is not None
            assert now.port != before.port
        provider.purge(instance, call())
    finally:
        case.close()
        docker_client.api.remove_network(network)
