"""What the tests of the docker provider share: a client of the default engine, and its image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.docker_engine import engine_client
from tests.docker_images import tiny
from tests.docker_own import OwnEngine
from tests.docker_ssh import LoopbackSsh


@pytest.fixture
def docker_client() -> Iterator[docker.DockerClient]:
    """A client of the default engine; skips, or fails if required, where none answers."""
    with engine_client() as client:
        yield client


@pytest.fixture
def tiny_image(docker_client: docker.DockerClient) -> str:
    """The name of the small image with the stand-in, in the default engine."""
    return tiny(docker_client)


@pytest.fixture
def own_engine() -> Iterator[OwnEngine]:
    """A dockerd of the test's own, which it may kill; also at tcp:// with TLS."""
    with OwnEngine(tls=True) as engine:
        yield engine


@pytest.fixture
def loopback_ssh(tmp_path: Path) -> Iterator[LoopbackSsh]:
    """An sshd of the test's own."""
    with LoopbackSsh(tmp_path) as server:
        yield server
