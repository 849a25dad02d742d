"""What the tests of the whole look at, beside the daemon's own words."""

from __future__ import annotations

import base64
import contextlib
import socket
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from tests.daemon import DaemonProcess
from tests.support import wait_until


def healthz(url: str) -> int:
    """The HTTP status of the server's own probe; 0 if nobody listens."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/healthz", timeout=10) as reply:
            status: int = reply.status
            return status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def port_of(url: str) -> int:
    """The port of a URL."""
    port = urlsplit(url).port
    assert port is not None
    return port


def listens(port: int) -> bool:
    """Whether someone accepts connections on this port of the loopback interface."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def output(chunks: Sequence[dict[str, Any]]) -> str:
    """The text of a stream."""
    parts = []
    for chunk in chunks:
        if chunk.get("data_b64"):
            parts.append(base64.b64decode(chunk["data_b64"]).decode())
        elif isinstance(chunk.get("data"), str):
            parts.append(chunk["data"])
    return "".join(parts)


def processes_of(daemon: DaemonProcess, instance_id: str) -> list[str]:
    """The processes that have to do with one instance."""
    from tests.support import mentions

    folder = daemon.data / instance_id
    return [str(found) for found in daemon.instance_processes() if mentions(found.pid, folder)]


def traces_of(daemon: DaemonProcess, instance_id: str) -> list[str]:
    """Folders and files in DATA and STATE that bear an instance's id in their name."""
    return sorted(
        str(path.relative_to(daemon.folder))
        for root in (daemon.data, daemon.state / "instances")
        for path in root.rglob(f"*{instance_id}*")
    )


def nothing_runs(daemon: DaemonProcess) -> None:
    """Wait until no process of any instance is left."""
    wait_until(
        lambda: not daemon.instance_processes(), timeout=15, describe=daemon.instance_processes
    )
