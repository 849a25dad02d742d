"""The options of the ``local`` provider: its ``options`` table in the configuration.

Every field is a key of ``[providers.options]``; its description is the comment that
``config.example.toml`` shows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from swarmd.messages.units import Size
from swarmd.providers.shared.options import (
    check_address,
    check_pair,
    check_ports,
    check_roots,
    convert_options,
    range_of,
    wrong,
)

Limit = Literal["cpu", "memory", "pids"]


class LocalOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How VS Code runs as processes of this host."""

    command: Annotated[
        tuple[str, ...],
        Meta(description="argv of code-server; empty: the one on PATH, else the managed one."),
    ] = ()
    roots: Annotated[
        tuple[str, ...],
        Meta(description="Host folders below which a workspace may lie; none: managed ones only."),
    ] = ()
    port_range: Annotated[
        str,
        Meta(pattern=r"^\d{1,5}-\d{1,5}$", description="Ports given to instances, first-last."),
    ] = "21000-21999"  # below the kernel's ephemeral ports, which any connection may hold
    publish_address: Annotated[
        str, Meta(description="Where instances listen that are not public.")
    ] = "127.0.0.1"
    public_address: Annotated[
        str, Meta(description="Where instances with enable_public_access listen.")
    ] = "0.0.0.0"  # noqa: S104 - public access is asked for by name, and takes TLS
    tls_cert: Annotated[str, Meta(description="Certificate file; instances then speak TLS.")] = ""
    tls_key: Annotated[
        str, Meta(description="Its key file, readable by the instances' account (and its users).")
    ] = ""
    home: Annotated[
        Literal["managed", "user"],
        Meta(description="HOME of an instance: managed = its own folder, user = the account's."),
    ] = "managed"
    run_as: Annotated[
        str,
        Meta(
            description="As root: the user that instances run as; owner = the account of the "
            "instance's owner; empty = swarmd-run."
        ),
    ] = ""
    allow_root: Annotated[bool, Meta(description="Let run_as be root.")] = False
    allow_shared_uid: Annotated[
        bool,
        Meta(description="Let instances of several owners run as one user: each can read all."),
    ] = False
    require_limits: Annotated[
        tuple[Limit, ...],
        Meta(description="Refuse to start where these cannot be enforced: cpu, memory, pids."),
    ] = ()
    cpu: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="Cores of an instance that asks for none; empty: no limit."),
    ] = None
    memory: Annotated[
        Size | None, Meta(description="Memory of an instance that asks for none; empty: no limit.")
    ] = None
    pids: Annotated[
        Annotated[int, Meta(ge=16)] | None,
        Meta(description="Processes and threads of an instance that asks for none."),
    ] = None
    max_instances: Annotated[
        int, Meta(ge=0, description="At most so many instances, trash included; 0: no limit.")
    ] = 0
    env_allow: Annotated[
        tuple[str, ...],
        Meta(description="Further names of the daemon's environment that instances get."),
    ] = ()
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


def read_options(options: Mapping[str, object]) -> LocalOptions:
    """Convert and check a provider's ``options`` table. No side effects.

    Raises:
        ConfigError: A key is unknown or a value is wrong; ``field`` is relative to the table.
    """
    read = convert_options(options, LocalOptions, "local")
    check_ports(read.ports, read.port_range)
    check_pair("tls_cert", read.tls_cert, "tls_key", read.tls_key)
    for key in ("publish_address", "public_address"):
        check_address(key, getattr(read, key))
    check_roots(read.roots)
    for name in read.env_allow:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise wrong("env_allow", f"{name!r} is no name of a variable", '["SSH_AUTH_SOCK"]')
    return read


def data_dir(configured: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Where instance folders lie (DESIGN 8), if the daemon did not resolve it already."""
    given = environ.get("SWARMD_DATA_DIR") or configured
    if given:
        return Path(given).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/swarmd-instances")
    return _user_data(environ) / "swarmd" / "instances"


def server_dir(configured: str, environ: Mapping[str, str] = os.environ) -> Path:
    """Where the managed code-server lies (DESIGN 8)."""
    given = environ.get("SWARMD_SERVER_DIR") or configured
    if given:
        return Path(given).absolute()
    if os.geteuid() == 0:
        return Path("/opt/swarmd")
    return _user_data(environ) / "swarmd" / "server"


def _user_data(environ: Mapping[str, str]) -> Path:
    given: Any = environ.get("XDG_DATA_HOME")
    return Path(given) if given else Path.home() / ".local" / "share"
