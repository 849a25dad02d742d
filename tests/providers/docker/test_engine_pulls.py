"""Images that a real engine fetches from a registry."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import docker
import pytest

from swarmd.errors import OperationCancelled, ProviderError
from swarmd.ports import Call
from swarmd.providers.docker.engine import Login, NotThere
from tests.providers.docker.bench import Bench
from tests.providers.docker.registry import Registry
from tests.support import free_port


def call(told: list[tuple[str, float | None]] | None = None, seconds: float = 60.0) -> Call:
    def progress(message: str, fraction: float | None) -> None:
        if told is not None:
            told.append((message, fraction))

    return Call(deadline=time.monotonic() + seconds, clock=time.monotonic, progress=progress)


@pytest.fixture
def registry(docker_client: docker.DockerClient) -> Iterator[Registry]:
    with Registry(login="ana:s3cret-word") as registry:
        yield registry
        for image in docker_client.images.list(filters={"label": "dev.swarmd.test=registry"}):
            docker_client.images.remove(str(image.id), force=True)


def test_an_image_is_fetched_with_progress(bench: Bench, registry: Registry) -> None:
    told: list[tuple[str, float | None]] = []
    bench.engine.pull(registry.image, Login("ana", "s3cret-word"), call(told))
    assert bench.engine.image(registry.image, 10)["Id"]
    message, fraction = told[-1]
    assert message == "layer 3 of 3, 3 MB of 3 MB"
    assert fraction == 1.0


def test_a_login_that_is_wrong_is_told_without_it(bench: Bench, registry: Registry) -> None:
    for login in (Login("ana", "another-s3cret"), None):
        with pytest.raises(ProviderError) as refused:
            bench.engine.pull(registry.image, login, call())
        for word in (registry.image, "box", "unix://", "registry_user"):
            assert word in f"{refused.value.message} {refused.value.next_step}"
        assert "another" not in f"{refused.value} {refused.value.details} {login!r}"


def test_a_tag_that_is_missing_is_told(bench: Bench, registry: Registry) -> None:
    with pytest.raises(ProviderError) as missing:
        bench.engine.pull(f"{registry.image}23", Login("ana", "s3cret-word"), call())
    assert missing.value.next_step == "Correct the image's name and tag."


def test_a_registry_that_does_not_answer_is_named(bench: Bench) -> None:
    image = f"127.0.0.1:{free_port()}/x/y"
    with pytest.raises(ProviderError) as refused:
        bench.engine.pull(image, None, call())
    assert refused.value.details["image"] == image
    assert "refused" in refused.value.message
    assert refused.value.field == "config.image"


def test_a_pull_is_cancelled_in_the_middle(bench: Bench, registry: Registry) -> None:
    registry.stall.set()
    asked = call()

    def cancel() -> None:
        registry.stalled.wait(20)
        asked.cancelled.set()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(OperationCancelled):
        bench.engine.pull(registry.image, Login("ana", "s3cret-word"), asked)
    canceller.join()
    with pytest.raises(NotThere):
        bench.engine.image(registry.image, 10)
