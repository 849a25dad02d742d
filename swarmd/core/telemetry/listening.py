"""Where figures may be fetched from, as people write it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An IP address and a port."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this host reaches it."""
        return ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(text: str) -> ListenAddress:
    """``127.0.0.1:9464``, ``[::1]:9464`` or ``localhost:9464``.

    Raises:
        ValueError: It is none of these; the message says what is expected.
    """
    host, colon, port = text.strip().rpartition(":")
    if not colon or not port.isdecimal() or not port.isascii() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"expected an address and a port from 1 to 65535, not {text!r}")
    if host == "localhost":
        host = "127.0.0.1"
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        raise ValueError(f"expected an IP address before the port, not {host!r}") from None
    if bracketed != (address.version == 6):
        raise ValueError(f"expected an IPv6 address in brackets, not {text!r}")
    return ListenAddress(str(address), int(port))
