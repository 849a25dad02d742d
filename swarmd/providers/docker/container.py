"""A container as the engine's API is told to make it. Pure: no engine is asked here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import msgspec

from swarmd.messages.enums import Transport
from swarmd.messages.instance import Instance, InstanceConfig
from swarmd.providers.docker.marks import JOB, Marks, volume_name
from swarmd.providers.docker.options import DockerOptions
from swarmd.providers.shared import giturl
from swarmd.providers.shared.codeserver import CONTAINER_PORT, RESERVED, identity_arguments

CONFIG_DIR = "/etc/swarmd"
"""Where the password and the settings lie: outside the volume, so no copy of it has them."""

PROJECT = "project"
DATA = ".local/share/code-server"
EXTENSIONS = f"{DATA}/extensions"

_LIVE = ("NanoCpus", "Memory", "MemorySwap", "PidsLimit")
"""What the engine changes in a running container."""

_SUDO_NEEDS = (
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETGID",
    "SETPCAP",
    "SETUID",
)
_HOSTNAME_MOST = 63


@dataclass(frozen=True, slots=True)
class Image:
    """An image, as far as the contract between it and us goes (README, Images).

    Args:
        ref: As it was named.
        user: Whom its instances run as, in the image's words.
        uid: The same as a number, and its group's.
        home: Where its volume lies.
        command: argv of its code-server.
    """

    ref: str
    user: str
    uid: int
    gid: int
    home: str
    command: tuple[str, ...]

    @property
    def account(self) -> str:
        """Its user as the engine is told: by number, which the image cannot make another's."""
        _, colon, group = self.user.partition(":")
        return f"{self.uid}{colon}{group}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides what a container is like.

    Args:
        bind: A folder of the engine's host that is the workspace.
    """

    instance: Instance
    options: DockerOptions
    image: Image
    marks: Marks
    bind: str | None = None

    @property
    def config(self) -> InstanceConfig:
        """What was asked for."""
        return self.instance.config

    @property
    def project(self) -> str:
        """The workspace, inside."""
        return f"{self.image.home}/{PROJECT}"

    @property
    def folder(self) -> str:
        """What VS Code opens, inside."""
        return folder_of(self.image, self.config)

    @property
    def address(self) -> str:
        """Where it is published on the engine's host."""
        return published_at(self.options, self.config)

    def body(self) -> dict[str, Any]:
        """What ``POST /containers/create`` takes; ``digest`` is among its labels."""
        return self.made()[0]

    def made(self) -> tuple[dict[str, Any], Marks]:
        """The same, and the marks that its labels are."""
        body = self._body()
        marks = replace(self.marks, spec=digest(body), image=self.image.ref)
        return body | {"Labels": marks.labels()}, marks

    def job(self, command: tuple[str, ...]) -> dict[str, Any]:
        """The body of a container that does one thing for the instance, with its files."""
        body = self._body()
        # What it says is read whole, and goes with it: no part of it is rotated away.
        log = {"Type": "json-file", "Config": {}}
        host = body["HostConfig"] | {"PortBindings": {}, "LogConfig": log}
        labels = {JOB: self.instance.id} | {
            key: value for key, value in self.marks.labels().items() if "spec" not in key
        }
        return body | {
            "Entrypoint": [command[0]],
            "Cmd": list(command[1:]),
            "ExposedPorts": {},
            "HostConfig": host,
            "Labels": labels,
        }

    def _body(self) -> dict[str, Any]:
        port = f"{CONTAINER_PORT}/tcp"
        return {
            "Image": self.image.ref,
            "Hostname": hostname(self.instance.name),
            "User": self.image.account,
            "Env": [f"{name}={value}" for name, value in sorted(self.environment().items())],
            "WorkingDir": self.image.home,
            "Entrypoint": [self.image.command[0]],
            "Cmd": [*self.image.command[1:], *self.arguments()],
            "ExposedPorts": {f"{inner}/{kind}": {} for inner, kind in self.marks.ports}
            | {port: {}},
            "Healthcheck": {"Test": ["NONE"]},
            "HostConfig": self._host(),
        }

    def arguments(self) -> tuple[str, ...]:
        """What code-server is told. Nothing secret is in it."""
        data = f"{self.image.home}/{DATA}"
        tls = (
            ("--cert", f"{CONFIG_DIR}/tls.crt", "--cert-key", f"{CONFIG_DIR}/tls.key")
            if self.options.tls
            else ()
        )
        return (
            "--config",
            f"{CONFIG_DIR}/config.yaml",
            "--bind-addr",
            f"0.0.0.0:{CONTAINER_PORT}",
            "--user-data-dir",
            data,
            "--extensions-dir",
            f"{self.image.home}/{EXTENSIONS}",
            *identity_arguments(self.instance),
            *tls,
            self.folder,
        )

    def environment(self) -> dict[str, str]:
        """The instance's own variables and our mark; the daemon's are not passed on."""
        own = {k: v for k, v in self.config.env.items() if not RESERVED.fullmatch(k)}
        name = self.image.user.partition(":")[0]
        user = {} if name.isdecimal() or not name else {"USER": name}
        return {"HOME": self.image.home} | user | own | {"SWARMD_INSTANCE": self.instance.id}

    def _host(self) -> dict[str, Any]:
        options, address = self.options, self.address
        return {
            **limits(self.config, options),
            "Mounts": self._mounts(),
            "NetworkMode": options.network,
            "PortBindings": {
                f"{inner}/{kind}": [{"HostIp": address, "HostPort": str(host)}]
                for (inner, kind), host in self.marks.ports.items()
            },
            "Init": True,
            "RestartPolicy": {"Name": "no"},
            "LogConfig": {
                "Type": "json-file",
                "Config": {
                    "max-size": str(int(options.log_max_size)),
                    "max-file": str(options.log_files),
                },
            },
            **rights(options),
        }

    def _mounts(self) -> list[dict[str, Any]]:
        volume = {
            "Type": "volume",
            "Source": volume_name(self.instance.id),
            "Target": self.image.home,
        }
        if self.bind is None:
            return [volume]
        return [volume, {"Type": "bind", "Source": self.bind, "Target": self.project}]


