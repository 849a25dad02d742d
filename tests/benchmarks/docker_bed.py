"""A docker provider in this process, and the bare SDK that does the same calls beside it."""

from __future__ import annotations

import contextlib
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import docker
from docker.errors import NotFound
from msgspec.structs import replace

from swarmd.messages.config import Config, DaemonConfig
from swarmd.messages.enums import Transport
from swarmd.messages.instance import Instance
from swarmd.messages.provider import ProviderRecord
from swarmd.messages.state import Node
from swarmd.ports import Call
from swarmd.providers.docker.container import Image, Plan
from swarmd.providers.docker.files import File, Made, Owner, bare, tar_of
from swarmd.providers.docker.marks import marks_of, volume_name
from swarmd.providers.docker.options import read_options
from swarmd.providers.docker.provider import DockerProvider
from swarmd.providers.docker.settings import settings_of
from swarmd.providers.shared.answer import Asker, Endpoint, within
from swarmd.providers.shared.codeserver import CONTAINER_PORT
from swarmd.providers.shared.portbook import is_free
from tests.docker_engine import PATIENCE, engine_client, engine_url, remove_all
from tests.docker_images import HOME, USER_ID, tiny
from tests.providers.local.kit import RealClock, make_instance

PROVIDER = "dev.swarmd.provider"
_LOOPBACK = "127.0.0.1"
_OURS = "28000-28999"
_THEIRS = range(29000, 30000)
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Bed:
    """Both sides, on the default engine; everything bears the provider's name.

    Args:
        image: What all containers are made of.
    """

    name: str
    image: str
    options: dict[str, Any]
    provider: DockerProvider
    client: docker.DockerClient

    def instance(self) -> Instance:
        """One to make."""
        return replace(make_instance("web"), provider=self.name, provider_type="docker")

    def run(self, instance: Instance) -> None:
        """From nothing to a server that answers, through the provider."""
        call = Call(deadline=time.monotonic() + _PATIENCE, clock=time.monotonic)
        self.provider.create(instance, call)
        self.provider.start(instance, call)

    def bare(self, instance: Instance, port: int) -> Bare:
        """The calls of the SDK that do the same."""
        options = read_options(self.options)
        image = Image(self.image, "coder", USER_ID, USER_ID, HOME, options.command)
        marks = marks_of(instance, "bench", self.name, {(CONTAINER_PORT, Transport.TCP): port})
        plan = Plan(instance, options, image, marks)
        made = Made(config=bare(instance.config))
        owner = Owner(USER_ID, USER_ID)
        files = [*settings_of(plan, made), File(plan.project, None, 0o755, owner)]
        return Bare(
            name=volume_name(instance.id),
            body=plan.body(),
            labels=marks.labels(),
            archive=tar_of(files),
            port=port,
        )

    def clear(self) -> None:
        """Remove everything that was made, on either side."""
        remove_all(self.client, f"{PROVIDER}={self.name}")


@dataclass(frozen=True, slots=True)
class Bare:
    """What one creation asks of the SDK, ready made.

    Args:
        name: Of volume and container.
        body: That of the container, the same as the provider's.
        labels: Of the volume.
        archive: With the settings.
        port: Where the server will answer.
    """

    name: str
    body: dict[str, Any]
    labels: dict[str, str]
    archive: bytes
    port: int

    def make(self, api: docker.APIClient) -> str:
        """Volume and container; returns its id."""
        api.create_volume(self.name, labels=self.labels)
        made = api.create_container_from_config(self.body, self.name)  # type: ignore[no-untyped-call]
        return str(made["Id"])

    def run(self, api: docker.APIClient) -> None:
        """From nothing to a server that answers, asked as the provider asks."""
        made = self.make(api)
        api.put_archive(made, "/", self.archive)
        api.start(made)
        Asker(Endpoint(_LOOPBACK, self.port), within(_PATIENCE)).until_ok()
        api.inspect_container(made)


class Ports:
    """Ports that nobody else gives away: each once. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = (port for port in _THEIRS if is_free(_LOOPBACK, port))

    def next(self) -> int:
        """One more."""
        with self._lock:
            return next(self._left)


@contextlib.contextmanager
def bed() -> Iterator[Bed]:
    """Both sides; nothing of them is left afterwards."""
    with engine_client() as client, tempfile.TemporaryDirectory(prefix="swarmd-bench-") as folder:
        name, image = f"bench-{secrets.token_hex(4)}", tiny(client)
        options = {
            "engine": engine_url(),
            "image": image,
            "network": name,
            "port_range": _OURS,
            "pull": "never",
        }
        record = ProviderRecord(name=name, type="docker", options=options)
        node = Node(id="bench", created_at=datetime.now(UTC))
        config = Config(daemon=DaemonConfig(state_dir=folder))
        provider = DockerProvider(record, config, node, RealClock())
        made = Bed(name, image, options, provider, client)
        try:
            provider.initialize()
            yield made
        finally:
            provider.dispose()
            made.clear()
            with contextlib.suppress(NotFound):
                client.api.remove_network(name)


def api_client() -> docker.APIClient:
    """A client of a thread's own."""
    return docker.APIClient(base_url=engine_url(), timeout=PATIENCE)
