"""What an adapter brings so that the suite can run over it.

A new adapter is one subclass of ``ProviderCase`` here and one line in ``conftest.py``.
"""

from __future__ import annotations

import abc
import json
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import msgspec

from swarmd.messages.instance import Instance
from swarmd.messages.requests import ExecInstance
from swarmd.ports import Provider
from swarmd.providers.local.data.layout import Layout
from tests.providers.local import kit
from tests.support import free_port


class ProviderCase(abc.ABC):
    """One adapter in a place of the test's own."""

    real: bool
    """Whether the server is a real VS Code, and not a stand-in."""

    grace: float = 1.0
    """Seconds from SIGTERM to SIGKILL: what a stop by force does not wait for."""

    @abc.abstractmethod
    def open(self, **options: Any) -> Provider:
        """A provider on this place, initialized. Asked again: another one on the same place."""

    @abc.abstractmethod
    def instance(self, name: str = "web", **fields: Any) -> Instance:
        """A noun; ``fields`` are those of its configuration."""

    @abc.abstractmethod
    def running(self, instance: Instance) -> list[object]:
        """Every process of an instance, found without the adapter's help."""

    @abc.abstractmethod
    def remains(self, instance: Instance) -> list[object]:
        """Whatever is left of an instance: folders, records, processes."""

    @abc.abstractmethod
    def workspace(self) -> str:
        """A workspace that is not managed, with a file ``mark`` in it."""

    def extension(self) -> str:
        """The extension ``some.extension``: by its id, or a file where the server is real."""
        return "some.extension"

    def image(self) -> str:
        """An image that sets the variable IMAGE to ``other``; its name, where there are none."""
        return "example/image:1"

    @abc.abstractmethod
    def installed(self, instance: Instance) -> set[str]:
        """The ids of its extensions."""

    @abc.abstractmethod
    def login(self, instance: Instance) -> str:
        """What the server was told about logging in."""

    @abc.abstractmethod
    def plant_link(self, instance: Instance, target: Path) -> None:
        """Put a symbolic link in the place of its files, as its user may do."""

    @abc.abstractmethod
    def close(self) -> None:
        """End everything and let go."""

    def host_port(self) -> int:
        """A port that nobody has."""
        return free_port()


class LocalCase(ProviderCase):
    """Processes of this host.

    Args:
        path: A folder of the test's own.
        command: argv of the server; None: the stand-in.
    """

    def __init__(self, path: Path, command: tuple[str, ...] | None = None) -> None:
        self.real = command is not None
        self._path = path
        self._options = {"command": list(command)} if command else {}
        self._providers: list[Any] = []
        self._instances: list[Instance] = []
        (path / "roots").mkdir()

    def open(self, **options: Any) -> Provider:
        chosen = {**self._options, "roots": [str(self._path / "roots")], **options}
        provider = kit.make_provider(self._path / "data", **chosen)
        self._providers.append(provider)
        return provider

    def instance(self, name: str = "web", **fields: Any) -> Instance:
        made = kit.make_instance(name, **fields)
        self._instances.append(made)
        return made

    def running(self, instance: Instance) -> list[object]:
        return [*kit.running(instance.id)]

    def remains(self, instance: Instance) -> list[object]:
        found: list[object] = [*self.running(instance)]
        for top, folders, files in os.walk(self._path / "data"):
            names = [name for name in (*folders, *files) if name.startswith(instance.id)]
            found += [Path(top) / name for name in names]
        return found

    def workspace(self) -> str:
        folder = self._path / "roots" / "mine"
        folder.mkdir(exist_ok=True)
        (folder / "mark").write_text("here")
        return str(folder)

    def installed(self, instance: Instance) -> set[str]:
        places = Layout(self._path / "data").instance(instance.id)
        if not self.real:
            return set(msgspec.json.decode((places.private / "extensions.json").read_bytes()))
        return {path.name.rpartition("-")[0] for path in places.extensions.iterdir()}

    def extension(self) -> str:
        return str(make_vsix(self._path / "some.vsix")) if self.real else super().extension()

    def login(self, instance: Instance) -> str:
        return (self._path / "data" / instance.id / "config.yaml").read_text()

    def plant_link(self, instance: Instance, target: Path) -> None:
        home = self._path / "data" / instance.id / "home"
        subprocess.run(["mv", str(home), f"{home}.away"], check=True)
        home.symlink_to(target)

    def close(self) -> None:
        for instance in self._instances:
            for provider in self._providers[:1]:
                known = provider.get(instance.id)
                if known is not None:
                    latest = msgspec.structs.replace(instance, epoch=known.epoch)
                    provider.purge(latest, kit.call())
        for provider in self._providers:
            provider.dispose()


def make_vsix(path: Path) -> Path:
    """An extension that does nothing, as a file."""
    package = {
        "name": "extension",
        "publisher": "some",
        "version": "1.0.0",
        "engines": {"vscode": "*"},
    }
    manifest = (
        '<PackageManifest Version="2.0.0" '
        'xmlns="http://schemas.microsoft.com/developer/vsx-schema/2011"><Metadata>'
        '<Identity Language="en-US" Id="extension" Version="1.0.0" Publisher="some"/>'
        "</Metadata></PackageManifest>"
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("extension/package.json", json.dumps(package))
        archive.writestr("extension.vsixmanifest", manifest)
    path.chmod(0o644)
    return path


def execute(
    provider: Provider, instance: Instance, *command: str, **options: Any
) -> tuple[int | None, bytes, bytes]:
    """Run a command in an instance to its end: exit code, output, errors."""
    session = provider.exec(instance, ExecInstance(id=instance.id, command=command, **options))
    told: dict[str, bytes] = {"stdout": b"", "stderr": b""}
    try:
        while (piece := session.read()) is not None:
            told[piece[0]] += piece[1]
        return session.result(), told["stdout"], told["stderr"]
    finally:
        session.close()
