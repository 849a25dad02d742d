"""Where alerts may be sent, and how what is secret about that is named (DESIGN 7)."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from swarmd.messages.config import AlertingConfig

_SOURCE = re.compile(r"(file):(/.+)|(env):([A-Za-z_][A-Za-z0-9_]*)|(credential):([\w.-]+)")
SOURCES = '"file:/path", "env:NAME" or "credential:NAME"'


def sinks_of(config: AlertingConfig) -> tuple[str, ...]:
    """Who is to be told, by name: whether they can be told just now is another matter."""
    webhooks = (webhook.name for webhook in config.webhooks)
    log, command = ("log",) * config.log, ("command",) * bool(config.command)
    return (*log, *command, *webhooks)


def source_of(text: str) -> tuple[str, str] | None:
    """Where a secret is to be read: ``file``, ``env`` or ``credential``, and its path or name.

    None if the text is no such thing.
    """
    found = _SOURCE.fullmatch(text)
    if found is None:
        return None
    kind, where = (each for each in found.groups() if each is not None)
    return kind, where


def why_not(url: str, *, insecure: bool) -> str | None:
    """Why nothing is sent to this URL; None if it may be.

    Args:
        url: Of a receiver.
        insecure: Whether it may be sent in the clear beyond this machine.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"it is no URL: {error}"
    if parts.scheme not in ("http", "https") or not host:
        return "it is no URL that begins with https://"
    if "@" in parts.netloc:
        return "a login does not stand in a URL, where it would be seen: name a token"
    if parts.scheme == "http" and not insecure and not is_loopback(host):
        return "http:// beyond this machine is sent in the clear"
    return None


def is_clear(url: str) -> bool:
    """Whether what is sent there leaves this machine in the clear."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a host of a URL is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def shown(url: str) -> str:
    """A URL without its path, which with some receivers is all that is secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
