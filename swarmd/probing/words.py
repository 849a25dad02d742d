"""What went wrong, in words, and whether it says anything about the one who was asked."""

from __future__ import annotations

import errno
import os

from swarmd.messages.provider import Address

_OURS = {
    errno.EMFILE: "out of descriptors: this process may open no more",
    errno.ENFILE: "out of descriptors: this machine can open no more",
    errno.ENOBUFS: "out of memory for sockets",
    errno.ENOMEM: "out of memory for sockets",
    errno.ENOSPC: "out of descriptors that may be watched",
    errno.EADDRNOTAVAIL: "out of local ports, or no address of that kind here",
}
"""What this machine ran out of: no illness of the instance."""

_RESETS = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})
_NO_WAY = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH})


def place(address: Address) -> str:
    """Host and port as people write them."""
    host = address.reachable
    return f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"


def explain(error: OSError, address: Address) -> tuple[str, bool]:
    """Words for an error of the network, and whether the question was put at all."""
    if type(error).__name__.startswith("SSL"):
        return f"no TLS: {getattr(error, 'reason', None) or error}", True
    code = error.errno
    if code in _OURS:
        return _OURS[code], False
    if code == errno.ECONNREFUSED:
        return f"refused: nobody listens on {place(address)}", True
    if code in _RESETS:
        return "connection reset", True
    if code in _NO_WAY:
        return f"no way to {place(address)}: {os.strerror(code).lower()}", True
    return (error.strerror or str(error)).lower(), True
