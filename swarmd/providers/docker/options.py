"""The options of a ``docker`` provider: its ``options`` table in the configuration.

Every field is a key of ``[providers.options]``; its description is the comment that
``config.example.toml`` shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from swarmd.messages.units import Size, Storage
from swarmd.providers.docker.where import Where, check_where, is_loopback, read_url
from swarmd.providers.shared.options import (
    check_address,
    check_pair,
    check_ports,
    check_roots,
    convert_options,
    range_of,
    wrong,
)

_REGISTRY = r"localhost|[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+(:\d+)?|[a-zA-Z0-9-]+:\d+"


class DockerOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How VS Code runs in containers of one engine."""

    engine: Annotated[
        str,
        Meta(
            description="The engine: unix:///path, tcp://host:port, or "
            "ssh://[user@]host[:port][/path/of/its/socket]."
        ),
    ] = "unix:///var/run/docker.sock"
    engine_ca: Annotated[
        str, Meta(description="tcp: file of the authority that signed the engine's certificate.")
    ] = ""
    engine_cert: Annotated[str, Meta(description="tcp: our client certificate file.")] = ""
    engine_key: Annotated[str, Meta(description="tcp: its key file.")] = ""
    engine_insecure: Annotated[
        bool,
        Meta(description="tcp: speak without TLS beyond loopback; whoever listens is root there."),
    ] = False
    ssh_options: Annotated[
        tuple[str, ...],
        Meta(description='ssh: further arguments of ssh, as in ["-i", "/etc/swarmd/id_box1"].'),
    ] = ()
    url_host: Annotated[
        str,
        Meta(
            description="The host in the URLs that people open; empty: the address below, or the "
            "engine's own host where that is published."
        ),
    ] = ""
    image: Annotated[str, Meta(description="Image of an instance that names none.")] = (
        "codercom/code-server:latest"
    )
    pull: Annotated[
        Literal["missing", "always", "never"],
        Meta(description="When an image is fetched from its registry: missing, always, never."),
    ] = "missing"
    registry: Annotated[
        str,
        Meta(
            description="Host of the registry that is shown the login below, as names of images "
            "begin; empty: that of image. No other one is shown it."
        ),
    ] = ""
    registry_user: Annotated[str, Meta(description="Login at that registry.")] = ""
    registry_password: Annotated[
        str, Meta(description='Its password, as "file:/path": never the password itself.')
    ] = ""
    command: Annotated[
        tuple[str, ...],
        Meta(description="argv of code-server in the image, before our arguments."),
    ] = ("code-server",)
    user: Annotated[
        str, Meta(description="User that instances run as; empty: the image's own.")
    ] = ""
    home: Annotated[
        str, Meta(description="Its home, where the volume lies; empty: as the image says.")
    ] = ""
    network: Annotated[
        str,
        Meta(
            description="Network of the containers, made if it is missing; in it no container "
            "reaches another."
        ),
    ] = "swarmd"
    publish_address: Annotated[
        str, Meta(description="Address of the engine's host where instances are published.")
    ] = "127.0.0.1"
    public_address: Annotated[
        str, Meta(description="The same for instances with enable_public_access.")
    ] = "0.0.0.0"  # noqa: S104 - public access is asked for by name, and takes TLS
    port_range: Annotated[
        str,
        Meta(pattern=r"^\d{1,5}-\d{1,5}$", description="Host ports given to instances."),
    ] = "22000-22999"
    tls_cert: Annotated[str, Meta(description="Certificate file; instances then speak TLS.")] = ""
    tls_key: Annotated[
        str, Meta(description="Its key file; it is copied into the containers, whose users see it.")
    ] = ""
    roots: Annotated[
        tuple[str, ...],
        Meta(
            description="Folders of the engine's host below which a workspace may lie; none: "
            "volumes only."
        ),
    ] = ()
    cpu: Annotated[
        Annotated[float, Meta(gt=0)], Meta(description="Cores of an instance that asks for none.")
    ] = 2.0
    memory: Annotated[Size, Meta(description="Memory of an instance that asks for none.")] = Size(
        2048 << 20
    )
    storage: Annotated[
        Storage,
        Meta(description="Disk of an instance that asks for none, where the driver can limit it."),
    ] = Storage(10 << 30)
    pids: Annotated[
        Annotated[int, Meta(ge=16)],
        Meta(description="Processes and threads of an instance that asks for none."),
    ] = 2048
    allow_root: Annotated[bool, Meta(description="Let instances run as root inside.")] = False
    allow_sudo: Annotated[
        bool,
        Meta(description="Leave containers the rights that sudo in the image needs."),
    ] = False
    max_instances: Annotated[
        int, Meta(ge=0, description="At most so many instances, trash included; 0: no limit.")
    ] = 0
    log_max_size: Annotated[Size, Meta(description="A log is rotated at this size.")] = Size(
        10 << 20
    )
    log_files: Annotated[int, Meta(ge=1, le=100, description="Log files kept per instance.")] = 3

    @property
    def ports(self) -> range:
        """The port range, as a range."""
        return range_of(self.port_range)

    @property
    def tls(self) -> bool:
        """Whether instances speak TLS."""
        return bool(self.tls_cert)

    @property
    def where(self) -> Where:
        """The engine's place."""
        return Where(
            url=self.engine,
            ca=self.engine_ca,
            cert=self.engine_cert,
            key=self.engine_key,
            ssh_options=self.ssh_options,
            insecure=self.engine_insecure,
        )

    @property
    def engine_host(self) -> str | None:
        """The host of the engine, if it is another than this one."""
        target = read_url(self.engine)
        if target.scheme == "unix" or (target.scheme == "tcp" and is_loopback(target.host)):
            return None
        return target.host

    @property
    def engine_login(self) -> str | None:
        """Where ssh goes for a tunnel to the engine's host; None if that is this host."""
        target, host = read_url(self.engine), self.engine_host
        user = f"{target.user}@" if host and target.user else ""
        if host is None or target.scheme != "ssh" or target.port is None:
            return f"{user}{host}" if host else None
        bracketed = f"[{host}]" if ":" in host else host
        return f"ssh://{user}{bracketed}:{target.port}"


def read_options(options: Mapping[str, object]) -> DockerOptions:
    """Convert and check a provider's ``options`` table. No side effects.

    Raises:
        ConfigError: A key is unknown or a value is wrong; ``field`` is relative to the table.
    """
    read = convert_options(options, DockerOptions, "docker")
    check_where(read.where)
    check_ports(read.ports, read.port_range)
    check_pair("tls_cert", read.tls_cert, "tls_key", read.tls_key)
    for key in ("publish_address", "public_address"):
        check_address(key, getattr(read, key))
    check_roots(read.roots)
    if not read.command:
        raise wrong("command", "there is nothing to start", '["code-server"]')
    if read.home and not re.fullmatch(r"/[^\0]*[^\0/]", read.home):
        raise wrong("home", f"{read.home!r} is no absolute path", '"/home/coder"')
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", read.network):
        raise wrong("network", f"{read.network!r} is no name of a network", '"swarmd"')
    _check_login(read)
    return read


def _check_login(read: DockerOptions) -> None:
    check_pair("registry_user", read.registry_user, "registry_password", read.registry_password)
    if read.registry and not re.fullmatch(_REGISTRY, read.registry):
        raise wrong("registry", f"{read.registry!r} is no host", '"registry.example.org:5000"')
    source = read.registry_password
    if source and not (source.startswith("file:") and Path(source[5:]).is_absolute()):
        raise wrong(
            "registry_password",
            "a secret does not stand in the configuration",
            '"file:/etc/swarmd/registry-password"',
        )
