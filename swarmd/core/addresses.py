"""The one place where an instance's URL is made (DESIGN 7).

A gateway that is to stand in front of all instances changes this module and nothing else.
"""

from __future__ import annotations

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


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
