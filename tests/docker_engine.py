"""The engine that the tests use, and what of them is left in it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import requests
from docker.errors import APIError, DockerException, NotFound

from tests.support import require, wait_until

PATIENCE = 60
"""Seconds that one answer of an engine may take: disks are shared by all tests."""


def engine_url() -> str:
    """The default engine of this machine."""
    return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def answers(url: str) -> bool:
    """Whether an engine answers at a unix:// url now.

    Asked without the SDK, which leaves its socket open where nobody listens.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        try:
            connection.connect(url.removeprefix("unix://"))
            connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
            return b" 200 " in connection.recv(4096)
        except OSError:
            return False


@contextmanager
def engine_client(url: str = "") -> Iterator[docker.DockerClient]:
    """A client of its own, closed at the end; skips if the engine does not answer.

    Args:
        url: Of the engine; empty: the default one.
    """
    place = url or engine_url()
    if place.startswith("unix://"):
        require("docker", answers(place), f"no engine answers at {place}")
    try:
        client = docker.DockerClient(base_url=place, timeout=PATIENCE)
    except (DockerException, requests.RequestException) as error:
        require("docker", found=False, reason=f"no engine at {place}: {error}")
        raise AssertionError from error
    try:
        yield client
    finally:
        client.close()


def require_docker() -> str:
    """The url of the default engine; skips, or fails if required, where there is none."""
    with engine_client() as client:
        client.ping()
    return engine_url()


def leftovers(client: docker.DockerClient, *labels: str) -> list[str]:
    """Containers, volumes and networks that bear all these labels (``key`` or ``key=value``)."""
    api, filters = client.api, {"label": list(labels)}
    containers = [
        f"container {found['Names']}" for found in api.containers(all=True, filters=filters)
    ]
    volumes = [f"volume {found['Name']}" for found in api.volumes(filters=filters)["Volumes"] or ()]
    networks = [f"network {found['Name']}" for found in api.networks(filters=filters)]
    return [*containers, *volumes, *networks]


def remove_container(client: docker.DockerClient, ref: str) -> None:
    """Remove a container as somebody does by hand: again where the engine was still busy with it.

    While another call has its file system mounted, the engine answers 500 and keeps it as dead.
    """

    def removed() -> bool:
        try:
            client.api.remove_container(ref, force=True)
        except NotFound:
            return True
        except APIError as error:
            if "failed to remove root filesystem" not in str(error):
                raise
            return False
        return True

    wait_until(removed, timeout=PATIENCE)


def remove_all(client: docker.DockerClient, *labels: str) -> None:
    """Remove whatever bears all these labels."""
    api, filters = client.api, {"label": list(labels)}
    for container in api.containers(all=True, filters=filters):
        remove_container(client, container["Id"])
    for volume in api.volumes(filters=filters)["Volumes"] or ():
        api.remove_volume(volume["Name"], force=True)
    for network in api.networks(filters=filters):
        api.remove_network(network["Id"])


def run_inside(client: docker.DockerClient, container: str, *command: str) -> tuple[int, str]:
    """Run a command in a container without the provider's help: its exit code and its output."""
    answer = client.containers.get(container).exec_run(list(command))
    assert isinstance(answer.output, bytes)
    assert answer.exit_code is not None
    return answer.exit_code, answer.output.decode()
