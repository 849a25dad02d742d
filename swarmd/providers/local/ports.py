"""Listening sockets that are handed to code-server, and who has a port that is taken."""

from __future__ import annotations

import contextlib
import errno
import re
import socket
from pathlib import Path

from swarmd.errors import ProviderError
from swarmd.providers.shared.portbook import PortTaken, bind

BACKLOG = 511
_LEAST_DESCRIPTOR = 100
"""node marks what it inherited as close-on-exec, from 0 up to the first gap above 15
(``uv_disable_stdio_inheritance``), and code-server hands the listener on to a child."""


def listen(address: str, port: int) -> socket.socket:
    """A listening socket, at a descriptor that survives code-server's own child.

    Raises:
        PortTaken: Somebody else has it.
        ProviderError: It cannot be had here.
        OSError: Any other reason.
    """
    import fcntl

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with bind(family, address, port) as bound:
            bound.listen(BACKLOG)
            high = fcntl.fcntl(bound.fileno(), fcntl.F_DUPFD_CLOEXEC, _LEAST_DESCRIPTOR)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL):
            raise
        raise _taken(address, port, error) from error
    return socket.socket(fileno=high)


def _taken(address: str, port: int, error: OSError) -> ProviderError:
    who = holder(port)
    by = f" by process {who[0]} ({who[1]})" if who else ""
    reason = "is taken" + by if is_used(port) else f"cannot be had: {error.strerror}"
    kind = PortTaken if error.errno == errno.EADDRINUSE else ProviderError
    return kind(
        f"port {port} of {address} {reason}",
        field="config.network.ports",
        next_step="End what listens there, or give the instance another host_port.",
        details={"cause": str(error), "port": port, **({"pid": who[0]} if who else {})},
    )


def is_used(port: int) -> bool:
    """Whether anything listens on this port, at whatever address."""
    return bool(_listening_inodes(port))


def holder(port: int) -> tuple[int, str] | None:
    """The process that listens on a port, if this account may see it: pid and name."""
    wanted = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not wanted:
        return None
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            for link in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(link.readlink()) in wanted:
                        return int(process.name), (process / "comm").read_text().strip()
    return None


def _listening_inodes(port: int) -> set[str]:
    pattern = re.compile(rf"^\s*\d+: [0-9A-F]+:{port:04X} [0-9A-F]+:0000 0A ")
    found = set()
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(name).read_text().splitlines():
                if pattern.match(line):
                    found.add(line.split()[9])
    return found
