"""What the tests of the docker provider share: engines, what is made in them, threads."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest

from swarmd.providers.docker.engine import Engine, Where
from tests import docker_images
from tests.docker_engine import engine_client, engine_url, leftovers, remove_all, require_docker
from tests.docker_own import OwnEngine
from tests.docker_ssh import LoopbackSsh
from tests.providers.docker.bench import Bench
from tests.providers.docker.sessions import Box, box


@pytest.fixture
def docker_client() -> Iterator[docker.DockerClient]:
    """A client of the default engine; skips, or fails if required, where none answers."""
    with engine_client() as client:
        yield client


@pytest.fixture
def tiny_image(docker_client: docker.DockerClient) -> str:
    """The name of the small image with the stand-in, in the default engine."""
    return docker_images.tiny(docker_client)


@pytest.fixture
def engine() -> Iterator[Engine]:
    """The default engine."""
    made = Engine("test", Where(engine_url()))
    yield made
    made.close()


@pytest.fixture
def tiny(docker_client: docker.DockerClient, engine: Engine, tiny_image: str) -> Iterator[Box]:
    """A running container of the small image."""
    with box(docker_client, engine, tiny_image) as made:
        yield made


@pytest.fixture
def bench(docker_client: docker.DockerClient, tiny_image: str) -> Iterator[Bench]:
    """The default engine under test; what was made in it is removed."""
    mark = f"swarmd-test-{secrets.token_hex(4)}"
    engine = Engine("box", Where(require_docker()))
    bench = Bench(engine, mark, tiny_image)
    try:
        yield bench
    finally:
        engine.close()
        remove_all(docker_client, bench.label)
        assert not leftovers(docker_client, bench.label)


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


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Threads for calls that wait for one another."""
    with ThreadPoolExecutor(8) as pool:
        yield pool
