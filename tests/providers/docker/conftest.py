"""What the tests of the docker provider share: a client of the default engine, and its image."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from tests.docker_engine import engine_client
from tests.docker_images import tiny


@pytest.fixture
def docker_client() -> Iterator[docker.DockerClient]:
    """A client of the default engine; skips, or fails if required, where none answers."""
    with engine_client() as client:
        yield client


@pytest.fixture
def tiny_image(docker_client: docker.DockerClient) -> str:
    """The name of the small image with the stand-in, in the default engine."""
    return tiny(docker_client)
