"""The adapters that the suite runs over."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarmd.ports import Call, Provider
from tests.contract.cases import LocalCase, ProviderCase
from tests.docker_engine import engine_client

Maker = Callable[[pytest.FixtureRequest, Path], ProviderCase]


def _local(request: pytest.FixtureRequest, path: Path) -> ProviderCase:
    del request
    return LocalCase(path)


def _local_real(request: pytest.FixtureRequest, path: Path) -> ProviderCase:
    from swarmd.setup import find_installed

    found = find_installed(request.getfixturevalue("code_server_dir"))
    assert found is not None
    return LocalCase(path, tuple(found.command))


def _docker(request: pytest.FixtureRequest, path: Path, *, server: bool = False) -> ProviderCase:
    from tests.contract.docker_case import DockerCase

    return DockerCase(path, request.getfixturevalue("docker_network"), server=server)


def _docker_real(request: pytest.FixtureRequest, path: Path) -> ProviderCase:
    return _docker(request, path, server=True)


ADAPTERS = [
    pytest.param(_local, id="local"),
    pytest.param(_local_real, id="local-code-server", marks=pytest.mark.code_server),
    pytest.param(_docker, id="docker", marks=pytest.mark.docker),
    pytest.param(
        _docker_real,
        id="docker-code-server",
        # Who comes first makes the image, and the others wait for it.
        marks=[pytest.mark.docker, pytest.mark.code_server, pytest.mark.timeout(600)],
    ),
]


@pytest.fixture(scope="session")
def docker_network() -> Iterator[str]:
    """A network for the containers of one test process: the first provider makes it."""
    with engine_client() as client:
        name = f"swarmd-t{os.getpid()}"
        yield name
        for network in client.networks.list(names=[name]):
            network.remove()


@pytest.fixture(params=ADAPTERS)
def provider_case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ProviderCase]:
    """One adapter in a place of the test's own; at the end nothing of it runs."""
    make: Maker = request.param
    case = make(request, tmp_path)
    yield case
    case.close()


@pytest.fixture
def provider(provider_case: ProviderCase) -> Provider:
    """A fresh provider."""
    return provider_case.open()


@pytest.fixture
def call() -> Call:
    """A call with a minute to go."""
    return Call(deadline=time.monotonic() + 60, clock=time.monotonic)
