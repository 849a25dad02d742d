"""Names of hosts, looked up beside the loop: a resolver may take many seconds to say no."""

from __future__ import annotations

import functools
import socket
import threading
import time
from collections.abc import Callable

KEPT = 30.0
"""Seconds that an address is used before its name is looked up again."""

Found = tuple[str, ...] | OSError
"""The addresses of a name, the preferred one first; or why there is none."""


def is_numeric(host: str) -> bool:
    """Whether it is an address already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host.partition("%")[0])
    except (OSError, ValueError):
        return False
    return True


class Names:
    """Looks names up, each once at a time. To be used on one thread alone.

    Args:
        post: Calls something on that thread; never raises.
    """

    def __init__(self, post: Callable[[Callable[[], None]], None]) -> None:
        self._post = post
        self._known: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._asking: dict[str, list[Callable[[Found], None]]] = {}

    def known(self, host: str) -> tuple[str, ...] | None:
        """What need not be looked up (again)."""
        if is_numeric(host):
            return (host,)
        until, hosts = self._known.get(host, (0.0, ()))
        return hosts if time.monotonic() < until else None

    def look_up(self, host: str, then: Callable[[Found], None]) -> None:
        """Look it up; ``then`` is called later, on the one thread."""
        waiting = self._asking.setdefault(host, [])
        waiting.append(then)
        if len(waiting) > 1:
            return
        # A daemon thread: an executor's would hold up the end of the process.
        name = "swarmd-probe-name"
        thread = threading.Thread(target=self._look, args=(host,), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._post(functools.partial(self._found, host, OSError(str(error))))

    def _look(self, host: str) -> None:
        found: Found
        try:
            told = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            found = tuple(dict.fromkeys(str(each[4][0]) for each in told))
        except (OSError, ValueError) as error:  # a name that is none is a UnicodeError
            found = error if isinstance(error, OSError) else OSError(str(error))
        self._post(functools.partial(self._found, host, found))

    def _found(self, host: str, found: Found) -> None:
        now = time.monotonic()
        self._known = {each: kept for each, kept in self._known.items() if kept[0] > now}
        if not isinstance(found, OSError):
            self._known[host] = (now + KEPT, found)
        for then in self._asking.pop(host, ()):
            then(found)