def folder_of(image: Image, config: InstanceConfig) -> str:
    """What VS Code opens, inside: the workspace or a folder below it."""
    return str(PurePosixPath(image.home, PROJECT, config.workspace_path or "."))


def rights(options: DockerOptions) -> dict[str, Any]:
    """What a container's processes may do beyond what a user may."""
    if options.allow_sudo:
        return {"CapDrop": ["ALL"], "CapAdd": list(_SUDO_NEEDS), "SecurityOpt": []}
    return {"CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"]}


def limits(config: InstanceConfig, options: DockerOptions) -> dict[str, int]:
    """The limits that the engine changes live too; memory and swap go together."""
    wanted = config.resources
    memory = int(options.memory if wanted.memory is None else wanted.memory)
    return {
        "NanoCpus": round((options.cpu if wanted.cpu is None else wanted.cpu) * 1e9),
        "Memory": memory,
        "MemorySwap": memory,
        "PidsLimit": options.pids if wanted.pids is None else wanted.pids,
    }


def storage_of(config: InstanceConfig, options: DockerOptions) -> int:
    """The disk that an instance may use, in bytes."""
    wanted = config.resources.storage
    return int(options.storage if wanted is None else wanted)


def digest(body: Mapping[str, Any]) -> str:
    """What a container is made with, in short: another digest means another container.

    Limits are left out, for they change without one; labels too, for they only name it.
    """
    host = {key: value for key, value in body["HostConfig"].items() if key not in _LIVE}
    fixed = {key: value for key, value in body.items() if key != "Labels"} | {"HostConfig": host}
    return hashlib.sha256(msgspec.json.encode(fixed, order="deterministic")).hexdigest()[:32]


def published_at(options: DockerOptions, config: InstanceConfig) -> str:
    """The address of the engine's host where an instance is published."""
    public = config.network.enable_public_access
    return options.public_address if public else options.publish_address


def hostname(name: str) -> str:
    """What the container calls itself in a terminal's prompt (seed 000: ``vscode-`` before it)."""
    plain = re.sub(r"[^a-z0-9-]+", "-", f"vscode-{name}".lower())
    return plain[:_HOSTNAME_MOST].strip("-")


def wanted_ports(config: InstanceConfig) -> dict[tuple[int, Transport], int]:
    """Inner ports and the host ports asked for, 0 for any; the server's own always among them."""
    wanted = {(CONTAINER_PORT, Transport.TCP): 0}
    for port in config.network.ports:
        wanted[port.container_port, port.protocol] = port.host_port
    return wanted


def workspace_kind(config: InstanceConfig) -> str:
    """``volume``, ``git`` or ``bind``: what ``config.workspace`` asks for."""
    wanted = config.workspace
    if wanted is None or wanted in ("", "managed"):
        return "volume"
    return "git" if giturl.is_url(str(wanted)) else "bind"
