"""The one place where an instance's URL is made (DESIGN 7).

A gateway that is to stand in front of all instances changes this module and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from swarmd.messages.provider import Address


def url_for(address: Address | None) -> str | None:
    """The URL that people open, with a trailing slash; None without an address."""
    if address is None:
        return None
    scheme = "https" if address.tls else "http"
    return f"{scheme}://{_bracketed(address.host)}:{address.port}/"


def tunnel_hint(url: str, remote_host: str, user: str) -> str:
    """The command that makes a loopback URL of a remote machine open on one's own.

    Args:
        url: The instance's URL, as ``url_for`` made it.
        remote_host: The machine that runs the daemon, as ssh knows it.
        user: The login there; empty for ssh's own choice.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    login = f"{user}@{remote_host}" if user else remote_host
    return f"ssh -N -L {port}:{_bracketed(parts.hostname or 'localhost')}:{port} {login}"


def login_tunnel(url: str, env: Mapping[str, str], host: str) -> str | None:
    """The tunnel's command for whoever has logged in here from another machine.

    Args:
        url: The instance's URL.
        env: The environment; ``SSH_CONNECTION`` tells that this is a remote login.
        host: This machine's name, if the login does not tell which address it came to.
    """
    if not env.get("SSH_CONNECTION") or not _is_loopback(url):
        return None
    came_to = env["SSH_CONNECTION"].split()[2:3] or [host]
    return tunnel_hint(url, came_to[0], env.get("USER") or env.get("LOGNAME") or "")


class ProviderTunnel(NamedTuple):
    """The host where an instance answers on loopback alone, and the tunnel's command."""

    host: str
    command: str


def provider_tunnel(url: str, login: str | None) -> ProviderTunnel | None:
    """How to reach an instance that a provider published on another host's loopback.

    Args:
        url: The instance's URL.
        login: ``Capabilities.tunnel`` of its provider.
    """
    if not login or not _is_loopback(url):
        return None
    user, _, host = login.rpartition("@")
    name = urlsplit(login if "://" in login else f"ssh://{login}").hostname
    return ProviderTunnel(name or host, tunnel_hint(url, host, user))


def _is_loopback(url: str) -> bool:
    return "://127.0.0.1:" in url


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
