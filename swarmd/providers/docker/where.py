"""Where an engine is: its URL read and checked, with nothing touched."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from swarmd.errors import ConfigError

REMOTE_SOCKET = "/var/run/docker.sock"
_EXAMPLES = '"unix:///var/run/docker.sock", "tcp://box1:2376" or "ssh://me@box1"'
_SOCKET_BYTES = 107
"""The longest path that the address of a Unix socket holds."""
_HOST = re.compile(r"[A-Za-z0-9_.:%][A-Za-z0-9_.:%-]*")
_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@+\\-]*")


@dataclass(frozen=True, slots=True)
class Where:
    """An engine's place, and what it takes to be let in.

    Args:
        url: ``unix:///path``, ``tcp://host:port`` or ``ssh://[user@]host[:port][/path]``, the
            path being that of the engine's socket over there.
        ca: TLS: file of the authority that signed the engine's certificate; empty: those that
            this system trusts.
        cert: TLS: our certificate's file.
        key: TLS: its key's file, without a passphrase.
        ssh_options: Further arguments of ssh, before the host.
        insecure: Plain ``tcp://`` beyond loopback is allowed.
    """

    url: str
    ca: str = ""
    cert: str = ""
    key: str = ""
    ssh_options: tuple[str, ...] = ()
    insecure: bool = False

    @property
    def tls(self) -> bool:
        """Whether the connection is to be encrypted by TLS."""
        return bool(self.ca or self.cert)


@dataclass(frozen=True, slots=True)
class Target:
    """An engine's URL, taken apart. ``path`` is a socket's, here or over there."""

    scheme: Literal["unix", "tcp", "ssh"]
    path: str = ""
    host: str = ""
    port: int | None = None
    user: str = ""


def read_url(url: str) -> Target:
    """Take an engine's URL apart.

    Raises:
        ConfigError: It is none, or holds what has no meaning there; ``field`` is ``engine``.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _wrong(f"{url!r} is no URL: {error}") from None
    if parts.query or parts.fragment or parts.password:
        raise _wrong("a password, a query or a fragment has no place in the engine's URL")
    host, user, path = parts.hostname or "", unquote(parts.username or ""), unquote(parts.path)
    if parts.scheme == "unix":
        return _unix(url, parts.netloc, path)
    if parts.scheme not in ("tcp", "ssh"):
        raise _wrong(f"{url!r} is neither unix://, tcp:// nor ssh://")
    if not _HOST.fullmatch(host):
        raise _wrong(f"{url!r} names no host")
    if parts.scheme == "tcp":
        if port is None or user or path.strip("/"):
            raise _wrong(f"{url!r}: after tcp:// come a host and a port, and nothing else")
        return Target("tcp", host=host, port=port)
    if user and not _USER.fullmatch(user):
        raise _wrong(f"{user!r} is no user's name")
    return Target("ssh", host=host, port=port, user=user, path=path.rstrip("/") or REMOTE_SOCKET)


def _unix(url: str, netloc: str, path: str) -> Target:
    if netloc or not Path(path).is_absolute() or path == "/":
        raise _wrong(f"{url!r} names no absolute path")
    if len(path.encode()) > _SOCKET_BYTES:
        raise _wrong(f"the path in {url!r} is longer than a socket's may be")
    return Target("unix", path=path)


def check_where(where: Where) -> Target:
    """Refuse what cannot be, or must not be, connected to. No side effects.

    Raises:
        ConfigError: ``field`` is ``engine`` or, for the files of TLS, ``engine_cert``.
    """
    target = read_url(where.url)
    if bool(where.cert) != bool(where.key):
        raise _wrong("a certificate and its key belong together", "engine_cert")
    if target.scheme != "tcp" and (where.ca or where.cert):
        raise _wrong("certificates are for an engine at tcp:// alone")
    if target.scheme != "ssh" and where.ssh_options:
        raise _wrong("options of ssh are for an engine at ssh:// alone")
    if target.scheme == "tcp" and not (where.tls or where.insecure or is_loopback(target.host)):
        raise ConfigError(
            f"engine: {where.url} would go through the network in the clear, and whoever reads "
            "it there is root on the engine's host",
            field="engine",
            next_step="Give the certificates of TLS, use ssh://, or set insecure = true.",
        )
    return target


def is_loopback(host: str) -> bool:
    """Whether this names the own host, as it stands: no name is looked up."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _wrong(message: str, field: str = "engine") -> ConfigError:
    return ConfigError(f"{field}: {message}", field=field, next_step=f"Give {_EXAMPLES}.")
