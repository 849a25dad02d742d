"""A start that was cut off with its engine: containerd keeps a process that nobody can end.

The engine then refuses to start that container for ever. When exactly it has to be killed for that
is chance (the storm does it), so its refusal is given in its place here.
"""

from __future__ import annotations

import os
from pathlib import Path

import docker
import pytest

from swarmd.providers.docker.engine import Engine, Stuck
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
