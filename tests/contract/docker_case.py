"""Containers of this host's engine, for the suite of ``swarmd.ports.Provider``."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker
from docker.errors import NotFound
from msgspec.structs import replace

from swarmd.messages.config import Config, DaemonConfig, InstancesConfig
from swarmd.messages.instance import Instance
from swarmd.messages.provider import ProviderRecord
from swarmd.messages.state import Node
from swarmd.messages.units import Duration
from swarmd.ports import Provider
from swarmd.providers.docker.provider import DockerProvider
from tests.contract.cases import ProviderCase, make_vsix
from tests.docker_engine import engine_client, engine_url, leftovers, remove_all, run_inside
from tests.docker_images import HOME, other, real, tiny
from tests.ports import port_range
from tests.providers.local import kit
from tests.support import all_pids, read_process

ID = "dev.swarmd.id"
PROVIDER = "dev.swarmd.provider"
JOB = "dev.swarmd.job"
EXTENSIONS = f"{HOME}/.local/share/code-server/extensions"


class DockerCase(ProviderCase):
    """Containers; everything of one test bears the name of its provider.

    Args:
        path: A folder of the test's own.
        network: The containers' network.
        server: Whether the image has the real code-server.
    """

    grace = 5.0  # an engine takes a second to kill, when all tests use it at once

    def __init__(self, path: Path, network: str, *, server: bool = False) -> None:
        self.real = server
        self._path = path
        self._name = f"t{kit.ulid()}"
        self._providers: list[DockerProvider] = []
        self._containers: dict[str, set[str]] = {}
        with engine_client() as client:
            image = real(client) if server else tiny(client)
        self._roots = Path(tempfile.mkdtemp(prefix="swarmd-t-"))  # the user of the container
        self._roots.chmod(0o755)  # must reach it, which a folder of pytest's does not allow
        self._options: dict[str, Any] = {
            "engine": engine_url(),
            "image": image,
            "network": network,
            "port_range": port_range(1),
            "pull": "never",
            "roots": [str(self._roots)],
        }

    def open(self, **options: Any) -> Provider:
        times = InstancesConfig(stop_grace=Duration(self.grace), start_timeout=Duration(20.0))
        config = Config(daemon=DaemonConfig(state_dir=str(self._path / "state")), instances=times)
        record = ProviderRecord(name=self._name, type="docker", options=self._options | options)
        node = Node(id=f"t{os.getpid()}", created_at=datetime.now(UTC))
        provider = DockerProvider(record, config, node, kit.RealClock())
        self._providers.append(provider)
        provider.initialize()
        return provider

    def instance(self, name: str = "web", **fields: Any) -> Instance:
        made = kit.make_instance(name, **fields)
        return replace(made, provider=self._name, provider_type="docker")

    def running(self, instance: Instance) -> list[object]:
        known = self._containers.setdefault(instance.id, set())
        with engine_client() as client:
            known |= {found["Id"] for found in _containers(client, instance)}
        return [
            process for pid in all_pids() if _is_in(pid, known) and (process := read_process(pid))
        ]

    def remains(self, instance: Instance) -> list[object]:
        with engine_client() as client:
            return [*self.running(instance), *leftovers(client, f"{ID}={instance.id}")]

    def workspace(self) -> str:
        folder = self._roots / "mine"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)  # the user of the container is nobody's here
        (folder / "mark").write_text("here")
        return str(folder)

    def extension(self) -> str:
        return str(make_vsix(self._roots / "some.vsix")) if self.real else super().extension()

    def image(self) -> str:
        with engine_client() as client:
            return other(client)

    def installed(self, instance: Instance) -> set[str]:
        depth = 2  # extensions/some.extension-1.0.0
        names = [name.split("/") for name, _ in self._read(instance, EXTENSIONS)]
        return {parts[1].rpartition("-")[0] for parts in names if len(parts) == depth}

    def login(self, instance: Instance) -> str:
        ((_, content),) = self._read(instance, "/etc/swarmd/config.yaml")
        return content.decode()

    def plant_link(self, instance: Instance, target: Path) -> None:
        """In the volume, to a place outside of it.

        What lies at ``target`` on the host is put at the same place of the container, or the link
        would lead nowhere and prove nothing.
        """
        script = (
            'mkdir -p "$1" && printf %s "$2" >"$1/key" && cd && '
            'mv project project.away && ln -s "$1" project && ln -s "$1" further'
        )
        words = [str(target), (target / "key").read_text()]
        with engine_client() as client:
            container = self._container(client, instance)
            code, told = run_inside(client, container, "sh", "-c", script, "sh", *words)
        assert code == 0, told

    def close(self) -> None:
        for provider in self._providers:
            provider.dispose()
        with engine_client() as client:
            remove_all(client, f"{PROVIDER}={self._name}")
        shutil.rmtree(self._roots)

    def _container(self, client: docker.DockerClient, instance: Instance) -> str:
        found = [each for each in _containers(client, instance) if JOB not in each["Labels"]]
        assert len(found) == 1, found
        return str(found[0]["Id"])

    def _read(self, instance: Instance, path: str) -> list[tuple[str, bytes]]:
        """Everything at a path of its container, by its name in the archive."""
        with engine_client() as client:
            try:
                chunks, _ = client.api.get_archive(self._container(client, instance), path)
            except NotFound:
                return []
            data = io.BytesIO(b"".join(chunks))
        with tarfile.open(fileobj=data) as archive:
            return [(entry.name, _content(archive, entry)) for entry in archive]


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(entry) if entry.isreg() else None
    return file.read() if file is not None else b""


def _containers(client: docker.DockerClient, instance: Instance) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.api.containers(
        all=True, filters={"label": f"{ID}={instance.id}"}
    )
    return found


def _is_in(pid: int, containers: set[str]) -> bool:
    """Whether a process is in the cgroup of one of these."""
    with contextlib.suppress(OSError):
        groups = Path(f"/proc/{pid}/cgroup").read_text()
        return any(container in groups for container in containers)
    return False
