"""Engines as providers of a real daemon, and what the tests of the whole look at in them."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import docker
from docker.errors import NotFound

from tests.daemon import DaemonProcess
from tests.docker_engine import engine_client, engine_url, leftovers, remove_all
from tests.ports import port_range
from tests.support import wait_until

ID = "dev.swarmd.id"
PROVIDER = "dev.swarmd.provider"
SEEN = 10.0
"""Seconds in which a change behind our back is seen on a machine that all tests share. How fast
it is seen otherwise is the benchmarks'."""


@dataclass
class Box:
    """One engine as a provider.

    Args:
        image: Of instances that name none.
        url: Where the daemon finds the engine.
        client_url: Where the test does; empty: the same place.
        options: Further options of the provider.
    """

    image: str
    url: str = field(default_factory=engine_url)
    client_url: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    name: str = field(default_factory=lambda: f"box-{secrets.token_hex(4)}")
    ports: str = field(default_factory=port_range)

    def table(self) -> dict[str, Any]:
        """Its ``[[providers]]`` table."""
        options = {
            "engine": self.url,
            "image": self.image,
            "pull": "never",
            "network": self.name,
            "port_range": self.ports,
        }
        return {"name": self.name, "type": "docker", "options": options | self.options}

    @contextlib.contextmanager
    def client(self) -> Iterator[docker.DockerClient]:
        """A client of the engine that knows nothing of swarmd."""
        with engine_client(self.client_url or self.url) as client:
            yield client

    def containers(self, instance_id: str) -> list[dict[str, Any]]:
        """The containers that bear an instance's id, inspected."""
        with self.client() as client:
            label = f"{ID}={instance_id}"
            listed = client.api.containers(all=True, filters={"label": label})
            return [client.api.inspect_container(each["Id"]) for each in listed]

    def container(self, instance_id: str) -> dict[str, Any]:
        """An instance's one container, inspected."""
        (found,) = self.containers(instance_id)
        return found

    def left(self) -> list[str]:
        """Containers and volumes of this provider."""
        with self.client() as client:
            return leftovers(client, f"{PROVIDER}={self.name}")

    def clear(self) -> None:
        """Remove everything of this provider, and its network."""
        with self.client() as client:
            remove_all(client, f"{PROVIDER}={self.name}")
            with contextlib.suppress(NotFound):
                client.api.remove_network(self.name)


def status(daemon: DaemonProcess, name: str) -> str:
    """What ``swarmctl ls`` says of an instance."""
    found: str = daemon.call("instance.get", id=name)["status"]
    return found


def story(daemon: DaemonProcess, name: str) -> str:
    """What ``swarmctl why`` says, for failures."""
    return daemon.ctl("why", name).stdout


def await_status(daemon: DaemonProcess, name: str, wanted: str, timeout: float = SEEN) -> None:
    """Wait until an instance has a status."""
    wait_until(
        lambda: status(daemon, name) == wanted,
        timeout=timeout,
        describe=lambda: (status(daemon, name), story(daemon, name)),
    )


def event_types(daemon: DaemonProcess, name: str) -> list[str]:
    """The events of one instance, oldest first."""
    items = daemon.call("events.history", limit=1000, target=name)["items"]
    return [item["type"] for item in items]
